"""Focal loss of independent yes-or-no answers."""

from __future__ import annotations

from numseg import checks, reductions
from numseg.errors import ArgumentError
from numseg.operator import Plan, Spec, operator
from numseg.ops.sigmoid_focal_loss.geometry import Geometry
from numseg.typing import Array, ArrayLike


@operator("x targets", saves="x targets", differentiable="x")
def sigmoid_focal_loss(
    x: ArrayLike,
    targets: ArrayLike,
    alpha: float = 0.25,
    gamma: float = 2.0,
    reduction: str = "none",
    empty: str = "zero",
) -> Plan[Array]:
    """Focal loss: binary cross-entropy that counts less where the answer is right already.

    ``a * (1 - q)**gamma * ce`` with ``q = p t + (1 - p)(1 - t)`` for ``p = sigmoid(x)``, the binary
    cross-entropy ``ce``, and ``a = alpha t + (1 - alpha)(1 - t)``.

    Parameters
    ----------
    x : array, any shape, float32 or float64
        Logits.
    targets : array, shape and dtype of x
        0 or 1, or a probability between (not checked). No gradient is taken for it.
    alpha : float
        In [0, 1], or -1 to weigh yes and no alike: ``a = 1``.
    gamma : float
        At least 0; 0 gives the binary cross-entropy, times a.
    reduction : {"none", "mean", "sum", "batch_size"}
        "batch_size" divides the sum by the size of the first axis.
    empty : {"zero", "nan"}
        What the mean over no element is; PyTorch's is NaN.

    Returns
    -------
    array, the shape of x or (), dtype of x

    Raises
    ------
    ArgumentError
        For a wrong dtype, shapes that differ, and alpha or gamma outside their range.

    Notes
    -----
    ``1 - q`` is summed up from ``sigmoid(x)`` and ``sigmoid(-x)``, not subtracted from 1, so the
    loss of a confident element keeps its digits, which in torchvision are gone.

    Gradient: ``grad_x = grad_y * a * ((1 - q)**gamma * (p - t) + ce * d/dx (1 - q)**gamma)``, the
    last ``gamma (1 - q)**(gamma - 1) p (1 - p) (1 - 2 t)``. No kinks.

    Source: Lin et al. 2017; torchvision 0.28, ``torchvision.ops.sigmoid_focal_loss``.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.sigmoid_focal_loss(np.zeros(2), np.array([0.0, 1.0]))
    array([0.1299651, 0.0433217])
    """
    dtype = checks.floats(x=x, targets=targets)
    checks.shape("targets", targets, x.shape, "the shape of x")
    yes = checks.real("alpha", alpha, maximum=1)
    if yes < 0 and yes != -1:
        raise ArgumentError(f"alpha must lie in [0, 1] or be -1, got {yes}")
    spec, each = Spec(tuple(x.shape), dtype), reduction == "none"
    images = spec.shape[0] if spec.shape else 1
    divisor = reductions.divisor(reduction, empty, spec.size, images, ["batch_size"])
    return Plan(
        outputs=(spec if each else Spec((), dtype),),
        geometry=Geometry(
            size=spec.size,
            yes=1.0 if yes == -1 else yes,
            no=1.0 if yes == -1 else 1 - yes,
            gamma=checks.real("gamma", gamma, minimum=0),
            each=each,
            divisor=divisor,
        ),
        flops=24 * spec.size,
        reach=None,
    )
