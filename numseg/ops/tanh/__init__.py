"""Hyperbolic tangent."""

from __future__ import annotations

from numseg.operator import Plan
from numseg.ops.pointwise import planned, pointwise
from numseg.typing import Array, ArrayLike


@pointwise()
def tanh(x: ArrayLike) -> Plan[Array]:
    """Hyperbolic tangent: ``y = (exp(x) - exp(-x)) / (exp(x) + exp(-x))``.

    Returns
    -------
    array
        Same shape and dtype, within 2 ulps. NaN stays NaN, the sign of a zero stays; -inf and inf
        give -1 and 1.

    Notes
    -----
    Gradient: ``grad_x = grad_y * 4 e / (1 + e)**2`` with ``e = exp(-2 * abs(x))``, which is
    ``grad_y * (1 - y**2)`` without cancellation: where y is near 1 it keeps all its digits. So x is
    saved, not y.

    Source: PyTorch 2.13, ``torch.tanh``, up to rounding; there the gradient is computed from y.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.tanh(np.array([-np.inf, 0.0, 1000.0]))
    array([-1.,  0.,  1.])
    """
    return planned(x, flops=4)
