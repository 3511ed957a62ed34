"""Complete IoU loss of boxes."""

from __future__ import annotations

from numseg import checks
from numseg.operator import Plan, operator
from numseg.ops.generalized_box_iou_loss import FINITE, generalized_box_iou_loss, planned
from numseg.typing import Array, ArrayLike


@operator("boxes1 boxes2", saves="boxes1 boxes2", finite=FINITE, like=generalized_box_iou_loss)
def complete_box_iou_loss(
    boxes1: ArrayLike,
    boxes2: ArrayLike,
    reduction: str = "none",
    eps: float = 1e-7,
    alpha_gradient: bool = False,
) -> Plan[Array]:
    """Complete IoU loss: overlap, distance of the centers, and likeness of the shapes.

    :data:`~numseg.distance_box_iou_loss` plus ``alpha v``, with ``v = 4 / pi**2 * (atan(w2 / h2) -
    atan(w1 / h1))**2`` and ``alpha = v / (1 - IoU + v + eps)``.

    Parameters
    ----------
    boxes1, boxes2 : array, (..., 4), both float32 or both float64
        Corners x1, y1, x2, y2 with ``x1 <= x2`` and ``y1 <= y2`` (not checked), one box for one.
    reduction : {"none", "mean", "sum"}
        The mean over no box is 0.
    eps : float
        At least 0. With 0 boxes without area are 0 / 0, and equal boxes too.
    alpha_gradient : bool
        Whether the gradient is that of the value. By default it is the paper's and torchvision's,
        for which alpha is a constant.

    Returns
    -------
    array, (...) or (), dtype of the boxes

    Raises
    ------
    ArgumentError
        For a wrong dtype, shapes that differ or do not end in 4, an eps that is negative or not
        finite.

    Notes
    -----
    Gradient: that of the formula, with alpha held constant unless ``alpha_gradient``; so by default
    central differences of the value do not agree with it where the shapes differ. Where a
    coordinate of both boxes is the same, each gets half of what goes to their maximum or minimum,
    as in PyTorch; boxes that touch share nothing that could grow. A point has no shape: its angle
    is 0 and has no gradient (NaN in torchvision).

    Source: Zheng et al. 2020; torchvision 0.28, ``torchvision.ops.complete_box_iou_loss``, which
    gives ``eps`` to alpha alone and takes 1e-7 elsewhere.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> a, b = np.array([[0.0, 0, 2, 2]]), np.array([[0.0, 0, 2, 0.5]])
    >>> ns.complete_box_iou_loss(a, b).round(4), ns.distance_box_iou_loss(a, b).round(4)
    (array([0.8364]), array([0.8203]))
    """
    alpha = checks.flag("alpha_gradient", alpha_gradient)
    return planned(boxes1, boxes2, reduction, eps, "distance and shape", 60, alpha)
