"""Exponential linear unit."""

from __future__ import annotations

from numseg import checks
from numseg.operator import Plan
from numseg.ops.pointwise import planned, pointwise
from numseg.typing import Array, ArrayLike


@pointwise()
def elu(x: ArrayLike, alpha: float = 1.0) -> Plan[Array]:
    """Exponential linear unit: ``y = x`` where ``x > 0``, else ``alpha * (exp(x) - 1)``.

    Parameters
    ----------
    x : array, any shape, float32 or float64
    alpha : float
        What -y tends to far below zero. It is rounded to the dtype of x.

    Returns
    -------
    array
        Same shape and dtype. NaN stays NaN. Near zero, where ``exp(x) - 1`` cancels, y keeps its
        digits.

    Raises
    ------
    ArgumentError
        If the dtype is neither float32 nor float64, or alpha is not a finite number.

    Notes
    -----
    Gradient: ``grad_y`` where ``x > 0``, else ``grad_y * alpha * exp(x)``: at zero, a kink unless
    alpha is 1, ``grad_y * alpha``. Where x is NaN it is NaN.

    Source: PyTorch 2.13, ``torch.nn.functional.elu``. Clevert, Unterthiner and Hochreiter 2016.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.elu(np.array([-np.inf, 0.0, 2.0]))
    array([-1.,  0.,  2.])
    """
    return planned(x, checks.real("alpha", alpha), flops=3)
