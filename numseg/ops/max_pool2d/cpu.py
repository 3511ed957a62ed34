"""max_pool2d on the CPU. Forward: a unit is an output row. Backward: a unit is a plane.

Windows of 2 x 2 and 3 x 3 with stride 2 have a kernel of their own. For others, forward finds the
winner of every column, deinterleaves the winners so that the columns that one tap reads lie side by
side, and lets the taps compete: every loop runs over contiguous numbers.
"""

from __future__ import annotations

import numpy as np

from numseg.kernels.machine.integers import ceil_div
from numseg.kernels.machine.jit import kernel, rule
from numseg.kernels.machine.target import TARGET
from numseg.kernels.machine.threads import launch
from numseg.kernels.machine.vector_copy import PREFETCH_ROW_BYTES, prefetch
from numseg.kernels.pooling.bins import NARROW, largest, winners_of_columns
from numseg.kernels.pooling.maxima import ties, wins_at
from numseg.kernels.pooling.scatter import scatter_add
from numseg.kernels.pooling.windows import winners
from numseg.ops.max_pool2d.geometry import Geometry
from numseg.ops.max_pool2d.rules import end_tap, first_tap, index_of, place_of
from numseg.typing import Array

_winners_2, _winners_3 = winners(2), winners(3)


@rule
def _replace_nan(best, place, nowhere):
    for c in range(len(best)):
        if best[c] != best[c]:
            best[c], place[c] = -np.inf, nowhere


@rule
def _deinterleave(row, phases, before):
    """Deinterleave a row, behind ``before`` pixels of padding: every n-th number to phase n."""
    steps = len(phases)
    for phase in range(steps):
        first = (before - phase + steps - 1) // steps if before > phase else 0
        source, target = row[first * steps + phase - before :: steps], phases[phase, first:]
        for k in range(min(len(source), len(target))):
            target[k] = source[k]


@rule
def _finish_row(image, top, best, out, base, g):
    """Of a row of windows: is the largest pixel large enough, and what is its switch?"""
    i = first_tap(top, g.dy)
    for q in range(g.ow):
        if g.first_nan and i < end_tap(top, g.dy, g.kh, g.h):
            left = q * g.sx - g.pl
            j = first_tap(left, g.dx)
            row, column = top + i * g.dy, left + j * g.dx
            if j < end_tap(left, g.dx, g.kw, g.w) and image[row, column] != image[row, column]:
                best[q], out[q] = image[row, column], row * g.w + column
        if out[q] < 0 or (best[q] <= g.lowest and g.lowest > -np.inf):
            best[q], out[q] = g.lowest, -1
        if out[q] >= 0:
            out[q] = index_of(out[q], base, g.row, g.column, g.w)


@kernel()
def _forward(start, stop, x, y, switches, nowhere, plain, g):
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
            winners_of_columns(x[plane], top + i0 * g.dy, top + i1 * g.dy, g.dy, g.drop_nan,
                                column_best, column_place)  # fmt: skip
            if g.drop_nan:
                _replace_nan(column_best, column_place, nowhere)
            _deinterleave(column_best, values, g.pl)
            _deinterleave(column_place, places, g.pl)
            for j in range(g.kw):
                first, phase = divmod(j * g.dx, g.sx)
                here, there = values[phase, first:], places[phase, first:]
                for q in range(g.ow):
                    if wins_at(here[q], there[q], best[q], place[q]):
                        best[q], place[q] = here[q], there[q]
        for q in range(g.ow):
            out[q] = place[q] if place[q] != nowhere else -1
        if not plain:
            n, c = divmod(plane, g.c)
            _finish_row(x[plane], top, best, out, n * g.image + c * g.channel, g)


@rule
def _at_edge(x, plane, rows, left, g):
    """The winner of a window whose columns are partly off the image, and its place. No branches:
    which pixel wins is a matter of chance."""
    place = rows[0] + min(max(left, 0), g.w - 1)
    best = x[plane + place]
    for i in range(g.kh):
        for j in range(g.kw):
            here = rows[i] + min(max(left + j, 0), g.w - 1)
            value = x[plane + here]
            won = (value > best) | (value != value)
            best, place = value if won else best, here if won else place
    return best, place


@kernel()
def _forward_small(start, stop, x, y, switches, whole, end, g):
    """From ``whole`` to ``end`` all columns of a window are on the image, or all but the one to the
    left of it."""
    rows, left = np.zeros(3, np.int64), whole * g.sx - g.pl
    for unit in range(start, stop):
        n, p = divmod(unit, g.oh)
        plane, top, out = n * g.h * g.w, p * g.sy - g.pt, unit * g.ow
        for i in range(g.kh):  # off the image, the next row on it: again, which changes nothing
            rows[i] = min(max(top + i, 0), g.h - 1) * g.w
        ahead = plane + (top + g.kh) * g.w + PREFETCH_ROW_BYTES // x.itemsize
        prefetch(x, ahead, ahead + g.sy * g.w)
        if g.kw == 2:
            _winners_2(x, plane, rows, left, y, switches, out + whole, end - whole)
        else:
            _winners_3(x, plane, rows, left, y, switches, out + whole, end - whole)
        for edge in range(whole + g.ow - end):
            q = edge if edge < whole else edge - whole + end
            y[out + q], switches[out + q] = _at_edge(x, plane, rows, q * g.sx - g.pl, g)


@kernel()
def _mark(start, stop, x, y, switches, tied, g):
    """Which pixels are as large as the winner. A unit is an output row."""
    for unit in range(start, stop):
        plane, p = divmod(unit, g.oh)
        for q in range(g.ow):
            largest, marks = y[plane, p, q], tied[plane, p, q]
            for i in range(g.kh):
                row = p * g.sy - g.pt + i * g.dy
                for j in range(g.kw):
                    column = q * g.sx - g.pl + j * g.dx
                    mark = False
                    if switches[plane, p, q] >= 0 and 0 <= row < g.h and 0 <= column < g.w:
                        mark = ties(x[plane, row, column], largest)
                    marks[i * g.kw + j] = mark


@kernel()
def _backward(start, stop, switches, gy, gx):
    for plane in range(start, stop):
        # -1 is no pixel, and the caller may have written more
        scatter_add(switches[plane], gy[plane], gx[plane], 0)


@kernel()
def _backward_by_index(start, stop, switches, gy, gx, g):
    """The same for switches of another layout."""
    for plane in range(start, stop):
        n, c = divmod(plane, g.c)
        base = n * g.image + c * g.channel
        indices, grads, image = switches[plane], gy[plane], gx[plane]
        image[:] = 0
        for i in range(len(grads)):
            place = place_of(indices[i], base, g.row, g.column, g.h, g.w)
            if place >= 0:
                image[place] += grads[i]


@kernel()
def _share(start, stop, tied, gy, gx, g):
    """The gradient of what is tied, in row-major order of the windows. A unit is a plane."""
    for plane in range(start, stop):
        gx[plane] = 0
        for p in range(g.oh):
            for q in range(g.ow):
                marks, share = tied[plane, p, q], gy[plane, p, q]
                if g.split:
                    share /= gx.dtype.type(max(np.count_nonzero(marks), 1))
                for i in range(g.kh):
                    row = p * g.sy - g.pt + i * g.dy
                    for j in range(g.kw):
                        column = q * g.sx - g.pl + j * g.dx
                        # the caller may have written more marks
                        if marks[i * g.kw + j] and 0 <= row < g.h and 0 <= column < g.w:
                            gx[plane, row, column] += share


def forward(x: Array, y: Array, switches: Array, tied: Array, g: Geometry) -> None:
    image, out = (g.n * g.c, g.h, g.w), (g.n * g.c, g.oh, g.ow)
    # from one window to the next is never farther than off the image: there are rows of phases
    g = g._replace(sx=max(min(g.sx, g.w + g.pl), 1))
    if g.plain and _one_window_has_all(g):
        flat = g.n, g.c
        largest(x, [(0, g.h, 0)], [(0, g.w, 0)], y.reshape(flat), switches.reshape(flat))
    elif span := _small(g, y.itemsize):
        launch(_forward_small, g.n * g.c * g.oh, y.size * g.kh * g.kw, x.reshape(-1),
               y.reshape(-1), switches.reshape(-1), *span, g)  # fmt: skip
    else:
        nowhere = NARROW if g.h * g.w <= NARROW else np.iinfo(np.int64).max
        work = g.n * g.c * g.oh * (g.w * (g.kh + 2) + g.ow * g.kw)
        launch(_forward, g.n * g.c * g.oh, work, x.reshape(image), y.reshape(out),
               switches.reshape(out), nowhere, g.plain, g)  # fmt: skip
    if g.shared:
        launch(_mark, g.n * g.c * g.oh, tied.size, x.reshape(image), y.reshape(out),
               switches.reshape(out), tied.reshape(*out, g.kh * g.kw), g)  # fmt: skip


def _small(g: Geometry, itemsize: int) -> tuple[int, int] | None:
    """What ``_forward_small`` needs to know, if the windows are such that it can be used: they
    always have a pixel on the image, and there is a vector of them in a row."""
    window = g.kh == g.kw in (2, 3) and (g.sy, g.sx, g.dy, g.dx) == (2, 2, 1, 1)
    on_image = (g.oh - 1) * 2 - g.pt < g.h and (g.ow - 1) * 2 - g.pl < g.w
    if not (g.plain and window and on_image and g.h * g.w <= NARROW):
        return None
    whole = 0 if (g.kw, g.pl) == (3, 1) else ceil_div(g.pl, 2)
    end = min((g.w - g.kw + g.pl) // 2 + 1, g.ow)
    return (whole, end) if end - whole >= TARGET.vector_bytes // itemsize else None


def _one_window_has_all(g: Geometry) -> bool:
    one = (g.oh, g.ow, g.dy, g.dx) == (1, 1, 1, 1) and 0 not in (g.h, g.w)
    return one and g.pt + g.h <= g.kh and g.pl + g.w <= g.kw


def backward(switches: Array, tied: Array, gy: Array, gx: Array | None, g: Geometry) -> None:
    if gx is None:
        return
    planes, out = (g.n * g.c, g.h * g.w), (g.n * g.c, g.oh * g.ow)
    if g.shared:
        windows = g.n * g.c, g.oh, g.ow
        launch(_share, g.n * g.c, tied.size, tied.reshape(*windows, g.kh * g.kw),
               gy.reshape(windows), gx.reshape(g.n * g.c, g.h, g.w), g)  # fmt: skip
    elif g.plain:
        launch(_backward, g.n * g.c, gx.size, switches.reshape(out), gy.reshape(out),
               gx.reshape(planes))  # fmt: skip
    else:
        launch(_backward_by_index, g.n * g.c, gx.size, switches.reshape(out), gy.reshape(out),
               gx.reshape(planes), g)  # fmt: skip
