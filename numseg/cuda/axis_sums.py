"""Images whose rows and columns are weighted sums of another's, on CUDA: rows first, then columns.
The tables are those of the CPU (``numseg.kernels.sampling.filter_taps``)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from numseg.cuda.arrays import Cuda
from numseg.cuda.launch import Ints, Reals, kernel, launch, next_plane, quotient, thread
from numseg.cuda.runtime import empty
from numseg.kernels.sampling.filter_taps import Taps


class Sizes(NamedTuple):
    """A sum along one axis."""

    planes: int
    pixels: int
    """Of a plane of the result."""
    columns: int
    """Of a row of it."""
    plane: int
    """Numbers of a plane of x."""
    down: int
    """From one output row to the next in x; 0 where what is read depends on the column alone."""
    step: int
    """From one place of the table to the next in x."""
    by_row: bool
    """The table is that of the rows."""


@kernel
def _sum(x: Reals, y: Reals, first: Ints, place: Ints, weight: Reals, g: Sizes) -> None:
    """A thread is a number of y."""
    pixel, plane = thread()
    if pixel >= g.pixels:
        return
    p = quotient(pixel, g.columns)
    q = pixel - p * g.columns
    o, at = (p, q) if g.by_row else (q, p * g.down)
    begin, end = first[o], first[o + 1]
    while plane < g.planes:
        source = plane * g.plane + at
        total = x.dtype.type(0)
        k = begin
        while k < end:
            total += weight[k] * x[source + place[k] * g.step]
            k += 1
        y[plane * g.pixels + pixel] = total
        plane = next_plane(plane)


def apply(x: Any, y: Any, rows: Taps, columns: Taps) -> None:
    """Fill y, (N, C, OH, OW), from x, (N, C, H, W)."""
    (n, c, h, w), (oh, ow) = x.shape, y.shape[2:]
    between = empty((n, c, oh, w), x.dtype)
    _along(x, between, rows, Sizes(n * c, oh * w, w, h * w, 0, w, True))
    _along(between, y, columns, Sizes(n * c, oh * ow, ow, oh * w, w, 1, False))


def _along(x: Any, y: Any, table: Taps, sizes: Sizes) -> None:
    first, place = (Cuda.from_host(a.astype(np.int32)) for a in (table.first, table.place))
    launch(_sum, sizes.planes, sizes.pixels, x, y, first, place, Cuda.from_host(table.weight),
           sizes)  # fmt: skip
