"""A convolution with 3 x 3 taps, of stride 1, that has one channel to a filter; and its gradients.

    y[f, u, v] = bias[f] + sum over i, j of  w[f, i, j] * x[c, u + i dy - pt, v + j dx - pl]
    gw[f, i, j] = sum over u, v of  gy[f, u, v] * x[c, u + i dy - pt, v + j dx - pl]

Of the time for nine multiply-adds a number there is none to waste on moving numbers. A band of a
plane of x is copied into a scratch with its padding, and while the outputs of the band are computed
(:mod:`numseg.kernels.conv.depthwise_vectors`) the next band is fetched from memory.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from numseg.kernels.conv.depthwise_vectors import ROWS, stencil, stencil_sums
from numseg.kernels.conv.epilogue import LINE, Epilogue, apply_epilogue
from numseg.kernels.conv.packing import on_image
from numseg.kernels.conv.problem import Correlation, Problem, WeightGradient
from numseg.kernels.machine.integers import ceil_div
from numseg.kernels.machine.jit import kernel, rule
from numseg.kernels.machine.numbers import as_array, as_fields
from numseg.kernels.machine.scratch import aligned, clear
from numseg.kernels.machine.target import TARGET
from numseg.kernels.machine.threads import launch
from numseg.kernels.machine.vector_copy import clear_rows, copy_rows
from numseg.typing import Array

BAND_BYTES = 32 * 1024
"""Of the scratch, unless it is but a few rows that two bands share."""

_rows, _row = stencil(ROWS), stencil(1)
_sums_of_rows, _sums_of_row = stencil_sums(ROWS), stencil_sums(1)


class DepthwiseWork(NamedTuple):
    """How the work is cut, and all else that the kernels know besides the arrays."""

    images: int
    channels: int  # a group each
    filters: int  # of a channel
    h: int
    w: int
    rows: int  # of y
    columns: int
    dy: int
    dx: int
    pt: int
    first: int  # the column of x that is copied first
    copied: int  # columns from there on
    left: int  # where they lie in a row of the scratch
    at: int  # where the first tap of a row's first output lies
    width: int  # of the scratch
    band: int
    bands: int
    lanes: int


@rule
def pack_band(scratch, x, plane, t0, height, s):
    """What rows of outputs from ``t0`` on read. Columns of padding are zeros, and stay so."""
    rows, row = height + 2 * s.dy, t0 - s.pt
    r0, r1 = on_image(row, 1, s.h, rows)
    first = (plane * s.h + row + r0) * s.w + s.first
    clear_rows(scratch, s.left, s.width, r0, s.copied)
    copy_rows(x, first, s.w, scratch, s.left + r0 * s.width, s.width, r1 - r0, s.copied)
    clear_rows(scratch, s.left + r1 * s.width, s.width, rows - r1, s.copied)


@kernel()
def _correlate(start, stop, x, w, bias, y, epilogue, taps, s):
    """A unit is a band of a plane of y."""
    s = as_fields(s, DepthwiseWork)
    scratch = aligned(np.empty((s.band + 2 * s.dy) * s.width + s.lanes, x.dtype))
    clear(scratch)
    waiting = 0  # planes
    for unit in range(start, stop):
        f, band = divmod(unit, s.bands)
        t0 = band * s.band
        height = min(s.band, s.rows - t0)
        begin, size = (f * s.rows + t0) * s.columns, height * s.columns
        further = (f // s.filters * s.h + t0) * s.w - begin + size
        pack_band(scratch, x, f // s.filters, t0, height, s)
        number = bias[f % len(bias)]
        first = f % len(bias) * 9
        for residue in range(s.dy):  # rows so far apart meet the same rows of pixels
            rows = (height - residue + s.dy - 1) // s.dy
            rest = rows % ROWS
            _rows(scratch, s.at + residue * s.width, s.dy * s.width, s.dx,
                  y, begin + residue * s.columns, s.dy * s.columns, rows - rest, s.columns,
                  x, further, size, w, first, taps, number)  # fmt: skip
            row = residue + (rows - rest) * s.dy
            _row(scratch, s.at + row * s.width, s.dy * s.width, s.dx,
                 y, begin + row * s.columns, s.dy * s.columns, rest, s.columns,
                 x, further, size, w, first, taps, number)  # fmt: skip
        waiting += 1
        if epilogue is not None and (s.bands > 1 or waiting * size >= LINE or unit == stop - 1):
            begin -= (waiting - 1) * size  # with one band, that is a plane
            apply_epilogue(y, begin, size, begin, waiting, epilogue)
            waiting = 0


@kernel()
def _grad_w(start, stop, x, gy, gw, s):
    """A unit is a filter."""
    s = as_fields(s, DepthwiseWork)
    scratch = aligned(np.empty((s.band + 2 * s.dy) * s.width + s.lanes, x.dtype))
    clear(scratch)
    sums = np.empty(9 * s.lanes, x.dtype)
    for unit in range(start, stop):
        clear(sums)
        for cell in range(s.images * s.bands):
            image, band = divmod(cell, s.bands)
            t0 = band * s.band
            height = min(s.band, s.rows - t0)
            plane = image * s.channels + unit // s.filters
            begin = ((image * s.channels * s.filters + unit) * s.rows + t0) * s.columns
            size = height * s.columns
            further = (plane * s.h + t0) * s.w - begin + size
            pack_band(scratch, x, plane, t0, height, s)
            for residue in range(s.dy):
                rows = (height - residue + s.dy - 1) // s.dy
                rest = rows % ROWS
                _sums_of_rows(scratch, s.at + residue * s.width, s.dy * s.width, s.dx,
                              gy, begin + residue * s.columns, s.dy * s.columns, rows - rest,
                              s.columns, x, further, size, sums)  # fmt: skip
                row = residue + (rows - rest) * s.dy
                _sums_of_row(scratch, s.at + row * s.width, s.dy * s.width, s.dx,
                             gy, begin + row * s.columns, s.dy * s.columns, rest,
                             s.columns, x, further, size, sums)  # fmt: skip
        for k in range(9):
            total = gw.dtype.type(0)
            for lane in range(s.lanes):
                total += sums[k * s.lanes + lane]
            gw[unit * 9 + k] = total


def suits(p: Problem) -> bool:
    rows, columns = p.rows, p.columns
    steps = rows.stride == columns.stride == rows.step == columns.step == 1
    return (
        p.channels == 1 and rows.taps == columns.taps == 3 and steps
        and columns.outputs >= TARGET.vector_bytes // p.itemsize
    )  # fmt: skip


def forward(p: Problem) -> Correlation:
    s, rows, columns = _work(p), p.rows, p.columns
    i, j = np.ogrid[:3, :3]
    taps = 3 * (rows.tap_first + rows.tap_step * i) + columns.tap_first + columns.tap_step * j
    taps = taps.reshape(-1)
    filters = p.groups * p.filters
    no_bias = np.zeros(filters, f"f{p.itemsize}")
    no_bias.flags.writeable = False  # as a given one is, or the kernel would be compiled again
    units, numbers = p.images * filters * s.bands, as_array(s)
    work = p.images * filters * s.rows * s.columns * 9 // s.lanes

    def run(x: Array, w: Array, bias: Array | None, y: Array, epilogue: Epilogue | None) -> None:
        start = no_bias if bias is None else bias.view()
        start.flags.writeable = False
        launch(_correlate, units, work, x.reshape(-1), w.reshape(-1), start, y.reshape(-1),
               epilogue, taps, numbers)  # fmt: skip

    return run


def weight_gradient(p: Problem) -> WeightGradient:
    s, filters = _work(p), p.groups * p.filters
    numbers = as_array(s)
    work = p.images * filters * s.rows * s.columns * 9 // s.lanes

    def run(x: Array, gy: Array, gw: Array) -> None:
        launch(_grad_w, filters, work, x.reshape(-1), gy.reshape(-1), gw.reshape(-1), numbers)

    return run


def _work(p: Problem) -> DepthwiseWork:
    rows, columns, itemsize = p.rows, p.columns, p.itemsize
    lanes = TARGET.vector_bytes // itemsize
    dy, dx = rows.dilation, columns.dilation
    left = max(columns.pad, 0)
    first = max(-columns.pad, 0)
    copied = max(min(columns.size, columns.outputs + 2 * dx - columns.pad) - first, 0)
    at = -left % lanes  # pixels of the image lie as vectors do
    width = ceil_div(at + columns.outputs + 2 * dx, lanes) * lanes
    most = max(BAND_BYTES // (width * itemsize) - 2 * dy, 2 * ROWS * dy)
    bands = ceil_div(rows.outputs, most)
    band = ceil_div(rows.outputs, max(bands, 1))
    return DepthwiseWork(
        p.images, p.groups, p.filters, rows.size, columns.size, rows.outputs, columns.outputs,
        dy, dx, rows.pad, first, copied, at + left, at, width, band, bands, lanes,
    )  # fmt: skip
