"""Multiplication."""

from __future__ import annotations

from numseg.operator import Plan
from numseg.ops.broadcasting import broadcasting, planned
from numseg.typing import Array, ArrayLike


@broadcasting(linear="x other")
def multiply(x: ArrayLike, other: ArrayLike) -> Plan[Array]:
    """The product of two arrays: ``y = x * other``, with NumPy's broadcasting.

    Notes
    -----
    Gradient: ``grad_y * other`` and ``grad_y * x``, each summed over the axes along which its array
    was repeated.

    Source: PyTorch 2.13, ``torch.multiply``.

    Examples
    --------
    A number for each channel scales it, as in squeeze-and-excitation:

    >>> import numpy as np, numseg as ns
    >>> x = np.arange(4.0).reshape(1, 2, 1, 2)
    >>> ns.multiply(x, np.array([1.0, 10.0]).reshape(1, 2, 1, 1)).ravel()
    array([ 0.,  1., 20., 30.])
    """
    return planned(x, other)
