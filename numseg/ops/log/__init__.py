"""Natural logarithm."""

from __future__ import annotations

from numseg.operator import Plan
from numseg.ops.pointwise import planned, pointwise
from numseg.typing import Array, ArrayLike


@pointwise()
def log(x: ArrayLike) -> Plan[Array]:
    """Natural logarithm of x.

    Returns
    -------
    array
        Same shape and dtype, within 1 ulp where the processor has fused multiply-add, within 2
        elsewhere, for subnormal numbers too. NaN stays NaN; both zeros give -inf, inf gives inf,
        numbers below zero give NaN.

    Notes
    -----
    Gradient: ``grad_x = grad_y / x``: at a zero infinite, with its sign. It is that where x is
    below zero, too, where the value is NaN.

    Source: PyTorch 2.13, ``torch.log``, up to rounding.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.log(np.array([0.0, 1.0, np.inf]))
    array([-inf,   0.,  inf])
    """
    return planned(x, flops=1)
