"""Scaled exponential linear unit."""

from __future__ import annotations

from numseg.operator import Plan
from numseg.ops.pointwise import planned, pointwise
from numseg.typing import Array, ArrayLike

ALPHA, SCALE = 1.6732632423543772, 1.0507009873554805
"""Such that mean 0 and variance 1 of normal numbers are a fixed point."""


@pointwise()
def selu(x: ArrayLike) -> Plan[Array]:
    """Scaled exponential linear unit: ``y = scale * elu(x, alpha)``.

    ``alpha = 1.6732632423543772`` and ``scale = 1.0507009873554805``, such that the result for
    normally distributed numbers of mean 0 and variance 1 has mean 0 and variance 1.

    Returns
    -------
    array
        Same shape and dtype. NaN stays NaN; -inf gives ``-scale * alpha``.

    Notes
    -----
    Gradient: ``grad_y * scale`` where ``x > 0``, else ``grad_y * scale * alpha * exp(x)``: at the
    kink at zero ``grad_y * scale * alpha``. Where x is NaN it is NaN.

    Source: PyTorch 2.13, ``torch.nn.functional.selu``. Klambauer et al. 2017.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.selu(np.array([-np.inf, 0.0, 1.0]))
    array([-1.75809934,  0.        ,  1.05070099])
    """
    return planned(x, ALPHA, SCALE, flops=4)
