"""Sigmoid linear unit."""

from __future__ import annotations

from numseg.operator import Plan
from numseg.ops.pointwise import planned, pointwise
from numseg.typing import Array, ArrayLike


@pointwise()
def silu(x: ArrayLike) -> Plan[Array]:
    """Sigmoid linear unit, also called swish: ``y = x * sigmoid(x) = x / (1 + exp(-x))``.

    Returns
    -------
    array
        Same shape and dtype. NaN stays NaN, inf stays inf; -inf gives NaN, as infinity times 0
        does. Far below zero, where y is about ``x exp(x)``, it keeps all its digits.

    Notes
    -----
    Gradient: ``grad_x = grad_y * s * (1 + x * (1 - s))`` with ``s = sigmoid(x)``; ``1 - s`` is
    computed as ``sigmoid(-x)``, without cancellation. At both infinities it is NaN.

    Source: PyTorch 2.13, ``torch.nn.functional.silu``, up to rounding. Hendrycks and Gimpel 2016.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.silu(np.array([-1000.0, 0.0, 1000.0]))
    array([  -0.,    0., 1000.])
    """
    return planned(x, flops=5)
