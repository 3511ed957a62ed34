"""Rounding to the nearest whole number."""

from __future__ import annotations

from numseg.operator import Plan
from numseg.ops.pointwise import planned, pointwise
from numseg.typing import Array, ArrayLike


@pointwise()
def round(x: ArrayLike) -> Plan[Array]:
    """Round to the nearest whole number; halves go to the even one.

    Returns
    -------
    array
        Same shape and dtype. NaN and the infinities stay as they are; the sign of x stays, at zeros
        too.

    Notes
    -----
    Gradient: 0 everywhere, whatever ``grad_y`` is: y is constant between its jumps.

    Source: PyTorch 2.13, ``torch.round``, which has ``decimals`` besides.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.round(np.array([-1.5, 0.5, 2.5, 2.6]))
    array([-2.,  0.,  2.,  3.])
    """
    return planned(x, flops=1)
