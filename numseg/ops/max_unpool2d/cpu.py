"""max_unpool2d on the CPU. A unit is a plane."""

from __future__ import annotations

import numpy as np

from numseg.kernels.jit import kernel
from numseg.kernels.parallel import launch
from numseg.ops.max_pool2d.rules import place_of
from numseg.ops.max_unpool2d import Geometry
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
def _forward(start, stop, y, places, x, summed):
    for plane in range(start, stop):
        x[plane] = 0
        values, at, image = y[plane], places[plane], x[plane]
        if summed:
            for i in range(len(values)):
                image[at[i]] += values[i]
        else:
            for i in range(len(values)):
                image[at[i]] = values[i]


@kernel()
def _backward(start, stop, places, gx, gy, all_get):
    size = gx.shape[1]
    last = np.empty(size, np.int64)  # who wrote last; read only where somebody wrote
    for plane in range(start, stop):
        at, image, grads = places[plane], gx[plane], gy[plane]
        # the caller may have written to the switches since forward checked them
        for i in range(0 if all_get else len(at)):
            if 0 <= at[i] < size:
                last[at[i]] = i
        for i in range(len(at)):
            on_plane = 0 <= at[i] < size
            grads[i] = image[at[i]] if on_plane and (all_get or last[at[i]] == i) else 0


def forward(y: Array, switches: Array, x: Array, g: Geometry) -> None:
    small, large = (g.n * g.c, g.h * g.w), (g.n * g.c, g.oh * g.ow)
    launch(_forward, g.n * g.c, x.size, y.reshape(small), _in_planes(switches, g),
           x.reshape(large), g.summed)  # fmt: skip


def backward(switches: Array, gx: Array, gy: Array | None, g: Geometry) -> None:
    if gy is None:
        return
    small, large = (g.n * g.c, g.h * g.w), (g.n * g.c, g.oh * g.ow)
    launch(_backward, g.n * g.c, 2 * gy.size, _in_planes(switches, g), gx.reshape(large),
           gy.reshape(small), g.all_get)  # fmt: skip


def _in_planes(switches: Array, g: Geometry) -> Array:
    indices = switches.reshape(g.n * g.c, g.h * g.w)
    if g.plain:
        return indices
    places = np.empty(indices.shape, np.int64)
    launch(_places, len(indices), 4 * indices.size, indices, places, g)
    places.flags.writeable = False
    return places
