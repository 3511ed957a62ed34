"""Rounding up."""

from __future__ import annotations

from numseg.operator import Plan
from numseg.ops.pointwise import planned, pointwise
from numseg.typing import Array, ArrayLike


@pointwise()
def ceil(x: ArrayLike) -> Plan[Array]:
    """Round up: the smallest whole number that is not below x.

    Returns
    -------
    array
        Same shape and dtype. NaN, the infinities and -0.0 stay as they are; what lies between -1
        and 0 becomes -0.0.

    Notes
    -----
    Gradient: 0 everywhere, whatever ``grad_y`` is: y is constant between its jumps.

    Source: PyTorch 2.13, ``torch.ceil``.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.ceil(np.array([-1.5, 0.5, 2.0]))
    array([-1.,  1.,  2.])
    """
    return planned(x, flops=1)
