"""Which pixels an output pixel takes along one axis, and how much of each, as tables.

A filter along rows and columns, and its transpose, are sums over such tables; see ``separable``.
"""

from __future__ import annotations

import functools
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from numseg.geometry import Filter, Line, filter_width
from numseg.typing import Array


class Taps(NamedTuple):
    """Sums along one axis. Number o has the entries from ``first[o]`` to ``first[o + 1]``."""

    first: Array
    place: Array
    """What an entry reads."""
    weight: Array


def along(g: Any, dtype: Any, transposed: bool = False) -> tuple[Taps, Taps]:
    """The sums of a call, along its rows and its columns; ``transposed``: those of its gradient."""
    return (
        taps(g.h, g.oh, g.rows, g.fy, g.filter, dtype, transposed),
        taps(g.w, g.ow, g.columns, g.fx, g.filter, dtype, transposed),
    )


@functools.lru_cache(maxsize=64)
@np.errstate(all="ignore")  # a coefficient may be as large as it likes
def taps(
    size: int, outputs: int, line: Line, factor: float, kind: Filter, dtype: Any, transposed: bool
) -> Taps:
    """The sums of a filter; ``transposed``: those of the gradient."""
    place, apart = _places(size, outputs, line, factor, kind)
    inside = np.clip(place, 0, size - 1)
    counts = apart < kind.radius
    if kind.exclude_outside:
        counts &= inside == place
    weight = np.where(counts, _weight(apart, kind), 0.0)
    weight /= weight.sum(1, keepdims=True)
    output, column = np.nonzero(counts)
    pixel, weight = inside[output, column], weight[output, column]
    # the pixels outside that a pixel at the border stands for are one entry
    begin = np.flatnonzero(np.diff(output * size + pixel, prepend=-1))
    weight, output, pixel = np.add.reduceat(weight, begin), output[begin], pixel[begin]
    if transposed:
        order = np.argsort(pixel, kind="stable")
        output, pixel, weight = pixel[order], output[order], weight[order]
    first = np.searchsorted(output, np.arange((size if transposed else outputs) + 1))
    found = Taps(first, pixel, weight.astype(dtype))
    for table in found:
        table.flags.writeable = False
    return found


def _places(
    size: int, outputs: int, line: Line, factor: float, kind: Filter
) -> tuple[Array, Array]:
    """(outputs, more than enough): pixels, and how many widths they are from the position.

    Whole numbers as far as they go, so that no rounding adds a pixel or leaves one out.
    """
    width = filter_width(size, outputs, factor, kind.antialias)
    away = int(np.ceil(kind.radius * width))
    around = np.arange(-away, away + 2)
    u, v, numerator, denominator = line
    o = np.arange(outputs)
    if factor:
        s = (2 * o + u) / (2 * factor) + v / 2
        place = np.floor(s).astype(np.int64)[:, None] + around
        return place, np.abs(place - s[:, None]) / float(width)
    width = Fraction(width)
    at, unit = (2 * o + u) * numerator + v * denominator, 2 * denominator
    place = (at // unit)[:, None] + around
    away_by = np.abs(place * unit - at[:, None]) * width.denominator
    return place, away_by / (unit * width.numerator)


def _weight(apart: Array, kind: Filter) -> Array:
    if kind.radius == 1:
        return 1 - apart
    a = kind.a
    near = ((a + 2) * apart - (a + 3)) * apart**2 + 1
    return np.where(apart <= 1, near, a * (apart - 1) * (apart - 2) ** 2)
