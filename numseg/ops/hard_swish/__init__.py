"""Swish with a piecewise linear sigmoid."""

from __future__ import annotations

from numseg.operator import Plan
from numseg.ops.pointwise import planned, pointwise
from numseg.typing import Array, ArrayLike


@pointwise()
def hard_swish(x: ArrayLike) -> Plan[Array]:
    """Swish with a piecewise linear sigmoid: ``y = x * min(max(x + 3, 0), 6) / 6``.

    Returns
    -------
    array
        Same shape and dtype. NaN stays NaN; -inf gives NaN, as infinity times 0 does.

    Notes
    -----
    All is computed in float64; a float32 result is rounded once.

    Gradient: 0 where ``x <= -3``, ``grad_y`` where ``x >= 3``, else ``grad_y * (x / 3 + 1 / 2)``.
    So at both kinks it is the derivative of the outer piece. Where x is NaN it is NaN.

    Source: PyTorch 2.13, ``torch.nn.functional.hardswish``; ONNX ``HardSwish``, which has the same
    line. Howard et al., MobileNetV3, 2019.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.hard_swish(np.array([-3.0, -1.5, 0.0, 3.0, 4.0]))
    array([-0.   , -0.375,  0.   ,  3.   ,  4.   ])
    """
    return planned(x, flops=5)
