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

import functools
from typing import NamedTuple

import numpy as np

from numseg.kernels.conv.packing import (
    Axis,
    Layout,
    ceil_div,
    fill,
    layout,
    scratch_for,
    tap_offsets,
)
from numseg.kernels.machine.jit import kernel
from numseg.kernels.machine.memcpy import copy
from numseg.kernels.machine.micro_kernel import micro_kernel
from numseg.kernels.machine.target import TARGET
from numseg.kernels.machine.threads import launch
from numseg.typing import Array

TILE = (6, 4) if TARGET.registers == 32 else (6, 2)
"""Blocks x vectors of weights."""

_tile = micro_kernel(*TILE)


class Stamp(NamedTuple):
    """Along one axis: pixel p spreads to outputs ``p * stride + i - pad``, ``i < taps``."""

    size: int
    """Pixels."""
    outputs: int
    taps: int
    stride: int
    pad: int

    @property
    def overlap(self) -> int:
        """How many pixels spread over a block, at most."""
        return ceil_div(self.taps, self.stride)

    @property
    def axis(self) -> Axis:
        """The blocks as outputs of a convolution of stride 1."""
        blocks = ceil_div(self.outputs + self.pad, self.stride)
        return Axis(self.size, blocks, self.overlap, 1, 1, self.overlap - 1)


class Sizes(NamedTuple):
    """All that the kernel knows besides the arrays and tables."""

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
def _spread(start, stop, x, w, y, rows, out_rows, vectors, out_vectors, steps, layout, s):
    """A unit is a row of blocks, in all channels."""
    scratch = scratch_for(layout, x)
    width = s.column_blocks * s.sx
    blocks = np.empty(s.sy * width, x.dtype)
    for unit in range(start, stop):
        rest, u = divmod(unit, s.row_blocks)
        fill(scratch, x[rest * s.filters * layout.h * layout.w :], s.filters, 0, u, layout)
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


def spread(x: Array, w: Array, y: Array, groups: int, rows: Stamp, columns: Stamp) -> None:
    """Fill y, (N, C, H, W), from x, (N, F, h, w), and w, (F, C / groups, KH, KW)."""
    filters, channels = x.shape[1] // groups, y.shape[1] // groups
    tables, scratch = _plan(rows, columns, filters, x.itemsize)
    taps = rows.taps * columns.taps
    by_channel = w.reshape(groups, filters, channels, taps).swapaxes(1, 2).copy()
    by_channel.flags.writeable = False
    s = Sizes(
        groups, filters, channels, filters * taps, rows.axis.outputs, columns.axis.outputs,
        rows.outputs, columns.outputs, rows.stride, columns.stride, rows.pad, columns.pad,
    )  # fmt: skip
    units = x.shape[0] * groups * s.row_blocks
    launch(_spread, units, y.size * len(tables[-1]) // TARGET.vector_bytes, x.reshape(-1),
           by_channel.reshape(-1), y.reshape(-1), *tables, scratch, s)  # fmt: skip


@functools.lru_cache(maxsize=64)
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
