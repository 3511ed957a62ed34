"""Columns of (n, c, size) arrays on CUDA: a thread owns one, and goes down its c numbers.

Neighbouring threads have neighbouring columns, so that rows are read side by side.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import int32

from numseg.cuda import elementary, pairs
from numseg.cuda import launch as launching
from numseg.cuda.launch import next_plane, quotient, thread
from numseg.cuda.runtime import cuda
from numseg.kernels.pointwise.elementary import decay, log_of_normal

elementary.register()


class Columns(NamedTuple):
    """How threads are laid over columns: a plane is an image, or, if ``whole``, all images."""

    n: int
    c: int
    size: int
    whole: bool


def columns_of(n: int, c: int, size: int) -> Columns:
    """All images together where a plane is smaller than a warp."""
    return Columns(n, c, size, size < launching.WARP and n * size <= launching.LIMIT)


def over_columns(kernel: Any, g: Columns, *args: Any) -> None:
    """Launch a kernel whose last argument is :class:`Columns`, with a thread for each column.

    The kernel asks :func:`column_and_image` for its first, returns where the image is negative, and
    goes on with :func:`next_image` while ``image < g.n``.
    """
    planes, pixels = (1, g.n * g.size) if g.whole else (g.n, g.size)
    launching.launch(kernel, planes, pixels, *args, g)


@cuda.jit(device=True)
def column_and_image(g: Any) -> Any:
    """The thread's column within an image, and its first image; image -1 if it has none."""
    pixel, plane = thread()
    if not g.whole:
        return pixel, int32(plane if pixel < g.size else -1)
    image = quotient(pixel, g.size)
    return int32(pixel - image * g.size), int32(image if image < g.n and plane == 0 else -1)


@cuda.jit(device=True)
def next_image(image: Any, g: Any) -> Any:
    """The thread's image after this one."""
    return int32(g.n) if g.whole else next_plane(image)


@cuda.jit(device=True)
def log_of(high: Any, low: Any) -> Any:
    """The logarithm of a pair; where one score is far above the others, it is the low half's."""
    return log_of_normal(high) + low / high


@cuda.jit(device=True)
def largest_and_exps(x: Any, first: Any, c: Any, size: Any) -> Any:
    """Of the column whose first number is ``x[first]``: the largest number, and the sum of
    ``exp(x - largest)`` as a pair.

    The sum is NaN where the column holds a NaN, an inf, or -inf alone.
    """
    largest = x.dtype.type(-np.inf)
    at = first
    for _ in range(c):
        score = x[at]
        largest = score if score > largest else largest
        at += size
    high = low = x.dtype.type(0)
    at = first
    for _ in range(c):
        high, low = pairs.added(high, low, decay(x[at] - largest))
        at += size
    return largest, high, low
