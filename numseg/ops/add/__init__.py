"""Addition."""

from __future__ import annotations

from numseg.operator import Plan
from numseg.ops.broadcasting import broadcasting, planned
from numseg.typing import Array, ArrayLike


@broadcasting(saves="", linear="x other")
def add(x: ArrayLike, other: ArrayLike) -> Plan[Array]:
    """The sum of two arrays: ``y = x + other``, with NumPy's broadcasting.

    Notes
    -----
    Gradient: ``grad_y``, for both, summed over the axes along which an array was repeated.

    Source: PyTorch 2.13, ``torch.add`` without its ``alpha``.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.add(np.array([[1.0], [2.0]]), np.array([10.0, 20.0]))
    array([[11., 21.],
           [12., 22.]])
    """
    return planned(x, other)
