"""Subtraction."""

from __future__ import annotations

from numseg.operator import Plan
from numseg.ops.broadcasting import broadcasting, planned
from numseg.typing import Array, ArrayLike


@broadcasting(saves="", linear="x other")
def subtract(x: ArrayLike, other: ArrayLike) -> Plan[Array]:
    """The difference of two arrays: ``y = x - other``, with NumPy's broadcasting.

    Notes
    -----
    Gradient: ``grad_y`` and ``-grad_y``, each summed over the axes along which its array was
    repeated.

    Source: PyTorch 2.13, ``torch.subtract`` without its ``alpha``.


    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.subtract(np.array([[1.0], [2.0]]), np.array([10.0, 20.0]))
    array([[ -9., -19.],
           [ -8., -18.]])
    """
    return planned(x, other)
