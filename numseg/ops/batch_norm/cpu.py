"""batch_norm on the CPU. A unit is a channel: it stays in the cache from one pass to the next."""

from __future__ import annotations

import functools
import math

import numpy as np

from numseg.kernels.machine.jit import kernel, rule
from numseg.kernels.machine.threads import launch
from numseg.kernels.machine.vector_copy import (
    NONTEMPORAL_BYTES,
    copy_nontemporal,
    fence_nontemporal,
)
from numseg.kernels.pointwise.activations import normalised
from numseg.kernels.reductions.sums import moments, products
from numseg.ops.batch_norm.geometry import Geometry
from numseg.typing import Array

fused = functools.partial(rule, fastmath={"contract"})

PASSES = 3
"""Over x, in training: two sums at once, and the result."""

BLOCK = 1024
"""Of a large result's numbers so many are computed at once, and then written past the caches."""


@kernel({"contract"})
def _forward(start, stop, x, weight, bias, mean, var, y, large, g):
    line, flat, past = np.empty(BLOCK, y.dtype), x.reshape(x.size), y.reshape(y.size)
    step = g.c * g.size
    for c in range(start, stop):
        first = c * g.size
        if g.of_batch:
            m = g.n * g.size
            mean[c] = flat[first]
            for _ in range(2 if x.itemsize == 8 else 1):
                about = mean[c] if math.isfinite(mean[c]) else 0.0
                total, squares = moments(flat, flat, first, step, g.n, g.size, about)
                mean[c] = about + total / m
                var[c] = (squares - total * (total / m)) / m
        center, scale, shift = mean[c], weight[c] / math.sqrt(var[c] + g.eps), bias[c]
        for n in range(g.n):
            if large:
                for i in range(0, g.size, BLOCK):
                    at, count = first + n * step + i, min(BLOCK, g.size - i)
                    values = flat[at : at + count]
                    for j in range(count):
                        line[j] = _normalised(values[j], center, scale, shift)
                    copy_nontemporal(line, 0, past, at, count)
            else:
                for i in range(g.size):
                    y[n, c, i] = _normalised(x[n, c, i], center, scale, shift)
    fence_nontemporal()


@kernel({"contract"})
def _backward(start, stop, x, weight, mean, var, gy, gx, gw, gb, large, g):
    line, flat, flat_gy = np.empty(BLOCK, x.dtype), x.reshape(x.size), gy.reshape(gy.size)
    step = g.c * g.size
    for c in range(start, stop):
        first = c * g.size
        center, rstd = mean[c], 1 / math.sqrt(var[c] + g.eps)
        sum_g, sum_gz = products(flat, flat_gy, first, step, g.n, g.size, center)
        sum_gz *= rstd
        gb[c], gw[c] = sum_g, sum_gz
        if gx is not None:
            past = gx.reshape(gx.size)
            scale, mean_g, slope = weight[c] * rstd, 0.0, 0.0
            if g.of_batch:
                m = g.n * g.size
                mean_g, slope = sum_g / m, sum_gz / m * rstd
            for n in range(g.n):
                if large:
                    for i in range(0, g.size, BLOCK):
                        at, count = first + n * step + i, min(BLOCK, g.size - i)
                        values, grads = flat[at : at + count], flat_gy[at : at + count]
                        for j in range(count):
                            d = values[j] - center if g.of_batch else 0.0
                            line[j] = _projected(grads[j], d, mean_g, slope, scale)
                        copy_nontemporal(line, 0, past, at, count)
                else:
                    for i in range(g.size):
                        d = x[n, c, i] - center if g.of_batch else 0.0
                        gx[n, c, i] = _projected(gy[n, c, i], d, mean_g, slope, scale)
    fence_nontemporal()


_normalised = fused(normalised.py_func)


@fused
def _projected(grad, d, mean_g, slope, scale):
    """A gradient without its mean and without what goes along with x."""
    return (grad - mean_g - d * slope) * scale


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
           mean, var, y.reshape(rows), y.nbytes >= NONTEMPORAL_BYTES, g)  # fmt: skip
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
    weight = np.ones(g.c, x.dtype) if weight is None else weight
    gw = np.empty(g.c, x.dtype) if gw is None else gw
    gb = np.empty(g.c, x.dtype) if gb is None else gb
    rows = (g.n, g.c, g.size)
    gx = None if gx is None else gx.reshape(rows)
    launch(_backward, g.c, PASSES * x.size, x.reshape(rows), _read_only(weight), mean, var,
           gy.reshape(rows), gx, gw, gb, x.nbytes >= NONTEMPORAL_BYTES, g)  # fmt: skip


def _read_only(vector: Array) -> Array:
    """As given ones are, so that the kernel is compiled once."""
    vector.flags.writeable = False
    return vector
