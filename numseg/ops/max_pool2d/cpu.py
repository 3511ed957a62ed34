"""max_pool2d on the CPU. Forward: a unit is an output row. Backward: a unit is a plane.

Forward finds the winner of every column, deals the winners out so that the columns that one tap
reads lie side by side, and lets the taps compete: every loop runs over contiguous numbers.
"""

from __future__ import annotations

import numpy as np

from numseg.kernels.jit import kernel, rule
from numseg.kernels.parallel import launch
from numseg.ops.max_pool2d import Geometry
from numseg.ops.max_pool2d.rules import end_tap, first_tap, wins, wins_at
from numseg.typing import Array

NARROW = np.int32(np.iinfo(np.int32).max)
"""Places up to here are as wide as float32, which makes vectors of as many numbers."""


@rule
def _winners_of_columns(image, row, end, step, best, place):
    """Of every column, the winner among the rows from ``row`` on, and where it is."""
    width = len(best)
    for c in range(width):
        best[c], place[c] = image[row, c], row * width + c
    for r in range(row + step, end, step):
        values, first = image[r], r * width
        for c in range(width):
            if wins(values[c], best[c]):
                best[c], place[c] = values[c], first + c


@rule
def _deal(row, phases, before):
    """Deal out a row, behind ``before`` pixels of padding: every n-th number to phase n."""
    steps = len(phases)
    for phase in range(steps):
        first = (before - phase + steps - 1) // steps if before > phase else 0
        source, target = row[first * steps + phase - before :: steps], phases[phase, first:]
        for k in range(min(len(source), len(target))):
            target[k] = source[k]


@kernel()
def _forward(start, stop, x, y, switches, nowhere, g):
    """``nowhere``: a place after every other, of the integer type that places have."""
    column_best, column_place = np.empty(g.w, x.dtype), np.full(g.w, nowhere)
    # tap j of output q is number q + j * dx // sx of phase j * dx % sx; padding stays as it is
    length = g.ow + (g.kw - 1) * g.dx // g.sx
    values, places = np.empty((g.sx, length), x.dtype), np.full((g.sx, length), nowhere)
    values[:] = -np.inf
    place = np.full(g.ow, nowhere)
    for unit in range(start, stop):
        plane, p = divmod(unit, g.oh)
        best, out = y[plane, p], switches[plane, p]
        best[:], place[:] = -np.inf, nowhere
        top = p * g.sy - g.pt
        i0, i1 = first_tap(top, g.dy), end_tap(top, g.dy, g.kh, g.h)
        if i0 < i1:
            _winners_of_columns(x[plane], top + i0 * g.dy, top + i1 * g.dy, g.dy,
                                column_best, column_place)  # fmt: skip
            _deal(column_best, values, g.pl)
            _deal(column_place, places, g.pl)
            for j in range(g.kw):
                first, phase = divmod(j * g.dx, g.sx)
                here, there = values[phase, first:], places[phase, first:]
                for q in range(g.ow):
                    if wins_at(here[q], there[q], best[q], place[q]):
                        best[q], place[q] = here[q], there[q]
        for q in range(g.ow):
            out[q] = place[q] if place[q] != nowhere else -1


@kernel()
def _backward(start, stop, switches, gy, gx):
    for plane in range(start, stop):
        places, grads, image = switches[plane], gy[plane], gx[plane]
        image[:] = 0
        for i in range(len(grads)):
            if 0 <= places[i] < len(image):  # -1 is no pixel, and the caller may have written more
                image[places[i]] += grads[i]


def forward(x: Array, y: Array, switches: Array, g: Geometry) -> None:
    image, out = (g.n * g.c, g.h, g.w), (g.n * g.c, g.oh, g.ow)
    nowhere = NARROW if g.h * g.w <= NARROW else np.iinfo(np.int64).max
    work = g.n * g.c * g.oh * (g.w * (g.kh + 2) + g.ow * g.kw)
    launch(_forward, g.n * g.c * g.oh, work, x.reshape(image), y.reshape(out),
           switches.reshape(out), nowhere, g)  # fmt: skip


def backward(switches: Array, gy: Array, gx: Array | None, g: Geometry) -> None:
    if gx is None:
        return
    planes, out = (g.n * g.c, g.h * g.w), (g.n * g.c, g.oh * g.ow)
    launch(_backward, g.n * g.c, gx.size, switches.reshape(out), gy.reshape(out),
           gx.reshape(planes))  # fmt: skip
