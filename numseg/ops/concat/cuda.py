"""concat on CUDA. A thread owns a number of an input, or of an input's gradient."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from numseg.cuda.elementwise import ROW
from numseg.cuda.launch import Reals, kernel, launch, next_plane, quotient, thread
from numseg.ops.concat.geometry import Geometry


class Part(NamedTuple):
    """An input in ``lines`` of ``pixels`` numbers, ``lines / outer`` of them side by side."""

    outer: int
    lines: int
    pixels: int
    inner: int
    first: int
    """Where it begins along the axis of the whole."""
    size: int
    """Of the whole, along the axis."""


@kernel
def _put(part: Reals, whole: Reals, g: Part) -> None:
    pixel, line = thread()
    if pixel >= g.pixels:
        return
    beside = quotient(g.lines, g.outer)
    while line < g.lines:
        row = quotient(line, beside)
        at = (row * g.size + g.first) * g.inner + (line - row * beside) * g.pixels
        whole[at + pixel] = part[line * g.pixels + pixel]
        line = next_plane(line)


@kernel
def _take(whole: Reals, part: Reals, g: Part) -> None:
    """The way back."""
    pixel, line = thread()
    if pixel >= g.pixels:
        return
    beside = quotient(g.lines, g.outer)
    while line < g.lines:
        row = quotient(line, beside)
        at = (row * g.size + g.first) * g.inner + (line - row * beside) * g.pixels
        part[line * g.pixels + pixel] = whole[at + pixel]
        line = next_plane(line)


def forward(xs: tuple[Any, ...], y: Any, g: Geometry) -> None:
    for x, part in zip(xs, _parts(g), strict=True):
        launch(_put, part.lines, part.pixels, x, y, part)


def backward(gy: Any, gxs: tuple[Any, ...] | None, g: Geometry) -> None:
    for gx, part in zip(gxs or (), _parts(g), strict=gxs is not None):
        launch(_take, part.lines, part.pixels, gy, gx, part)


def _parts(g: Geometry) -> Iterator[Part]:
    """Neighbouring numbers are neighbouring threads', so lines are long; but what is long enough is
    cut along the axis: it may be a whole array."""
    first = 0
    for size in g.sizes:
        beside = size if size * g.inner > ROW else 1
        pixels = size * g.inner // max(beside, 1)
        yield Part(g.outer, g.outer * beside, pixels, g.inner, first, sum(g.sizes))
        first += size
