"""Running sums and a stable sort of integers on CUDA, the same on every run.

Both cut an array into chunks, of sizes that depend on the array's size alone. A thread owns a chunk
and goes through it in order, so nothing depends on which thread comes first, and no thread waits
for another.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import int32

from numseg.cuda.launch import Ints, kernel, launch, thread
from numseg.cuda.runtime import empty, simulated

SUMMED, SORTED = (8, 8) if simulated() else (128, 64)
"""Numbers in a chunk of a running sum, and of a sort."""

BITS = 6
"""Of a key, that one pass of a sort looks at. A pass costs a handful of launches whatever it looks
at, and a counter for each chunk and value."""


def running_sums(counts: Any) -> Any:
    """Where each of ``counts`` numbers begin if all lie side by side; the last entry is the end."""
    sums = empty((counts.size + 1,), np.int32)
    chunks = max(-(-counts.size // SUMMED), 1)
    if chunks == 1:
        launch(_run, 1, 1, counts, counts, sums, SUMMED, True)
        return sums
    totals = empty((chunks,), np.int32)
    launch(_total, 1, chunks, counts, totals, SUMMED)
    launch(_run, 1, chunks, counts, running_sums(totals), sums, SUMMED, False)
    return sums


@kernel
def _total(counts: Ints, totals: Ints, size: int) -> None:
    chunk, plane = thread()
    if chunk >= totals.size or plane > 0:
        return
    i, end = int32(chunk * size), min(int32((chunk + 1) * size), int32(counts.size))
    total = int32(0)
    while i < end:
        total = int32(total + counts[i])
        i = int32(i + 1)
    totals[chunk] = total


@kernel
def _run(counts: Ints, before: Ints, sums: Ints, size: int, alone: bool) -> None:
    """``before`` says what the chunks in front of each add up to, unless there is but one."""
    chunk, plane = thread()
    i = int32(chunk * size)
    if (i >= counts.size and chunk > 0) or plane > 0:
        return
    end = min(int32((chunk + 1) * size), int32(counts.size))
    total = int32(0) if alone else before[chunk]
    while i < end:
        sums[i] = total
        total = int32(total + counts[i])
        i = int32(i + 1)
    if end == counts.size:
        sums[end] = total


def sorted_places(keys: Any, bound: int) -> tuple[Any, Any]:
    """``keys``, which are below ``bound``, in order, and their places; of equal keys, by place."""
    order = keys  # in the first pass nobody reads it
    shift, bits = 0, max((bound - 1).bit_length(), 1)
    chunks = max(-(-keys.size // SORTED), 1)
    while shift < bits:
        counts = empty((chunks << BITS,), np.int32)
        launch(_count, 1, chunks, keys, counts, chunks, SORTED, shift)
        starts = running_sums(counts)
        sorted_keys, sorted_order = (empty((keys.size,), np.int32) for _ in range(2))
        arrays = keys, order, starts, sorted_keys, sorted_order
        launch(_place, 1, chunks, *arrays, chunks, SORTED, shift)
        keys, order = sorted_keys, sorted_order
        shift += BITS
    return keys, order


@kernel
def _count(keys: Ints, counts: Ints, chunks: int, size: int, shift: int) -> None:
    """How often a chunk has each value: chunks side by side, so that threads write neighbours."""
    chunk, plane = thread()
    if chunk >= chunks or plane > 0:
        return
    counter = chunk
    while counter < counts.size:
        counts[counter] = 0
        counter = int32(counter + chunks)
    i, end = int32(chunk * size), min(int32((chunk + 1) * size), int32(keys.size))
    while i < end:
        counts[((keys[i] >> shift) & ((1 << BITS) - 1)) * chunks + chunk] += 1
        i = int32(i + 1)


@kernel
def _place(
    keys: Ints,
    order: Ints,
    starts: Ints,
    sorted_keys: Ints,
    sorted_order: Ints,
    chunks: int,
    size: int,
    shift: int,
) -> None:
    """A chunk's counters say where its next number of each value goes."""
    chunk, plane = thread()
    if chunk >= chunks or plane > 0:
        return
    i, end = int32(chunk * size), min(int32((chunk + 1) * size), int32(keys.size))
    while i < end:
        counter = ((keys[i] >> shift) & ((1 << BITS) - 1)) * chunks + chunk
        place = starts[counter]
        starts[counter] = place + 1
        sorted_keys[place] = keys[i]
        sorted_order[place] = order[i] if shift > 0 else i
        i = int32(i + 1)
