"""Smooth rectified linear unit."""

from __future__ import annotations

from numseg import checks
from numseg.operator import Plan
from numseg.ops.pointwise import planned, pointwise
from numseg.typing import Array, ArrayLike


@pointwise()
def softplus(x: ArrayLike, beta: float = 1.0, threshold: float = 20.0) -> Plan[Array]:
    """Smooth rectified linear unit: ``y = log(1 + exp(beta * x)) / beta``.

    Where ``beta * x > threshold`` it is x.

    Parameters
    ----------
    x : array, any shape, float32 or float64
    beta : float
        Positive: the larger, the nearer is y to ``max(x, 0)``. It is rounded to the dtype of x.
    threshold : float
        1000 changes no result. 20, PyTorch's, leaves out ``exp(-20) / beta`` at most, 2.1e-9, which
        float32 does not show.

    Returns
    -------
    array
        Same shape and dtype. NaN stays NaN; -inf gives 0, inf gives inf. Nothing overflows, and far
        below zero, where y is about ``exp(beta * x) / beta``, it keeps its digits.

    Raises
    ------
    ArgumentError
        If the dtype is neither float32 nor float64, beta is not positive, or threshold is not a
        finite number.

    Notes
    -----
    Gradient: ``grad_y`` where ``beta * x > threshold``, else ``grad_y * sigmoid(beta * x)``: each
    piece's derivative. Where x is NaN it is NaN.

    Source: PyTorch 2.13, ``torch.nn.functional.softplus``, which takes a negative beta, too.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.softplus(np.array([-1000.0, 0.0, 1000.0]))
    array([0.00000000e+00, 6.93147181e-01, 1.00000000e+03])
    """
    beta = checks.positive("beta", beta)
    return planned(x, beta, checks.real("threshold", threshold), flops=5)
