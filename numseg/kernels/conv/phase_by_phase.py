"""The gradient of a convolution with respect to its image, as convolutions of stride 1.

The pixels a stride apart form a *phase*. In a phase, the gradient is a convolution of gy with the
taps that meet it, last tap first.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from numseg.kernels.conv import pixel_panels
from numseg.kernels.conv.epilogue import Epilogue, epilogue_pass
from numseg.kernels.conv.problem import Axis, Correlation, Problem
from numseg.kernels.machine.integers import ceil_div
from numseg.kernels.machine.jit import kernel
from numseg.kernels.machine.target import TARGET
from numseg.kernels.machine.threads import launch
from numseg.kernels.machine.transpose import transpose
from numseg.kernels.machine.vector_copy import copy_rows
from numseg.typing import Array

SMALL = 32 * 32
"""Pixels of an image whose phases are computed apart."""

BLOCK = 64
"""Channels of a unit: of a filter they lie side by side, so that few pages are read at once."""


@kernel()
def _swap(start, stop, w, swapped, filters, channels, taps, lanes):
    """Filters and channels change places. A unit is a block of channels of a group."""
    blocks = (channels + BLOCK - 1) // BLOCK
    for unit in range(start, stop):
        group, block = divmod(unit, blocks)
        first = block * BLOCK
        count = min(BLOCK, channels - first)
        source = w[(group * filters * channels + first) * taps :]
        target = swapped[(group * channels + first) * filters * taps :]
        if taps == 1:
            transpose(source, channels, filters, count, target, filters, lanes)
            continue
        for f in range(filters):
            copy_rows(source, f * channels * taps, taps, target, f * taps, filters * taps, count,
                      taps)  # fmt: skip


def input_gradient(p: Problem, convolution: Callable[[Problem], Correlation]) -> Correlation:
    """``convolution`` chooses how each phase is computed."""
    phases = [convolution(part) for part in _phases(p)]
    swap = _swapper(p)

    def run(gy: Array, w: Array, bias: Array | None, gx: Array, epilogue: Epilogue | None) -> None:
        w = swap(w)
        for correlation in phases:
            correlation(gy, w, bias, gx, epilogue)

    return run


def suits_apart(p: Problem) -> bool:
    """Small images, whose phases are most of them a few taps of many channels."""
    return (
        p.rows.stride * p.columns.stride > 1
        and p.rows.size * p.columns.size <= SMALL
        and all(pixel_panels.suits(_alone(part)) for part in _phases(p) if part.taps > 0)
    )


def input_gradient_apart(p: Problem, convolution: Callable[[Problem], Correlation]) -> Correlation:
    """Each phase in an array of its own, where its pixels lie side by side."""
    phases = [(part, convolution(_alone(part))) for part in _phases(p)]
    swap = _swapper(p)

    def run(gy: Array, w: Array, bias: Array | None, gx: Array, epilogue: Epilogue | None) -> None:
        w = swap(w)
        for part, correlation in phases:
            rows, columns = part.rows, part.columns
            alone = np.empty((*gx.shape[:2], rows.outputs, columns.outputs), gx.dtype)
            correlation(gy, w, bias, alone, None)
            gx[:, :, rows.first :: rows.step, columns.first :: columns.step] = alone
        epilogue_pass(gx, epilogue)

    return run


def _alone(part: Problem) -> Problem:
    rows, columns = (a._replace(first=0, step=1) for a in (part.rows, part.columns))
    return part._replace(rows=rows, columns=columns, height=rows.outputs, width=columns.outputs)


def _phases(p: Problem) -> list[Problem]:
    rows, columns = ([phase(axis, first) for first in range(min(axis.stride, axis.size))]
                     for axis in (p.rows, p.columns))  # fmt: skip
    turned = p._replace(
        channels=p.filters, filters=p.channels, height=p.rows.size, width=p.columns.size
    )
    return [turned._replace(rows=r, columns=c).met for r in rows for c in columns]


def _swapper(p: Problem) -> Callable[[Array], Array]:
    """Filters and channels change places, or every weight of a channel lay in another page."""
    taps, units = p.kernel[0] * p.kernel[1], p.groups * ceil_div(p.channels, BLOCK)
    lanes = TARGET.vector_bytes // p.itemsize

    def swap(w: Array) -> Array:
        if p.filters == 1 or p.channels == 1:
            return w
        swapped = np.empty((p.groups, p.channels, p.filters, taps), w.dtype)
        launch(_swap, units, w.size, w.reshape(-1), swapped.reshape(-1), p.filters, p.channels,
               taps, lanes)  # fmt: skip
        swapped.flags.writeable = False  # as w is, or the kernel would be compiled again
        return swapped

    return swap


def phase(axis: Axis, first: int) -> Axis:
    """The pixels ``first + s * u``, u = 0, 1, ...: which taps meet them, and at which outputs.

    Tap i meets pixel z at output p where ``p * s + i * d - pad = z``. The taps for which s divides
    ``z + pad - i * d`` are ``apart = s / gcd(s, d)`` apart, and from one to the next p falls by
    ``d / gcd(s, d)``.
    """
    s, d, pad = axis.stride, axis.dilation, axis.pad
    apart, pixels = s // math.gcd(s, d), -(-(axis.size - first) // s)
    taps = [i for i in range(axis.taps) if (first + pad - i * d) % s == 0]
    if not taps:
        return Axis(axis.outputs, pixels, 0, 1, 1, 0, first, s)
    last = taps[-1]  # meets the smallest p
    return Axis(
        size=axis.outputs,
        outputs=pixels,
        taps=len(taps),
        stride=1,
        dilation=d * apart // s,
        pad=-((first + pad - last * d) // s),
        first=first,
        step=s,
        tap_first=last,
        tap_step=-apart,
    )
