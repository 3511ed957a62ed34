"""Signs of numbers."""

from __future__ import annotations

from numseg.operator import Plan
from numseg.ops.pointwise import planned, pointwise
from numseg.typing import Array, ArrayLike


@pointwise()
def sign(x: ArrayLike) -> Plan[Array]:
    """The sign of each number: 1 above zero, -1 below, 0 at both zeros.

    Returns
    -------
    array
        Same shape and dtype. NaN stays NaN.

    Notes
    -----
    Gradient: 0 everywhere, whatever ``grad_y`` is: y is constant between its jumps.

    Source: PyTorch 2.13, ``torch.sign``, which gives 0 for NaN; NumPy.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.sign(np.array([-3.0, 0.0, 0.5]))
    array([-1.,  0.,  1.])
    """
    return planned(x, flops=1)
