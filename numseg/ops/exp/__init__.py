"""Exponential."""

from __future__ import annotations

from numseg.operator import Plan
from numseg.ops.pointwise import planned, pointwise
from numseg.typing import Array, ArrayLike


@pointwise(saves="y")
def exp(x: ArrayLike) -> Plan[Array]:
    """Exponential: ``y = e**x``.

    Returns
    -------
    array
        Same shape and dtype, within 1 ulp where the processor has fused multiply-add, within 2
        elsewhere. NaN stays NaN; -inf gives 0, inf and what is too large for the dtype give inf.

    Notes
    -----
    Gradient: ``grad_x = grad_y * y``, computed from y, which is all that is saved.

    Source: PyTorch 2.13, ``torch.exp``, up to rounding.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.exp(np.array([-np.inf, 0.0, np.inf]))
    array([ 0.,  1., inf])
    """
    return planned(x, flops=1)
