"""pad on CUDA. A thread owns a pixel: of the output, or, backward, of the input."""

from __future__ import annotations

from typing import Any, NamedTuple

from numba import int32

from numseg.cuda import separable
from numseg.cuda.launch import Reals, kernel, launch, next_plane, quotient, thread
from numseg.cuda.separable import Planes
from numseg.cuda.tables import kept
from numseg.ops.pad.cpu import sources
from numseg.ops.pad.geometry import Geometry
from numseg.typing import Array


class Place(NamedTuple):
    """Where x, (planes, h, w), lies in y, (planes, oh, ow)."""

    planes: int
    h: int
    w: int
    oh: int
    ow: int
    top: int
    left: int
    value: float


@kernel
def _place(x: Reals, y: Reals, g: Place) -> None:
    pixel, plane = thread()
    if pixel >= g.oh * g.ow:
        return
    p = quotient(pixel, g.ow)
    row, column = int32(p - g.top), int32(pixel - p * g.ow - g.left)
    inside = 0 <= row < g.h and 0 <= column < g.w
    while plane < g.planes:
        value = g.value
        if inside:
            value = x[(plane * g.h + row) * g.w + column]
        y[plane * g.oh * g.ow + pixel] = value
        plane = next_plane(plane)


def forward(x: Any, y: Any, g: Geometry) -> None:
    if g.mode:
        sizes = Planes(g.planes, g.h, g.w, g.oh, g.ow)
        rows, columns = _sources(g._replace(planes=0))
        return separable.copy(x, y, rows, columns, sizes)
    place = Place(g.planes, g.h, g.w, g.oh, g.ow, g.pt, g.pl, g.value)
    launch(_place, g.planes, g.oh * g.ow, x, y, place)


def backward(gy: Any, gx: Any, g: Geometry) -> None:
    if gx is None:
        return
    if g.mode:
        tables = _copies(g._replace(planes=0), gx.dtype)
        sizes = Planes(g.planes, g.oh, g.ow, g.h, g.w)
        return separable.sums(gy, gx, tables[:3], tables[3:], sizes)
    place = Place(g.planes, g.oh, g.ow, g.h, g.w, -g.pt, -g.pl, 0.0)
    launch(_place, g.planes, g.h * g.w, gy, gx, place)


@kept
def _sources(g: Geometry) -> tuple[Array, ...]:
    return sources(g)


@kept
def _copies(g: Geometry, dtype: Any) -> tuple[Array, ...]:
    rows, columns = sources(g)
    return *separable.copies(rows, g.h, dtype), *separable.copies(columns, g.w, dtype)
