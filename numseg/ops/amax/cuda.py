"""amax and amin on CUDA. A thread owns a result, and all the numbers that it is the extreme of."""

from __future__ import annotations

from typing import Any

from numba import int32

from numseg.cuda.broadcast import Walk, places, walk
from numseg.cuda.elementwise import ROW
from numseg.cuda.launch import Reals, kernel, launch, next_plane, thread
from numseg.over_axes import Geometry


@kernel
def _forward(x: Reals, y: Reals, kept: Walk, added: Walk, terms: int, sign: float) -> None:
    place, row = thread()
    number = row * ROW + place
    while number < y.size:
        at, _, _ = places(int32(number), kept)
        best = sign * x[at]
        term = int32(1)
        while term < terms:
            here, _, _ = places(term, added)
            value = sign * x[at + here]
            if value > best or value != value:
                best = value
            term = int32(term + 1)
        y[number] = sign * best
        row = next_plane(row)
        number = row * ROW + place


@kernel
def _backward(
    x: Reals, y: Reals, gy: Reals, gx: Reals, kept: Walk, added: Walk, terms: int
) -> None:
    place, row = thread()
    number = row * ROW + place
    while number < y.size:
        at, _, _ = places(int32(number), kept)
        extreme, ties = y[number], x.dtype.type(0)
        term = int32(0)
        while term < terms:
            here, _, _ = places(term, added)
            value = x[at + here]
            if value == extreme or (value != value and extreme != extreme):
                ties += x.dtype.type(1)
            term = int32(term + 1)
        share = gy[number] / ties
        term = int32(0)
        while term < terms:
            here, _, _ = places(term, added)
            value = x[at + here]
            extremal = value == extreme or (value != value and extreme != extreme)
            gx[at + here] = share if extremal else x.dtype.type(0)
            term = int32(term + 1)
        row = next_plane(row)
        number = row * ROW + place


def forward(x: Any, y: Any, g: Geometry) -> None:
    walks = *_walks(g), x.size // y.size
    launch(_forward, -(-y.size // ROW), min(y.size, ROW), x, y, *walks, float(g.number))


def backward(x: Any, y: Any, gy: Any, gx: Any, g: Geometry) -> None:
    if gx is not None:
        walks = *_walks(g), x.size // y.size
        launch(_backward, -(-y.size // ROW), min(y.size, ROW), x, y, gy, gx, *walks)


def _walks(g: Geometry) -> tuple[Any, Any]:
    """What is kept, and what is reduced."""
    kept, reduced = (
        walk([(size, step, 0, 0) for size, step, r in g.axes if r is wanted])
        for wanted in (False, True)
    )
    return kept, reduced
