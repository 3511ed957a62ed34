"""Continuously differentiable exponential linear unit."""

from __future__ import annotations

from numseg import checks
from numseg.operator import Plan
from numseg.ops.pointwise import planned, pointwise
from numseg.typing import Array, ArrayLike


@pointwise()
def celu(x: ArrayLike, alpha: float = 1.0) -> Plan[Array]:
    """Continuously differentiable ELU: ``y = x`` where ``x > 0``, else ``alpha * elu(x / alpha)``.

    So below zero ``y = alpha * (exp(x / alpha) - 1)``.

    Parameters
    ----------
    x : array, any shape, float32 or float64
    alpha : float
        What -y tends to far below zero, positive. It is rounded to the dtype of x.

    Returns
    -------
    array
        Same shape and dtype. NaN stays NaN. Near zero, where ``exp(x / alpha) - 1`` cancels, y
        keeps its digits.

    Raises
    ------
    ArgumentError
        If the dtype is neither float32 nor float64, or alpha is not positive.

    Notes
    -----
    Gradient: ``grad_y`` where ``x > 0``, else ``grad_y * exp(x / alpha)``: at zero both are the
    same. Where x is NaN it is NaN.

    Source: PyTorch 2.13, ``torch.nn.functional.celu``, which takes a negative alpha, too. Barron
    2017.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.celu(np.array([-np.inf, 0.0, 2.0]), alpha=0.5)
    array([-0.5,  0. ,  2. ])
    """
    return planned(x, checks.positive("alpha", alpha), flops=4)
