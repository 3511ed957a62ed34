"""Piecewise linear sigmoid."""

from __future__ import annotations

from numseg import checks
from numseg.operator import Plan
from numseg.ops.pointwise import planned, pointwise
from numseg.typing import Array, ArrayLike


@pointwise()
def hard_sigmoid(x: ArrayLike, alpha: float = 1 / 6, beta: float = 0.5) -> Plan[Array]:
    """Piecewise linear sigmoid: ``y = min(max(alpha * x + beta, 0), 1)``.

    Parameters
    ----------
    x : array, any shape, float32 or float64
    alpha, beta : float
        The slope, and the value at 0. The defaults are PyTorch's, and those of Keras 3; ONNX's
        default and Keras 2 have alpha 0.2.

    Returns
    -------
    array
        Same shape and dtype. NaN stays NaN.

    Raises
    ------
    ArgumentError
        If the dtype is neither float32 nor float64, or alpha or beta is not a finite number.

    Notes
    -----
    ``alpha * x + beta`` is computed in float64 for both dtypes, so it lies on the same side of 0
    and 1 in both.

    Gradient: ``alpha * grad_y`` where ``0 < alpha * x + beta < 1``, else 0: also at both kinks,
    and where x is NaN.

    Source: PyTorch 2.13, ``torch.nn.functional.hardsigmoid``; ONNX ``HardSigmoid``.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.hard_sigmoid(np.array([-3.0, 0.0, 1.5, 3.0]))
    array([0.  , 0.5 , 0.75, 1.  ])
    """
    return planned(x, checks.real("alpha", alpha), checks.real("beta", beta), flops=2)
