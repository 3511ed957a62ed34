"""group_norm by its definition."""

from __future__ import annotations

import numpy as np

from numseg.ops.group_norm.geometry import Geometry
from numseg.typing import Array


def forward(
    x: Array, weight: Array | None, bias: Array | None, g: Geometry
) -> tuple[Array, Array, Array]:
    values = x.reshape(_rows(g))
    mean = _mean(values)
    var = _mean((values - mean) ** 2)
    y = (values - mean) / np.sqrt(var + g.eps)
    if weight is not None:
        y = y * _each_channel(weight, g)
    if bias is not None:
        y = y + _each_channel(bias, g)
    return y, mean, var


def backward(
    x: Array, weight: Array | None, mean: Array, var: Array, gy: Array, g: Geometry
) -> tuple[Array, Array, Array]:
    """With ``z`` the normalised x, y = weight z + bias. A group's z has mean 0 and (but for eps)
    variance 1 whatever x does, so of a gradient only what changes neither gets through to x."""
    mean, var = mean.reshape(g.n, g.groups, 1, 1), var.reshape(g.n, g.groups, 1, 1)
    z = (x.reshape(_rows(g)) - mean) / np.sqrt(var + g.eps)
    gy = gy.reshape(z.shape)
    factor = _each_channel(np.ones(g.groups * g.channels) if weight is None else weight, g)
    mean_gz, mean_gzz = (  # a channel's numbers have one weight
        (grad.sum(3, keepdims=True) * factor).sum(2, keepdims=True) / max(g.channels * g.size, 1)
        for grad in (gy, gy * z)
    )
    gx = (gy * factor - mean_gz - z * mean_gzz) / np.sqrt(var + g.eps)
    return gx, (gy * z).sum((0, 3)), gy.sum((0, 3))


def _rows(g: Geometry) -> tuple[int, int, int, int]:
    return g.n, g.groups, g.channels, g.size


def _mean(values: Array) -> Array:
    """Of each group; 0 where it is empty."""
    return values.sum((2, 3), keepdims=True) / max(values.shape[2] * values.shape[3], 1)


def _each_channel(vector: Array, g: Geometry) -> Array:
    return vector.reshape(g.groups, g.channels, 1)  # to go with (N, G, C / G, size)
