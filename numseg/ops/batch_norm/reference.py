"""batch_norm by its definition."""

from __future__ import annotations

import numpy as np

from numseg.ops.batch_norm.geometry import Geometry
from numseg.typing import Array


def forward(
    x: Array,
    running_mean: Array | None,
    running_var: Array | None,
    weight: Array | None,
    bias: Array | None,
    g: Geometry,
) -> tuple[Array, Array, Array, Array, Array]:
    values = x.reshape(g.n, g.c, g.size)
    mean = running_mean = np.zeros(g.c) if running_mean is None else running_mean
    var = running_var = np.ones(g.c) if running_var is None else running_var
    if g.of_batch:
        mean = values.mean((0, 2))
        var = ((values - _each_channel(mean)) ** 2).mean((0, 2))
        running_mean = (1 - g.momentum) * running_mean + g.momentum * mean
        running_var = (1 - g.momentum) * running_var + g.momentum * var * g.correction
    y = _normalised(values, mean, var, g)
    if weight is not None:
        y = y * _each_channel(weight)
    if bias is not None:
        y = y + _each_channel(bias)
    return y, running_mean, running_var, mean, var


def backward(
    x: Array,
    weight: Array | None,
    running_mean: Array,
    running_var: Array,
    mean: Array,
    var: Array,
    gy: Array,
    g: Geometry,
) -> tuple[Array, Array, Array]:
    """With ``z`` the normalised x, y = weight z + bias. The batch's z has mean 0 and (but for eps)
    variance 1 whatever x does, so of a gradient only what changes neither gets through to x."""
    z = _normalised(x.reshape(g.n, g.c, g.size), mean, var, g)
    gy = gy.reshape(z.shape)
    gz = gy
    if g.of_batch:
        gz = gy - gy.mean((0, 2), keepdims=True) - z * (gy * z).mean((0, 2), keepdims=True)
    if weight is not None:
        gz = gz * _each_channel(weight)
    gx = gz / np.sqrt(_each_channel(var) + g.eps)
    return gx, (gy * z).sum((0, 2)), gy.sum((0, 2))


def _normalised(values: Array, mean: Array, var: Array, g: Geometry) -> Array:
    return (values - _each_channel(mean)) / np.sqrt(_each_channel(var) + g.eps)


def _each_channel(vector: Array) -> Array:
    return vector[:, None]  # (C, 1), to go with (N, C, size)
