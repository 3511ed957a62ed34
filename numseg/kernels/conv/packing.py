"""A band of an image, padded and in the cache, laid out for a convolution's taps.

Along each axis output u of a convolution meets pixel ``u * stride + i * dilation - pad`` at tap i
(an ``Axis``). The rows of the image that some rows of outputs read are copied, with their padding,
into a *scratch* that stays in the cache. Strides and dilations are gone once it is filled:

- columns: pixel ``v * stride + j * dilation`` is column ``v + j * dilation // stride`` of the
  *phase* ``j * dilation % stride``; the scratch keeps each phase that some tap meets by itself;
- rows: outputs that are ``dilation / gcd(stride, dilation)`` apart (a *residue* class) read the
  rows of an undilated convolution, of stride ``stride / gcd``. A band is of one class, and that
  stride leaves phases again.

So, wherever it is, an output reads the pixel of a tap at its own place plus an offset that depends
on the tap alone: ``t * width + q + offset[i, c, j]`` for the q-th output of the band's t-th row.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np

from numseg.kernels.conv.problem import Axis
from numseg.kernels.machine.jit import rule
from numseg.kernels.machine.scratch import aligned, clear
from numseg.kernels.machine.target import TARGET
from numseg.kernels.machine.vector_copy import clear_rows, copy_every_second, copy_rows
from numseg.typing import Array


def _cache_bytes() -> int:
    """Of the second-level cache, which each core has for itself."""
    try:
        size = Path("/sys/devices/system/cpu/cpu0/cache/index2/size").read_text()
        return int(size.strip().removesuffix("K")) * 1024
    except (OSError, ValueError):
        return 1024 * 1024


SCRATCH_BYTES = _cache_bytes() // 2
"""A band's scratch takes at most this, unless one row takes more; weights pass through the rest."""

SMALL_IMAGE = 56 * 56
"""Pixels: with fewer, before or after, a convolution may take more memory of its own."""


class Layout(NamedTuple):
    """The scratch: (channels, row phases, column phases, rows, width), and what fills it."""

    h: int
    w: int
    row_stride: int
    row_dilation: int
    row_pad: int
    residues: int
    reduced_stride: int
    row_phases: int
    column_stride: int
    column_dilation: int
    column_pad: int
    column_phases: int
    rows: int
    width: int
    channel: int
    """From a channel to the next."""
    size: int
    as_is: bool
    """A band is rows of the image, and nothing else."""


def memory_share(read: int, written: int, pixels: int) -> int:
    """How much of so many bytes a thread may take for itself: with two threads, an eighth of all
    that a convolution reads and writes, or as much as it reads if its images are small."""
    return (read + written) // 16 if pixels >= SMALL_IMAGE else read // 2


def residue_classes(rows: Axis) -> int:
    """Rows this far apart read an undilated convolution."""
    return rows.dilation // math.gcd(rows.stride, rows.dilation)


def phases(axis: Axis) -> int:
    """How many phases the taps meet: ``i * dilation % stride`` repeats after ``stride / gcd``."""
    return max(min(axis.stride // math.gcd(axis.stride, axis.dilation), axis.taps), 1)


def scratch_rows(rows: Axis, band: int) -> int:
    """Rows of each phase that a band of so many rows reads."""
    return band + max(rows.taps - 1, 0) // phases(rows)


def scratch_width(columns: Axis) -> int:
    return columns.outputs + max(columns.taps - 1, 0) * columns.dilation // columns.stride


def layout(rows: Axis, columns: Axis, channels: int, band: int, itemsize: int) -> Layout:
    """The scratch for so many channels of a band."""
    height, width = scratch_rows(rows, band), scratch_width(columns)
    channel = phases(rows) * phases(columns) * height * width
    if channel * itemsize % 4096 == 0:
        channel += 64 // itemsize  # or all channels would meet in a few sets of the cache
    slack = 9 * TARGET.vector_bytes + max(columns.taps - 1, 0) * columns.dilation // columns.stride
    as_is = all(a[2:6] == (1, 1, 1, 0) and a.size == a.outputs for a in (rows, columns))
    return Layout(
        rows.size, columns.size, rows.stride, rows.dilation, rows.pad, residue_classes(rows),
        rows.stride // math.gcd(rows.stride, rows.dilation), phases(rows),
        columns.stride, columns.dilation, columns.pad, phases(columns),
        height, width, channel, channels * channel + slack,  # a tile may read past the end
        as_is,
    )  # fmt: skip


def tap_offsets(scratch: Layout, rows: Axis, columns: Axis, channels: int) -> Array:
    """``offset[i, c, j]`` in the scratch, from the place of an output."""
    i, c, j = np.ogrid[: rows.taps, :channels, : columns.taps]
    phase = i % scratch.row_phases * scratch.column_phases + j % scratch.column_phases
    row = phase * scratch.rows + i // scratch.row_phases
    column = j * columns.dilation // columns.stride
    return c * scratch.channel + row * scratch.width + column


@rule
def taps_on_image(first, last, residue, taps, layout):
    """The row taps (begin, end) that meet the image in some of the rows ``first`` to ``last`` of a
    residue class: the others would only add zeros."""
    top = (residue + last * layout.residues) * layout.row_stride - layout.row_pad
    begin = min(max((layout.row_dilation - 1 - top) // layout.row_dilation, 0), taps)
    top = (residue + first * layout.residues) * layout.row_stride - layout.row_pad
    end = min(max((layout.h + layout.row_dilation - 1 - top) // layout.row_dilation, begin), taps)
    return begin, end


@rule
def scratch_for(layout, x):
    """Zeros, and no pixel comes where there is padding along the columns."""
    scratch = aligned(np.empty(layout.size, x.dtype))
    clear(scratch)
    return scratch


@rule
def pack(scratch, x, channels, residue, t0, layout):
    """Copy what the band reads that begins with row ``t0`` of its class, and zeros for rows where
    there is no image. Columns of padding stay as :func:`scratch_for` left them. ``x`` begins with
    the first of the channels."""
    plane = layout.h * layout.w
    if layout.as_is:
        size = min(layout.rows, layout.h - t0) * layout.w
        copy_rows(x, t0 * layout.w, plane, scratch, 0, layout.channel, channels, size)
        return
    stride, step = layout.column_stride, layout.reduced_stride * layout.row_dilation
    for row_phase in range(layout.row_phases):
        row = t0 * layout.reduced_stride + row_phase  # in its class
        row = residue * layout.row_stride + row * layout.row_dilation - layout.row_pad
        r0, r1 = on_image(row, step, layout.h, layout.rows)
        for column_phase in range(layout.column_phases):
            left = column_phase * layout.column_dilation % stride - layout.column_pad
            v0, v1 = on_image(left, stride, layout.w, layout.width)
            phase = (row_phase * layout.column_phases + column_phase) * layout.rows * layout.width
            for c in range(channels):
                first = c * plane + (row + r0 * step) * layout.w + left + v0 * stride
                to = c * layout.channel + phase + v0
                clear_rows(scratch, to, layout.width, r0, v1 - v0)
                copy_strided_rows(stride, x, first, step * layout.w,
                                  scratch, to + r0 * layout.width, layout.width,
                                  r1 - r0, v1 - v0)  # fmt: skip
                to += r1 * layout.width
                clear_rows(scratch, to, layout.width, layout.rows - r1, v1 - v0)


@rule
def on_image(first, step, size, count):
    """For which i (begin, end) of so many pixel ``first + i * step`` is one of the image."""
    begin = min(max((step - 1 - first) // step, 0), count)
    return begin, min(max((size + step - 1 - first) // step, begin), count)


@rule
def copy_strided_rows(stride, source, s0, s_step, target, t0, t_step, rows, count):
    """``target[t0 + r * t_step + v] = source[s0 + r * s_step + v * stride]``."""
    if stride == 1:
        copy_rows(source, s0, s_step, target, t0, t_step, rows, count)
    elif stride == 2:
        copy_every_second(source, s0, s_step, target, t0, t_step, rows, count)
    else:
        for r in range(rows):
            for v in range(count):
                target[t0 + r * t_step + v] = source[s0 + r * s_step + v * stride]
