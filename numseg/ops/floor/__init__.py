"""Rounding down."""

from __future__ import annotations

from numseg.operator import Plan
from numseg.ops.pointwise import planned, pointwise
from numseg.typing import Array, ArrayLike


@pointwise()
def floor(x: ArrayLike) -> Plan[Array]:
    """Round down: the largest whole number that is not above x.

    Returns
    -------
    array
        Same shape and dtype. NaN, the infinities and -0.0 stay as they are.

    Notes
    -----
    Gradient: 0 everywhere, whatever ``grad_y`` is: y is constant between its jumps.

    Source: PyTorch 2.13, ``torch.floor``.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.floor(np.array([-1.5, 0.5, 2.0]))
    array([-2.,  0.,  2.])
    """
    return planned(x, flops=1)
