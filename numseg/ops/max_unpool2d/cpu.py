"""max_unpool2d on the CPU. A unit is a plane."""

from __future__ import annotations

import numpy as np

from numseg.kernels.machine.jit import kernel, rule
from numseg.kernels.machine.threads import launch
from numseg.kernels.machine.vector_copy import PREFETCH_ROW_BYTES, prefetch
from numseg.kernels.pooling.scatter import CHUNK, clear_up_to
from numseg.ops.max_pool2d.rules import place_of
from numseg.ops.max_unpool2d.geometry import Geometry
from numseg.typing import Array


@kernel()
def _places(start, stop, switches, places, g):
    """Switches of any layout as places in the output plane; -1 is none."""
    for plane in range(start, stop):
        n, c = divmod(plane, g.c)
        base, indices, out = n * g.image + c * g.channel, switches[plane], places[plane]
        for i in range(len(out)):
            place = place_of(np.int64(indices[i]), base, g.row, g.column, g.ih, g.iw)
            out[i] = place // g.iw * g.ow + place % g.iw if place >= 0 else -1


@kernel()
def _forward(start, stop, x, places, y, summed):
    for plane in range(start, stop):
        image, clear = y[plane], 0
        for first in range(0, places.shape[1], CHUNK):
            at, values = places[plane, first : first + CHUNK], x[plane, first : first + CHUNK]
            clear, inside = clear_up_to(image, clear, at)
            if not inside:  # somebody has written to the switches since they were checked
                continue
            if summed:
                for i in range(len(at)):
                    image[np.uint64(at[i])] += values[i]
            else:
                for i in range(len(at)):
                    image[np.uint64(at[i])] = values[i]
        image[clear:] = 0


@rule
def _pick(places, image, grads, g):
    """Gradients for values that have four pixels each to choose from, so that no switch repeats, as
    those of 2 x 2 pooling do not. False if that is not so."""
    for p in range(g.h):
        top, strays = 2 * p * g.ow, 0
        at, out = places[p * g.w : (p + 1) * g.w], grads[p * g.w : (p + 1) * g.w]
        ahead = top + PREFETCH_ROW_BYTES // image.itemsize
        prefetch(image, ahead, ahead + 2 * g.ow)
        for q in range(len(at)):
            place = np.int64(at[q]) - top - 2 * q
            place -= g.ow if place >= g.ow else 0
            strays += not 0 <= place < 2
        if strays > 0:
            return False
        for q in range(len(at)):
            out[q] = image[np.uint64(at[q])]
    return True


@kernel()
def _backward(start, stop, places, gy, gx, all_get, g):
    size, count = gy.shape[1], places.shape[1]
    cells = g.oh >= 2 * g.h and g.ow >= 2 * g.w
    seen = np.empty(size, np.bool_)
    for plane in range(start, stop):
        at, image, grads = places[plane], gy[plane], gx[plane]
        if cells and _pick(at, image, grads, g):
            continue
        seen[:] = False
        for number in range(count):  # the last first: that is the one that stayed
            i = np.uint64(count - 1 - number)
            place, grad = np.uint64(at[i]), gx.dtype.type(0)
            if place < np.uint64(size):  # the caller may have written to the switches
                grad = grad if seen[place] else image[place]
                seen[place] = not all_get
            grads[i] = grad


def forward(x: Array, switches: Array, y: Array, g: Geometry) -> None:
    small, large = (g.n * g.c, g.h * g.w), (g.n * g.c, g.oh * g.ow)
    launch(_forward, g.n * g.c, y.size, x.reshape(small), _in_planes(switches, g),
           y.reshape(large), g.summed)  # fmt: skip


def backward(switches: Array, gy: Array, gx: Array | None, g: Geometry) -> None:
    if gx is None:
        return
    small, large = (g.n * g.c, g.h * g.w), (g.n * g.c, g.oh * g.ow)
    launch(_backward, g.n * g.c, 2 * gx.size, _in_planes(switches, g), gy.reshape(large),
           gx.reshape(small), g.all_get, g)  # fmt: skip


def _in_planes(switches: Array, g: Geometry) -> Array:
    indices = switches.reshape(g.n * g.c, g.h * g.w)
    if g.plain:
        return indices
    places = np.empty(indices.shape, np.int64)
    launch(_places, len(indices), 4 * indices.size, indices, places, g)
    places.flags.writeable = False
    return places
