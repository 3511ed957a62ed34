"""Square root."""

from __future__ import annotations

from numseg.operator import Plan
from numseg.ops.pointwise import planned, pointwise
from numseg.typing import Array, ArrayLike


@pointwise(saves="y")
def sqrt(x: ArrayLike) -> Plan[Array]:
    """Square root, correctly rounded.

    Returns
    -------
    array
        Same shape and dtype. NaN stays NaN, and a number below zero gives it; -0.0 stays.

    Notes
    -----
    Gradient: ``grad_y / (2 * y)``, computed from y, which is all that is saved. Where x is 0 that
    is a division by 0: infinite, or NaN where grad_y is 0 too.

    Source: PyTorch 2.13, ``torch.sqrt``.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.sqrt(np.array([0.0, 2.25, -1.0]))
    array([0. , 1.5, nan])
    """
    return planned(x, flops=1)
