"""group_norm on the CPU. A unit is a group of an image: contiguous numbers, which stay in the cache
from one pass to the next where they fit. Where planes are single numbers, as layer_norm's are,
loops run over channels, and the gradients of weights are summed up over rows, side by side."""

from __future__ import annotations

import math

import numpy as np

from numseg.kernels.machine.integers import ceil_div
from numseg.kernels.machine.jit import kernel
from numseg.kernels.machine.threads import launch
from numseg.kernels.machine.work_units import ENOUGH_UNITS
from numseg.kernels.reductions.sums import row_product, row_product_of_three, row_squares, row_sum
from numseg.ops.group_norm.geometry import Geometry
from numseg.typing import Array

PASSES = 3
"""Over x: its mean, its variance, the result."""

BLOCK = 512
"""Neighbouring sums that are added to at once: they stay in the first-level cache."""


@kernel({"contract"})
def _forward(start, stop, x, weight, bias, y, mean, var, g):
    """x is (n * groups, channels * size), mean and var are flat."""
    m = max(g.channels * g.size, 1)
    for unit in range(start, stop):
        row, out, first = x[unit], y[unit], unit % g.groups * g.channels
        center = row_sum(row) / m
        spread = row_squares(row, center) / m
        mean[unit], var[unit] = center, spread
        rstd = 1 / math.sqrt(spread + g.eps)
        if g.size == 1:
            scales, shifts = weight[first : first + m], bias[first : first + m]
            for c in range(len(row)):
                out[c] = (row[c] - center) * (scales[c] * rstd) + shifts[c]
            continue
        for c in range(g.channels):
            values, results = row[c * g.size : c * g.size + g.size], out[c * g.size :]
            scale, shift = weight[first + c] * rstd, bias[first + c]
            for i in range(len(values)):
                results[i] = (values[i] - center) * scale + shift


@kernel()
def _backward_rows(start, stop, x, weight, mean, var, gy, gx, g):
    """Of x, where planes are single numbers. Nothing is fused, as below."""
    m = g.channels
    for unit in range(start, stop):
        first = unit % g.groups * m
        row, grad, out, scales = x[unit], gy[unit], gx[unit], weight[first : first + m]
        center, rstd = mean[unit], 1 / math.sqrt(var[unit] + g.eps)
        mean_g = row_product(grad, 0.0, scales) / m
        slope = row_product_of_three(row, center, grad, scales) * rstd / m * rstd
        for c in range(len(row)):
            scale = np.float64(scales[c])
            out[c] = (grad[c] * scale - mean_g - (row[c] - center) * slope) * rstd


@kernel({"contract"})
def _sums_of_rows(start, stop, x, mean, var, gy, sums, g):
    """``sums`` is (parts, 2, C). A unit: a part of the images, a block of a group's channels."""
    parts = len(sums)
    blocks = (g.channels + BLOCK - 1) // BLOCK
    for unit in range(start, stop):
        part, rest = divmod(unit, g.groups * blocks)
        group, block = divmod(rest, blocks)
        first = block * BLOCK
        end = min(first + BLOCK, g.channels)
        at = group * g.channels
        of_g, of_gz = sums[part, 0, at + first : at + end], sums[part, 1, at + first : at + end]
        of_g[:] = 0
        of_gz[:] = 0
        for n in range(part * g.n // parts, (part + 1) * g.n // parts):
            row = n * g.groups + group
            values, grads = x[row, first:end], gy[row, first:end]
            center, rstd = mean[row], 1 / math.sqrt(var[row] + g.eps)
            for i in range(len(values)):
                of_g[i] += grads[i]
                of_gz[i] += (values[i] - center) * rstd * grads[i]


@kernel()
def _backward(start, stop, x, weight, mean, var, gy, gx, sums, g):
    """``sums`` is (n * groups * channels, 2): of grad_y, and of grad_y times the normalised x.

    Nothing is fused, so that the gradient of a single value, minus its own mean, is 0.
    """
    m = max(g.channels * g.size, 1)
    for unit in range(start, stop):
        first = unit % g.groups * g.channels
        center, rstd = mean[unit], 1 / math.sqrt(var[unit] + g.eps)
        mean_g = slope = 0.0
        for c in range(g.channels):
            part = slice(c * g.size, c * g.size + g.size)
            sum_g = row_sum(gy[unit, part])
            sum_gz = row_product(x[unit, part], center, gy[unit, part]) * rstd
            sums[unit * g.channels + c, 0] = sum_g
            sums[unit * g.channels + c, 1] = sum_gz
            mean_g += sum_g * weight[first + c] / m
            slope += sum_gz * weight[first + c] / m * rstd
        if gx is not None:
            for c in range(g.channels):
                part = slice(c * g.size, c * g.size + g.size)
                values, grad, out = x[unit, part], gy[unit, part], gx[unit, part]
                scale = np.float64(weight[first + c])
                for i in range(len(values)):
                    out[i] = (grad[i] * scale - mean_g - (values[i] - center) * slope) * rstd


def forward(
    x: Array, weight: Array | None, bias: Array | None, y: Array, mean: Array, var: Array,
    g: Geometry,
) -> None:  # fmt: skip
    launch(_forward, g.n * g.groups, PASSES * x.size, _groups(x, g), _vector(weight, 1, x, g),
           _vector(bias, 0, x, g), _groups(y, g), mean.reshape(-1), var.reshape(-1), g)  # fmt: skip


@np.errstate(all="ignore")  # infinities and NaN come and go as in kernels
def backward(
    x: Array, weight: Array | None, mean: Array, var: Array, gy: Array, gx: Array | None,
    gw: Array | None, gb: Array | None, g: Geometry,
) -> None:  # fmt: skip
    if g.size == 1:
        _backward_of_rows(x, weight, mean, var, gy, gx, gw, gb, g)
        return
    sums = np.empty((g.n * g.groups * g.channels, 2))
    launch(_backward, g.n * g.groups, PASSES * x.size, _groups(x, g), _vector(weight, 1, x, g),
           mean.reshape(-1), var.reshape(-1), _groups(gy, g),
           None if gx is None else _groups(gx, g), sums, g)  # fmt: skip
    of_channels = sums.reshape(g.n, g.groups * g.channels, 2)
    if gw is not None:
        gw[...] = of_channels[..., 1].sum(0)
    if gb is not None:
        gb[...] = of_channels[..., 0].sum(0)


def _backward_of_rows(
    x: Array, weight: Array | None, mean: Array, var: Array, gy: Array, gx: Array | None,
    gw: Array | None, gb: Array | None, g: Geometry,
) -> None:  # fmt: skip
    given = _groups(x, g), mean.reshape(-1), var.reshape(-1), _groups(gy, g)
    if gx is not None:
        launch(_backward_rows, g.n * g.groups, PASSES * x.size, given[0], _vector(weight, 1, x, g),
               *given[1:], _groups(gx, g), g)  # fmt: skip
    if gw is None and gb is None:
        return
    units = g.groups * ceil_div(g.channels, BLOCK)
    sums = np.empty((min(g.n, ceil_div(ENOUGH_UNITS, units)), 2, g.groups * g.channels))
    launch(_sums_of_rows, len(sums) * units, x.size, *given, sums, g)
    of_g, of_gz = sums.sum(0)
    if gw is not None:
        gw.reshape(-1)[...] = of_gz
    if gb is not None:
        gb.reshape(-1)[...] = of_g


def _groups(array: Array, g: Geometry) -> Array:
    return array.reshape(g.n * g.groups, g.channels * g.size)


def _vector(given: Array | None, default: float, x: Array, g: Geometry) -> Array:
    """Read-only as given ones are, so that the kernel is compiled once."""
    if given is None:
        given = np.full(g.groups * g.channels, default, x.dtype)
        given.flags.writeable = False
    return given.reshape(-1)
