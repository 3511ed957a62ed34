"""concat on the CPU. A unit is one number of an input; they are copied in runs."""

from __future__ import annotations

from collections.abc import Iterator

from numseg.kernels.machine.jit import kernel
from numseg.kernels.machine.memcpy import copy
from numseg.kernels.machine.threads import launch
from numseg.ops.concat.geometry import Geometry
from numseg.typing import Array


@kernel()
def _put(start, stop, part, whole, first, length):
    """Row by row, ``part`` to the columns of ``whole`` from ``first`` on."""
    while start < stop:
        row, place = divmod(start, length)
        run = min(stop - start, length - place)
        copy(part[start : start + run], whole[row, first + place : first + place + run])
        start += run


@kernel()
def _take(start, stop, whole, part, first, length):
    """The way back."""
    while start < stop:
        row, place = divmod(start, length)
        run = min(stop - start, length - place)
        copy(whole[row, first + place : first + place + run], part[start : start + run])
        start += run


def forward(xs: tuple[Array, ...], y: Array, g: Geometry) -> None:
    whole = y.reshape(g.outer, sum(g.sizes) * g.inner)
    for x, (first, length) in zip(xs, _columns(g), strict=True):
        launch(_put, x.size, x.size, x.reshape(-1), whole, first, length)


def backward(gy: Array, gxs: tuple[Array, ...] | None, g: Geometry) -> None:
    whole = gy.reshape(g.outer, sum(g.sizes) * g.inner)
    for gx, (first, length) in zip(gxs or (), _columns(g), strict=gxs is not None):
        launch(_take, gx.size, gx.size, whole, gx.reshape(-1), first, length)


def _columns(g: Geometry) -> Iterator[tuple[int, int]]:
    """Where the rows of each input begin in the rows of the output, and their length."""
    first = 0
    for size in g.sizes:
        yield first, size * g.inner
        first += size * g.inner
