"""Logistic sigmoid."""

from __future__ import annotations

from typing import NamedTuple

from numseg import checks
from numseg.operator import Plan, Spec, operator
from numseg.typing import Array, ArrayLike


class Geometry(NamedTuple):
    size: int


@operator("x", saves="y")
def sigmoid(x: ArrayLike) -> Plan[Array]:
    """Logistic sigmoid: ``y = 1 / (1 + exp(-x))``.

    Parameters
    ----------
    x : array, any shape, float32 or float64

    Returns
    -------
    array
        Same shape and dtype. NaN stays NaN; -inf gives 0, inf gives 1. Nothing overflows, and far
        below zero, where y is about ``exp(x)``, it keeps all its digits.

    Raises
    ------
    ArgumentError
        If the dtype is neither float32 nor float64.

    Notes
    -----
    Gradient: ``grad_x = grad_y * y * (1 - y)``, computed from y, which is all that is saved. Where
    y has rounded to 1 (x above 17 in float32, above 37 in float64) it is 0.

    Source: PyTorch 2.13, ``torch.sigmoid``, up to rounding.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.sigmoid(np.array([-np.inf, 0.0, 1000.0]))
    array([0. , 0.5, 1. ])
    """
    dtype = checks.floats(x=x)
    spec = Spec(tuple(x.shape), dtype)
    return Plan(outputs=(spec,), geometry=Geometry(spec.size), flops=4 * spec.size)
