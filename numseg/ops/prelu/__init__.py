"""Parametric rectified linear unit."""

from __future__ import annotations

import math

from numseg.errors import ArgumentError
from numseg.operator import Plan
from numseg.ops.broadcasting import broadcasting, planned
from numseg.typing import Array, ArrayLike


@broadcasting("x weight")
def prelu(x: ArrayLike, weight: ArrayLike) -> Plan[Array]:
    """Leaky rectified linear unit with slopes that are learned: ``y = x`` where ``x > 0``, else
    ``weight * x``.

    Parameters
    ----------
    x : array, (N, C, ...) or any shape, float32 or float64
    weight : array, (C,) or (1,) or (), dtype of x
        A slope for each channel, or one for all.

    Returns
    -------
    array
        Shape and dtype of x. NaN stays NaN.

    Raises
    ------
    ArgumentError
        If the dtypes differ, or weight has neither one number nor one for each channel of x.

    Notes
    -----
    Gradient: for x, ``grad_y`` where ``x > 0``, else ``weight * grad_y``: also at the kink and
    where x is NaN. For weight, the sum of ``x * grad_y`` where x is not ``> 0``, over all that a
    slope is for.

    Source: PyTorch 2.13, ``torch.nn.functional.prelu``. He et al. 2015.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.prelu(np.array([[-2.0, -2.0], [2.0, 2.0]]), np.array([0.5, 0.25]))
    array([[-1. , -0.5],
           [ 2. ,  2. ]])
    """
    channels = x.shape[1] if len(x.shape) > 1 else 1
    slopes = math.prod(weight.shape)
    if len(weight.shape) > 1 or slopes not in (1, channels):
        raise ArgumentError(
            f"weight has shape {tuple(weight.shape)}, expected (1,) or ({channels},): "
            f"x has shape {tuple(x.shape)}"
        )
    shape = (slopes, *(1 for _ in x.shape[2:])) if slopes != 1 else ()
    return planned(x, weight, name="weight", shape=shape)
