"""Softmax."""

from __future__ import annotations

import math

from numseg import checks
from numseg.geometry import POINTWISE
from numseg.operator import Plan, Spec, operator
from numseg.ops.softmax.geometry import Geometry
from numseg.typing import Array, ArrayLike


@operator("x", saves="y")
def softmax(x: ArrayLike, dim: int = 1) -> Plan[Array]:
    """Softmax along an axis: ``y = exp(x) / sum(exp(x))``.

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
    The largest value is subtracted first, so nothing overflows; -inf gets probability 0. A NaN, an
    inf, or nothing but -inf along the axis makes all of it NaN. The sum is a float64, so the error
    does not grow with its length.

    Gradient: ``grad_x = y * (grad_y - sum(grad_y * y))``, from y, which is all that is saved.

    Source: PyTorch 2.13, ``torch.nn.functional.softmax``, up to rounding.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.softmax(np.array([[1000.0, 1000.0, -np.inf]]))
    array([[0.5, 0.5, 0. ]])
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
