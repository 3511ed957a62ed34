"""max_unpool2d on CUDA.

Switches may repeat, and the last value in row-major order stays. So the values first claim their
places: an atomic maximum, whose result does not depend on who comes first, leaves the index of the
last claimant. Forward, a thread owns an output pixel and looks who claimed it; backward, a value.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import int32

from numseg.cuda.arrays import Cuda
from numseg.cuda.launch import (
    Ints,
    Longs,
    Reals,
    dense,
    fill,
    kernel,
    launch,
    next_plane,
    quotient,
    thread,
)
from numseg.cuda.runtime import cuda, empty
from numseg.ops.max_pool2d.rules import place_of
from numseg.ops.max_unpool2d import off_plane
from numseg.ops.max_unpool2d.geometry import Geometry


@kernel
def _place(switches: Longs, places: Longs, g: Geometry) -> None:
    """Switches of any layout as places in the output plane; -1 is none."""
    pixel, plane = thread()
    if pixel >= g.h * g.w:
        return
    while plane < g.n * g.c:
        n = quotient(plane, g.c)
        base = n * g.image + (plane - n * g.c) * g.channel
        i = plane * g.h * g.w + pixel
        place = place_of(switches[i], base, g.row, g.column, g.ih, g.iw)
        places[i] = place // g.iw * g.ow + place % g.iw if place >= 0 else -1
        plane = next_plane(plane)


@kernel
def _find_off_plane(switches: Longs, first: Longs, g: Geometry) -> None:
    pixel, plane = thread()
    if pixel >= g.h * g.w:
        return
    while plane < g.n * g.c:
        i = plane * g.h * g.w + pixel
        if not 0 <= switches[i] < g.oh * g.ow:
            cuda.atomic.min(first, 0, i)
        plane = next_plane(plane)


@kernel
def _claim(switches: Longs, owners: Ints, g: Geometry) -> None:
    pixel, plane = thread()
    if pixel >= g.h * g.w:
        return
    while plane < g.n * g.c:
        place = switches[plane * g.h * g.w + pixel]
        # the caller may have written to the switches since forward checked them
        if 0 <= place < g.oh * g.ow:
            cuda.atomic.max(owners, plane * g.oh * g.ow + place, pixel)
        plane = next_plane(plane)


@kernel
def _forward(x: Reals, owners: Ints, y: Reals, g: Geometry) -> None:
    pixel, plane = thread()
    if pixel >= g.oh * g.ow:
        return
    while plane < g.n * g.c:
        here = plane * g.oh * g.ow + pixel
        owner = owners[here]
        y[here] = x[plane * g.h * g.w + owner] if owner >= 0 else y.dtype.type(0)
        plane = next_plane(plane)


@kernel
def _sum(x: Reals, switches: Longs, y: Reals, g: Geometry) -> None:
    """A thread owns an output pixel, and looks at all values of its plane in their order."""
    pixel, plane = thread()
    if pixel >= g.oh * g.ow:
        return
    while plane < g.n * g.c:
        total = y.dtype.type(0)
        first = plane * g.h * g.w
        i = int32(0)
        while i < g.h * g.w:
            if switches[first + i] == pixel:
                total += x[first + i]
            i = int32(i + 1)
        y[plane * g.oh * g.ow + pixel] = total
        plane = next_plane(plane)


@kernel
def _pick(switches: Longs, gy: Reals, gx: Reals, g: Geometry) -> None:
    """All values of a switch get its gradient."""
    pixel, plane = thread()
    if pixel >= g.h * g.w:
        return
    while plane < g.n * g.c:
        here = plane * g.h * g.w + pixel
        place = switches[here]
        grad = gx.dtype.type(0)
        if 0 <= place < g.oh * g.ow:
            grad = gy[plane * g.oh * g.ow + place]
        gx[here] = grad
        plane = next_plane(plane)


@kernel
def _backward(switches: Longs, owners: Ints, gy: Reals, gx: Reals, g: Geometry) -> None:
    pixel, plane = thread()
    if pixel >= g.h * g.w:
        return
    while plane < g.n * g.c:
        here = plane * g.h * g.w + pixel
        place = switches[here]
        grad = gx.dtype.type(0)
        if 0 <= place < g.oh * g.ow:
            there = plane * g.oh * g.ow + place
            if owners[there] == pixel:
                grad = gy[there]
        gx[here] = grad
        plane = next_plane(plane)


def check(x: Any, switches: Any, g: Geometry) -> None:
    """Every switch is on the plane; one number comes back from the GPU, not all switches."""
    size = switches.size
    first = Cuda.from_host(np.array([size]))
    launch(_find_off_plane, g.n * g.c, g.h * g.w, _places(switches, g), first, g)
    i = int(Cuda.to_host(first)[0])
    if i < size:
        where = tuple(map(int, np.unravel_index(i, switches.shape)))
        raise off_plane(where, Cuda.to_host(switches.reshape(size)[i : i + 1])[0], g)


def forward(x: Any, switches: Any, y: Any, g: Geometry) -> None:
    places = _places(switches, g)
    if g.summed:
        launch(_sum, g.n * g.c, g.oh * g.ow, x, places, y, g)
    else:
        launch(_forward, g.n * g.c, g.oh * g.ow, x, _owners(places, y, g), y, g)


def backward(switches: Any, gy: Any, gx: Any, g: Geometry) -> None:
    if gx is None:
        return
    places = _places(switches, g)
    if g.all_get:
        launch(_pick, g.n * g.c, g.h * g.w, places, gy, gx, g)
    else:
        launch(_backward, g.n * g.c, g.h * g.w, places, _owners(places, gy, g), gy, gx, g)


def _owners(switches: Any, y: Any, g: Geometry) -> Any:
    """For each output pixel the index in its plane of the value that stays there, or -1."""
    owners = empty((y.size,), np.int32)
    fill(owners, -1)
    launch(_claim, g.n * g.c, g.h * g.w, switches, owners, g)
    return owners


def _places(switches: Any, g: Geometry) -> Any:
    """The switches as places in the output plane, int64."""
    longs = switches if switches.dtype == np.int64 else dense(switches, np.int64)
    if g.plain:
        return longs
    places = empty((longs.size,), np.int64)
    launch(_place, g.n * g.c, g.h * g.w, longs, places, g)
    return places
