"""Powers."""

from __future__ import annotations

from numseg.operator import Plan
from numseg.ops.broadcasting import broadcasting, planned
from numseg.typing import Array, ArrayLike


@broadcasting()
def pow(x: ArrayLike, other: ArrayLike) -> Plan[Array]:
    """The power of two arrays: ``y = x ** other``, with NumPy's broadcasting.

    Returns
    -------
    array
        Dtype of x, and the shape that x and other broadcast to. As in C: a negative x has powers
        by whole numbers only, others are NaN; ``x ** 0`` and ``1 ** other`` are 1, for NaN too.

    Notes
    -----
    Gradient: ``grad_y * other * x**(other - 1)``, 0 where other is 0; and ``grad_y * y * log(x)``,
    0 where x is 0 and other is not negative. Each is summed over the axes along which its array was
    repeated.

    Source: PyTorch 2.13, ``torch.pow``; ONNX 15 ``Pow`` of arrays of one dtype.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.pow(np.array([[2.0], [9.0]]), np.array([2.0, 0.5, -1.0])).round(3)
    array([[ 4.   ,  1.414,  0.5  ],
           [81.   ,  3.   ,  0.111]])
    """
    return planned(x, other, flops=20)
