"""batch_norm on the CPU. A unit is a channel: it stays in the cache from one pass to the next."""

from __future__ import annotations

import math

import numpy as np

from numseg.kernels.jit import kernel
from numseg.kernels.parallel import launch
from numseg.kernels.sums import row_product, row_squares, row_sum
from numseg.ops.batch_norm import Geometry
from numseg.typing import Array

PASSES = 3
"""Over x, in training: its mean, its variance, the result."""


@kernel({"contract"})
def _forward(start, stop, x, weight, bias, mean, var, y, g):
    for c in range(start, stop):
        if g.of_batch:
            m = g.n * g.size
            total = 0.0
            for n in range(g.n):
                total += row_sum(x[n, c])
            mean[c] = total / m
            total = 0.0
            for n in range(g.n):
                total += row_squares(x[n, c], mean[c])
            var[c] = total / m
        center, scale, shift = mean[c], weight[c] / math.sqrt(var[c] + g.eps), bias[c]
        for n in range(g.n):
            for i in range(g.size):
                y[n, c, i] = (x[n, c, i] - center) * scale + shift


@kernel({"contract"})
def _backward(start, stop, x, weight, mean, var, gy, gx, gw, gb, g):
    for c in range(start, stop):
        center, rstd = mean[c], 1 / math.sqrt(var[c] + g.eps)
        sum_g = sum_gz = 0.0
        for n in range(g.n):
            sum_g += row_sum(gy[n, c])
            sum_gz += row_product(x[n, c], center, gy[n, c]) * rstd
        gb[c], gw[c] = sum_g, sum_gz
        if gx is not None:
            scale, mean_g, slope = weight[c] * rstd, 0.0, 0.0
            if g.of_batch:
                m = g.n * g.size
                mean_g, slope = sum_g / m, sum_gz / m * rstd
            for n in range(g.n):
                for i in range(g.size):
                    gx[n, c, i] = (gy[n, c, i] - mean_g - (x[n, c, i] - center) * slope) * scale


def forward(
    x: Array,
    old_mean: Array | None,
    old_var: Array | None,
    weight: Array | None,
    bias: Array | None,
    y: Array,
    running_mean: Array,
    running_var: Array,
    mean: Array,
    var: Array,
    g: Geometry,
) -> None:
    mean[...] = 0 if old_mean is None else old_mean
    var[...] = 1 if old_var is None else old_var
    running_mean[...], running_var[...] = mean, var
    before = mean.copy(), var.copy()
    rows = (g.n, g.c, g.size)
    weight = np.ones(g.c, x.dtype) if weight is None else weight
    bias = np.zeros(g.c, x.dtype) if bias is None else bias
    launch(_forward, g.c, PASSES * x.size, x.reshape(rows), _read_only(weight), _read_only(bias),
           mean, var, y.reshape(rows), g)  # fmt: skip
    if not g.of_batch:
        return
    with np.errstate(all="ignore"):  # infinities and NaN come and go as in kernels
        running_mean[...] = (1 - g.momentum) * before[0] + g.momentum * mean
        running_var[...] = (1 - g.momentum) * before[1] + g.momentum * var * g.correction


def backward(
    x: Array,
    weight: Array | None,
    running_mean: Array,
    running_var: Array,
    mean: Array,
    var: Array,
    gy: Array,
    gx: Array | None,
    gw: Array | None,
    gb: Array | None,
    g: Geometry,
) -> None:
    rows = (g.n, g.c, g.size)
    weight = np.ones(g.c, x.dtype) if weight is None else weight
    gw = np.empty(g.c, x.dtype) if gw is None else gw
    gb = np.empty(g.c, x.dtype) if gb is None else gb
    launch(_backward, g.c, PASSES * x.size, x.reshape(rows), _read_only(weight), mean, var,
           gy.reshape(rows), None if gx is None else gx.reshape(rows), gw, gb, g)  # fmt: skip


def _read_only(vector: Array) -> Array:
    """As given ones are, so that the kernel is compiled once."""
    vector.flags.writeable = False
    return vector
