"""Smooth L1 loss, and Huber's."""

from __future__ import annotations

from numseg import checks, reductions
from numseg.operator import Plan, Spec, operator
from numseg.ops.smooth_l1_loss.geometry import Geometry
from numseg.typing import Array, ArrayLike


@operator("x target", saves="x target")
def smooth_l1_loss(
    x: ArrayLike,
    target: ArrayLike,
    beta: float = 1.0,
    reduction: str = "mean",
    huber: bool = False,
    empty: str = "zero",
) -> Plan[Array]:
    """Smooth L1 loss: quadratic up to a difference of ``beta``, linear from there on.

    With ``d = x - target``: ``d**2 / (2 beta)`` where ``|d| < beta``, else ``|d| - beta / 2``.

    Parameters
    ----------
    x : array, any shape, float32 or float64
    target : array, shape and dtype of x
    beta : float
        Where the two pieces meet, at least 0. 0 makes it the L1 loss. Caffe's ``sigma`` is
        ``beta = 1 / sigma**2``.
    reduction : {"mean", "sum", "none", "batch_size"}
        "batch_size" divides the sum by the size of the first axis, as Fast R-CNN's layer does.
    huber : bool
        Multiply by ``beta``: Huber's loss with ``delta = beta``.
    empty : {"zero", "nan"}
        What the mean over no element is; PyTorch's is NaN.

    Returns
    -------
    array, () or the shape of x, dtype of x

    Raises
    ------
    ArgumentError
        For a wrong dtype, shapes that differ, and a beta that is negative or not finite.

    Notes
    -----
    Gradient: ``grad_x = grad_y * d / beta`` where ``|d| < beta``, else ``grad_y * sign(d)``;
    ``grad_target = -grad_x``. At ``|d| = beta`` both agree. For ``beta = 0`` there is a kink at
    ``d = 0``, where the gradient taken is 0.

    Source: PyTorch 2.13, ``torch.nn.functional.smooth_l1_loss`` and ``huber_loss``.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.smooth_l1_loss(np.array([0.5, 3.0]), np.zeros(2), reduction="none")
    array([0.125, 2.5  ])
    """
    dtype = checks.floats(x=x, target=target)
    checks.shape("target", target, x.shape, "the shape of x")
    beta = checks.real("beta", beta, minimum=0)
    scale = beta if checks.flag("huber", huber) else 1.0
    spec, each = Spec(tuple(x.shape), dtype), reduction == "none"
    images = spec.shape[0] if spec.shape else 1
    divisor = reductions.divisor(reduction, empty, spec.size, images, ["batch_size"])
    return Plan(
        outputs=(spec if each else Spec((), dtype),),
        geometry=Geometry(spec.size, beta, scale, each, divisor),
        flops=4 * spec.size,
        reach=None,
    )
