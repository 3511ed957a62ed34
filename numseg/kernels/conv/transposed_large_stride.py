"""The transposed convolution for strides of a vector and more that divide the kernel, as in FCN's
64x64 of stride 32.

    y[n, c, u s + a, v s + b] =
        sum over f, i, j of  x[n, f, u - i, v - j] * w[f, c, i s + a, j s + b]

One number of x spreads over blocks of s x s outputs, and neighbours in a block are neighbours in
w. So the vectors of the micro-kernel are weights here, its rows are blocks (u, v), and what it
broadcasts are pixels. (Phase by phase, as for small strides, each output of a phase would lie in a
cache line of its own.) Whole blocks are computed, then cut to y.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from numseg.kernels.conv.epilogue import Epilogue
from numseg.kernels.conv.packing import Layout, layout, pack, scratch_for, tap_offsets
from numseg.kernels.conv.problem import Correlation, Problem
from numseg.kernels.conv.stamp import Stamp, stamps
from numseg.kernels.machine.integers import ceil_div
from numseg.kernels.machine.jit import kernel
from numseg.kernels.machine.memcpy import copy
from numseg.kernels.machine.micro_kernel import micro_kernel
from numseg.kernels.machine.numbers import as_array, as_fields
from numseg.kernels.machine.target import TARGET
from numseg.kernels.machine.threads import launch
from numseg.typing import Array

TILE = (6, 4) if TARGET.registers == 32 else (6, 2)
"""Blocks x vectors of weights."""

_tile = micro_kernel(*TILE)


class LargeStrideWork(NamedTuple):
    """How the work is cut, and all else that the kernel knows besides arrays and tables."""

    groups: int
    filters: int  # channels of x, in a group
    channels: int  # of y, in a group
    weights: int  # from a channel of y to the next
    row_blocks: int
    column_blocks: int
    h: int  # of y
    w: int
    sy: int
    sx: int
    pt: int
    pl: int


@kernel()
def _transposed(start, stop, x, w, y, rows, out_rows, vectors, out_vectors, steps, layout, s):
    """A unit is a row of blocks, in all channels."""
    layout, s = as_fields(layout, Layout), as_fields(s, LargeStrideWork)
    scratch = scratch_for(layout, x)
    width = s.column_blocks * s.sx
    blocks = np.empty(s.sy * width, x.dtype)
    for unit in range(start, stop):
        rest, u = divmod(unit, s.row_blocks)
        pack(scratch, x[rest * s.filters * layout.h * layout.w :], s.filters, 0, u, layout)
        for c in range(s.channels):
            channel = rest * s.channels + c
            weights = w[(rest % s.groups * s.channels + c) * s.weights :]
            for i in range(0, len(rows), _ROWS):
                for j in range(0, len(vectors), _VECTORS):
                    _tile(scratch, rows, i, weights, vectors, j, steps, 0, len(steps),
                          blocks, out_rows, i, out_vectors, j, None)  # fmt: skip
            for a in range(max(s.pt - u * s.sy, 0), min(s.h + s.pt - u * s.sy, s.sy)):
                target = (channel * s.h + u * s.sy + a - s.pt) * s.w
                source = a * width + s.pl
                copy(blocks[source : source + s.w], y[target : target + s.w])


_ROWS, _VECTORS = TILE


def suits(p: Problem) -> bool:
    """Strides divide the kernel, and blocks of outputs are a vector wide."""
    (kh, kw), (sy, sx) = p.kernel, (p.rows.stride, p.columns.stride)
    wide = sx * p.itemsize >= TARGET.vector_bytes
    return stamps(p) is not None and kh % sy == kw % sx == 0 and wide


def input_gradient(p: Problem) -> Correlation:
    """Fill (N, C, H, W) from (N, F, h, w), and w, (F, C / groups, KH, KW)."""
    both = stamps(p)
    assert both
    rows, columns = both
    groups, filters, channels, taps = p.groups, p.filters, p.channels, p.taps
    tables, scratch = _plan(rows, columns, filters, p.itemsize)
    s = LargeStrideWork(
        groups, filters, channels, filters * taps, rows.axis.outputs, columns.axis.outputs,
        rows.outputs, columns.outputs, rows.stride, columns.stride, rows.pad, columns.pad,
    )  # fmt: skip
    units = p.images * groups * s.row_blocks
    outputs = p.images * groups * channels * s.h * s.w
    work = outputs * len(tables[-1]) // TARGET.vector_bytes

    numbers = as_array(scratch), as_array(s)

    def run(x: Array, w: Array, bias: Array | None, y: Array, epilogue: Epilogue | None) -> None:
        by_channel = w.reshape(groups, filters, channels, taps).swapaxes(1, 2).copy()
        by_channel.flags.writeable = False
        launch(_transposed, units, work, x.reshape(-1), by_channel.reshape(-1), y.reshape(-1),
               *tables, *numbers)  # fmt: skip

    return run


def _plan(
    rows: Stamp, columns: Stamp, filters: int, itemsize: int
) -> tuple[tuple[Array, ...], Layout]:
    lanes = TARGET.vector_bytes // itemsize
    scratch = layout(rows.axis, columns.axis, filters, 1, itemsize)
    v = np.arange(ceil_div(columns.axis.outputs, TILE[0]) * TILE[0])
    v = np.minimum(v, columns.axis.outputs - 1)
    a, b = np.ogrid[: rows.stride, : columns.stride : lanes]
    b = np.minimum(b, columns.stride - lanes)  # the last vector ends with the block
    width = columns.overlap * columns.stride
    vectors = (a * width + b).reshape(-1)
    out_vectors = (a * columns.axis.outputs * columns.stride + b).reshape(-1)
    last = np.minimum(np.arange(ceil_div(len(vectors), TILE[1]) * TILE[1]), len(vectors) - 1)
    # the first tap of a block is the pixel furthest back, which has the last weights
    i, f, j = np.ogrid[: rows.overlap, :filters, : columns.overlap]
    row, column = rows.overlap - 1 - i, columns.overlap - 1 - j
    weight = (f * rows.overlap + row) * rows.stride * width + column * columns.stride
    pixel = tap_offsets(scratch, rows.axis, columns.axis, filters)
    steps = np.stack(np.broadcast_arrays(pixel, weight), -1).reshape(-1, 2).astype(np.int64)
    return (v, v * columns.stride, vectors[last], out_vectors[last], steps), scratch
