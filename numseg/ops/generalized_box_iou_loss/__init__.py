"""Generalized IoU loss of boxes, and the plan of its family."""

from __future__ import annotations

from numseg import checks, reductions
from numseg.operator import Plan, Spec, operator
from numseg.ops.corners import quadruples
from numseg.ops.generalized_box_iou_loss.geometry import PENALTIES, Geometry
from numseg.typing import Array, ArrayLike

FINITE = "boxes1 boxes2 grad_y"
"""Slopes cancel: what is left of 0 decides between an infinity and NaN."""


@operator("boxes1 boxes2", saves="boxes1 boxes2", finite=FINITE)
def generalized_box_iou_loss(
    boxes1: ArrayLike, boxes2: ArrayLike, reduction: str = "none", eps: float = 1e-7
) -> Plan[Array]:
    """Generalized IoU loss: what two boxes do not share, also where they are apart.

    ``1 - I / (U + eps) + (C - U) / (C + eps)`` for the areas I of the intersection, U of the union
    and C of the smallest box around both.

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

    Source: Rezatofighi et al. 2019; torchvision 0.28, ``torchvision.ops.generalized_box_iou_loss``.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> a, b = np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 1, 3, 3]])
    >>> ns.generalized_box_iou_loss(a, b, eps=0)  # 1 - 1/7 + 2/9
    array([1.07936508])
    """
    return planned(boxes1, boxes2, reduction, eps, "area", 40)


def planned(
    boxes1: ArrayLike,
    boxes2: ArrayLike,
    reduction: str,
    eps: float,
    penalty: str,
    flops: int,
    alpha_gradient: bool = False,
) -> Plan[Array]:
    """The plan of a loss of the family."""
    dtype = checks.floats(boxes1=boxes1, boxes2=boxes2)
    quadruples("boxes1", boxes1)
    checks.shape("boxes2", boxes2, boxes1.shape, "the shape of boxes1")
    spec = Spec(tuple(boxes1.shape[:-1]), dtype)
    divisor, each = reductions.divisor(reduction, "zero", spec.size), reduction == "none"
    return Plan(
        outputs=(spec if each else Spec((), dtype),),
        geometry=Geometry(
            size=spec.size,
            penalty=PENALTIES.index(penalty),
            eps=checks.real("eps", eps, minimum=0),
            alpha_gradient=alpha_gradient,
            each=each,
            divisor=divisor,
        ),
        flops=flops * spec.size,
        reach=None,
    )
