"""instance_norm by its definition."""

from __future__ import annotations

import numpy as np

from numseg.ops.instance_norm.geometry import Geometry
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
    running_mean = np.zeros(g.c) if running_mean is None else running_mean
    running_var = np.ones(g.c) if running_var is None else running_var
    mean, var = running_mean[None], running_var[None]
    if g.of_input:
        mean = values.sum(2) / max(g.size, 1)
        var = ((values - mean[..., None]) ** 2).sum(2) / max(g.size, 1)
        running_mean = _moved(running_mean, mean, g)
        running_var = _moved(running_var, var * g.correction, g)
    y = _normalised(values, mean, var, g)
    if weight is not None:
        y = y * weight[:, None]
    if bias is not None:
        y = y + bias[:, None]
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
    """With ``z`` the normalised x, y = weight z + bias. A plane's z has mean 0 and (but for eps)
    variance 1 whatever x does, so of a gradient only what changes neither gets through to x."""
    z = _normalised(x.reshape(g.n, g.c, g.size), mean, var, g)
    gy = gy.reshape(z.shape)
    factor = np.ones((g.c, 1)) if weight is None else weight[:, None]
    gz = gy * factor
    if g.of_input:  # a plane's numbers have one weight
        gz = gz - _mean(gy, g) * factor - z * (_mean(gy * z, g) * factor)
    gx = gz / np.sqrt(var[..., None] + g.eps)
    return gx, (gy * z).sum((0, 2)), gy.sum((0, 2))


def _moved(running: Array, of_images: Array, g: Geometry) -> Array:
    new = of_images.sum(0) / max(g.n, 1)
    return (1 - g.momentum) * running + g.momentum * new


def _mean(values: Array, g: Geometry) -> Array:
    return values.sum(2, keepdims=True) / max(g.size, 1)


def _normalised(values: Array, mean: Array, var: Array, g: Geometry) -> Array:
    return (values - mean[..., None]) / np.sqrt(var[..., None] + g.eps)
