"""Logistic sigmoid."""

from __future__ import annotations

from numseg.operator import Plan
from numseg.ops.pointwise import planned, pointwise
from numseg.typing import Array, ArrayLike


@pointwise(saves="y")
def sigmoid(x: ArrayLike) -> Plan[Array]:
    """Logistic sigmoid: ``y = 1 / (1 + exp(-x))``.

    Returns
    -------
    array
        Same shape and dtype. NaN stays NaN; -inf gives 0, inf gives 1. Nothing overflows, and far
        below zero, where y is about ``exp(x)``, it keeps all its digits.

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
    return planned(x, flops=4)
