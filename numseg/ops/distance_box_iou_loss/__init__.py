"""Distance IoU loss of boxes."""

from __future__ import annotations

from numseg.operator import Plan, operator
from numseg.ops.generalized_box_iou_loss import FINITE, generalized_box_iou_loss, planned
from numseg.typing import Array, ArrayLike


@operator("boxes1 boxes2", saves="boxes1 boxes2", finite=FINITE, like=generalized_box_iou_loss)
def distance_box_iou_loss(
    boxes1: ArrayLike, boxes2: ArrayLike, reduction: str = "none", eps: float = 1e-7
) -> Plan[Array]:
    """Distance IoU loss: what two boxes do not share, and how far their centers are apart.

    ``1 - I / (U + eps) + R / (D + eps)`` for the areas I of the intersection and U of the union,
    the square R of the distance between the centers, and the square D of the diagonal of the
    smallest box around both.

    Parameters
    ----------
    boxes1, boxes2 : array, (..., 4), both float32 or both float64
        Corners x1, y1, x2, y2 with ``x1 <= x2`` and ``y1 <= y2`` (not checked), one box for one.
    reduction : {"none", "mean", "sum"}
        The mean over no box is 0.
    eps : float
        At least 0. With 0 boxes without area are 0 / 0.

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
    Gradient: that of the formula. Where a coordinate of both boxes is the same, each gets half of
    what goes to their maximum or minimum, as in PyTorch; boxes that touch share nothing that could
    grow.

    Source: Zheng et al. 2020; torchvision 0.28, ``torchvision.ops.distance_box_iou_loss``.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> a, b = np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 1, 3, 3]])
    >>> ns.distance_box_iou_loss(a, b, eps=0)  # 1 - 1/7 + 2/18
    array([0.96825397])
    """
    return planned(boxes1, boxes2, reduction, eps, "distance", 45)
