"""Logarithm of the softmax."""

from __future__ import annotations

import math

from numseg import checks
from numseg.geometry import POINTWISE
from numseg.operator import Plan, Spec, operator
from numseg.ops.log_softmax.geometry import Geometry
from numseg.typing import Array, ArrayLike


@operator("x", saves="y")
def log_softmax(x: ArrayLike, dim: int = 1) -> Plan[Array]:
    """Logarithm of the softmax along an axis: ``y = x - log(sum(exp(x)))``.

    Parameters
    ----------
    x : array, at least one axis, float32 or float64
    dim : int
        The axis; negative values count from the end.

    Returns
    -------
    array
        Shape and dtype of x.

    Raises
    ------
    ArgumentError
        If the dtype is neither float32 nor float64, or x has no such axis.

    Notes
    -----
    Computed as ``(x - largest) - log(sum(exp(x - largest)))``: nothing overflows, and unlikely
    classes keep their digits, where the logarithm of a softmax is -inf. -inf stays -inf. A NaN, an
    inf, or nothing but -inf along the axis makes all of it NaN.

    Gradient: ``grad_x = grad_y - exp(y) * sum(grad_y)``, from y, which is all that is saved.

    Source: PyTorch 2.13, ``torch.nn.functional.log_softmax``, up to rounding.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.log_softmax(np.array([[1000.0, 0.0, -np.inf]]))
    array([[    0., -1000.,   -inf]])
    """
    dtype = checks.floats(x=x)
    shape = tuple(x.shape)
    axis = checks.dim(dim, "x", x)
    spec = Spec(shape, dtype)
    return Plan(
        outputs=(spec,),
        geometry=Geometry(math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])),
        flops=5 * spec.size,
        reach=POINTWISE if axis < 2 else None,
    )
