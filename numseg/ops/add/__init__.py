"""Addition."""

from __future__ import annotations

from typing import NamedTuple

from numseg import checks
from numseg.operator import Plan, Spec, operator
from numseg.typing import Array, ArrayLike


class Geometry(NamedTuple):
    size: int


@operator("x other", linear="x other")
def add(x: ArrayLike, other: ArrayLike) -> Plan[Array]:
    """The sum of two arrays of one shape: ``y = x + other``.

    Parameters
    ----------
    x, other : array, any shape, float32 or float64
        Of the same shape and dtype: a skip connection whose two ends differ in size is a mistake,
        so nothing is broadcast.

    Returns
    -------
    array
        Shape and dtype of x.

    Raises
    ------
    ArgumentError
        If the shapes or dtypes differ.

    Notes
    -----
    Gradient: ``grad_y``, for both.

    Source: ``torch.add`` (PyTorch 2.13), without its broadcasting.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.add(np.array([1.0, 2.0]), np.array([10.0, 20.0]))
    array([11., 22.])
    """
    dtype = checks.floats(x=x, other=other)
    checks.shape("other", other, x.shape, "the shape of x")
    spec = Spec(tuple(x.shape), dtype)
    return Plan(outputs=(spec,), geometry=Geometry(spec.size), flops=spec.size)
