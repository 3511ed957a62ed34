"""Division."""

from __future__ import annotations

from numseg.operator import Plan
from numseg.ops.broadcasting import broadcasting, planned
from numseg.typing import Array, ArrayLike


@broadcasting(linear="x")
def divide(x: ArrayLike, other: ArrayLike) -> Plan[Array]:
    """The quotient of two arrays: ``y = x / other``, with NumPy's broadcasting.

    Returns
    -------
    array
        Dtype of x, and the shape that x and other broadcast to. Division by
        zero is IEEE's: ``1 / 0`` is inf, ``1 / -0.0`` is -inf and ``0 / 0`` is NaN, without a
        warning.


    Notes
    -----
    Gradient: ``grad_y / other`` and ``-grad_y * x / other**2``, each summed over the axes along
    which its array was repeated. The second is computed as ``-(x / other) * (grad_y / other)``,
    each quotient of which is needed as it is: ``other**2`` would overflow, or be 0, where
    ``other`` and the gradient are ordinary numbers. On the CPU both are computed in float64; a
    float32 gradient is rounded once.

    Source: PyTorch 2.13, ``torch.divide`` without ``rounding_mode``.


    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.divide(np.array([[1.0], [-1.0]]), np.array([2.0, 0.0]))
    array([[ 0.5,  inf],
           [-0.5, -inf]])
    """
    return planned(x, other)
