"""Self-regularised smooth unit."""

from __future__ import annotations

from numseg.operator import Plan
from numseg.ops.pointwise import planned, pointwise
from numseg.typing import Array, ArrayLike


@pointwise()
def mish(x: ArrayLike) -> Plan[Array]:
    """Mish: ``y = x * tanh(softplus(x)) = x * tanh(log(1 + exp(x)))``.

    Returns
    -------
    array
        Same shape and dtype. NaN stays NaN, inf stays inf; -inf gives NaN, as infinity times 0
        does. Far below zero, where y is about ``x exp(x)``, it keeps its digits.

    Notes
    -----
    With ``n = exp(x)``, ``tanh(log(1 + n)) = n (n + 2) / (n (n + 2) + 2)``: all terms are positive,
    so nothing cancels. Above zero it is computed from ``exp(-x)``, so nothing overflows.

    Gradient: ``grad_y * (t + x * (1 - t**2) * sigmoid(x))`` with ``t = tanh(softplus(x))``, put in
    terms of n as well. At both infinities it is NaN.

    Source: PyTorch 2.13, ``torch.nn.functional.mish``; ONNX ``Mish``. Misra 2019.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.mish(np.array([-1000.0, 0.0, 1000.0]))
    array([  -0.,    0., 1000.])
    """
    return planned(x, flops=8)
