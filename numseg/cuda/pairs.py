"""Sums that are carried as pairs: a sum, and what it has been rounded by.

On the CPU sums are taken in float64 and rounded once. A GPU has few units for float64, on most
models 1 in 64, so float32 kernels keep the digits that a sum loses in a second float32 (Knuth's
two-sum, seven additions for a term). A pair has twice the digits of its dtype: of n terms the sum
errs by no more than ``n**2 eps**2`` times the sum of their sizes, and is rounded once in the end.

A thread adds up a part of each sum; :func:`totals` adds the parts. Neighbouring parts have
neighbouring terms, and how many there are depends on sizes alone: the same bits on every GPU.

Where a term is infinite what the sum was rounded by is NaN, and the sum is what it should be; so
:func:`rounded` leaves out a NaN.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import int32

from numseg.cuda import elementary, launch
from numseg.cuda.launch import Reals, kernel, next_plane, quotient, thread
from numseg.cuda.runtime import cuda, empty, simulated
from numseg.kernels.pointwise.elementary import product, rounded_off

elementary.register()

FAN = 8 if simulated() else 64
"""Parts that a thread adds up at once: with fewer, more launches; with more, idle threads."""


@cuda.jit(device=True)
def added(high: Any, low: Any, term: Any) -> Any:
    """The pair ``high + low + term``."""
    total = high + term
    back = total - high
    return total, low + ((high - (total - back)) + (term - back))


@cuda.jit(device=True)
def difference(a: Any, b: Any) -> Any:
    """``a - b`` as a pair, exactly."""
    d = a - b
    back = a - d
    return d, (a - (d + back)) + (back - b)


@cuda.jit(device=True)
def added_square(high: Any, low: Any, d: Any, rest: Any) -> Any:
    """The pair ``high + low + (d + rest)**2``."""
    square = product(d, d)
    high, low = added(high, low, square)
    return high, low + (rounded_off(d, d, square) + (d + d) * rest)


@cuda.jit(device=True)
def rounded(high: Any, low: Any) -> Any:
    """The pair as one number."""
    return high if low != low else high + low


@cuda.jit(device=True)
def total_of(pairs: Any, which: Any, sums: Any, i: Any) -> Any:
    """Number i of what :func:`totals` returned of a quantity, in float64."""
    high = np.float64(pairs[2 * which * sums + i])
    low = np.float64(pairs[(2 * which + 1) * sums + i])
    return high if low != low else high + low


@cuda.jit(device=True)
def keep(addends: Any, which: Any, place: Any, size: Any, high: Any, low: Any) -> None:
    """Store the pair of a part: ``place`` is ``part * sums + sum``, ``size`` parts times sums."""
    addends[2 * which * size + place] = high
    addends[(2 * which + 1) * size + place] = low


def parts(sums: int, terms: int) -> int:
    """Parts of each of so many sums: enough to fill a GPU."""
    return min(max(launch.FULL // max(sums, 1), 1), max(terms, 1))


def room(quantities: int, parts: int, sums: int, dtype: Any) -> Any:
    """Where threads :func:`keep` the parts of some quantities, as many sums of each."""
    return empty((2 * quantities, parts, sums), dtype)


def totals(addends: Any) -> Any:
    """The sums, as pairs: (2 quantities, sums)."""
    halves, count, sums = addends.shape
    while count > 1:
        left = -(-count // FAN)
        out = empty((halves, left, sums), addends.dtype)
        planes = halves // 2 * left
        launch.launch(_combine, planes, sums, addends, out, halves // 2, count, left, sums)
        addends, count = out, left
    return addends.reshape(halves, sums)


@kernel
def _combine(addends: Reals, out: Reals, quantities: int, parts: int, left: int, sums: int) -> None:
    """``left`` parts of ``parts``: neighbours become one."""
    i, plane = thread()
    if i >= sums:
        return
    while plane < quantities * left:
        which = quotient(plane, left)
        into = int32(plane - which * left)
        high = low = out.dtype.type(0)
        part = int32(into * FAN)
        end = min(int32(part + FAN), parts)
        while part < end:
            place = part * sums + i
            high, low = added(high, low, addends[2 * which * parts * sums + place])
            low = low + addends[(2 * which + 1) * parts * sums + place]
            part = int32(part + 1)
        keep(out, which, into * sums + i, left * sums, high, low)
        plane = next_plane(plane)
