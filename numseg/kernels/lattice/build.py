"""The lattice of some points: their vertices and weights, and which vertices are neighbours.

Vertices are numbered in the order in which points, one after the other, first need them: those of
neighbouring pixels lie near each other in memory, and the numbers do not depend on threads. Each
thread numbers the vertices of a run of points for itself; the runs' vertices are then numbered
again, run by run.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from numseg.kernels.lattice import simplex
from numseg.kernels.lattice.simplex import Keys, is_lower, nearest, turn
from numseg.kernels.machine.jit import kernel, rule
from numseg.kernels.machine.threads import get_num_threads, launch
from numseg.typing import Array

BLOCK = 64
"""Points whose simplices are found side by side."""

LEAST_RUN = 8192
"""Points that a thread numbers for itself; for fewer it is not worth the second numbering."""

FIRST_TABLE = 4096
"""Places of a table of keys to begin with."""

MIX = -0x61C8864680B583EB
"""2^64 divided by the golden ratio: spreads keys over the upper bits (Knuth, 6.4)."""


class Lattice(NamedTuple):
    """Of P points in D dimensions, with M vertices in all. Arrays are read-only by agreement."""

    vertices: Array
    """(P, D + 1), int32: the vertices of each point's simplex, by remainder."""
    weights: Array
    """(P, D + 1), of the features' dtype: its barycentric coordinates. They sum to 1."""
    neighbours: Array
    """(D + 1, M, 2), int32: along each axis, those on both sides; M where there is none."""
    starts: Array
    """(M + 1,), int64: where a vertex's points begin in the next two."""
    points: Array
    """(P (D + 1),), int32: the points that each vertex is one of, in order."""
    shares: Array
    """(P (D + 1),): their weights."""


def build(features: Array) -> Lattice:
    """The lattice of features (P, D), finite, float32 or float64, of a range that
    :func:`numseg.kernels.lattice.simplex.keys` has numbers for."""
    planes = np.ascontiguousarray(features.T)
    d, points = planes.shape
    found = simplex.keys(*simplex.ranges(planes))
    if found is None:
        raise OverflowError("no numbers for vertices so far apart")
    vertices = np.empty((points, d + 1), np.int32)
    weights = np.empty((points, d + 1), planes.dtype)
    runs = max(1, min(get_num_threads(), points // LEAST_RUN))
    ends = [points * run // runs for run in range(runs + 1)]
    parts: list[tuple[Array, Array, Array]] = [None] * runs  # type: ignore[list-item]

    def number(start: int, stop: int) -> None:
        for run in range(start, stop):
            parts[run] = _number(
                ends[run], ends[run + 1], planes, simplex.scales(d), found.origin, found.steps,
                (0,) * found.words, vertices.reshape(-1), weights.reshape(-1),
            )  # fmt: skip

    launch(number, runs, points * (d + 1) * 64)
    return _joined(parts, ends, found, vertices, weights)


def _joined(
    parts: list[tuple[Array, Array, Array]], ends: list[int], keys: Keys, vertices: Array,
    weights: Array,
) -> Lattice:  # fmt: skip
    """Number the runs' vertices in common, sort points by vertices, find neighbours."""
    points, corners = vertices.shape
    words = (0,) * keys.words
    table, known, number, starts, numbers, cursors = _merge(parts, words)
    sorted_points = np.empty(points * corners, np.int32)
    shares = np.empty(points * corners, weights.dtype)

    def sort(start: int, stop: int) -> None:
        for run in range(start, stop):
            _sort(ends[run], ends[run + 1], vertices, weights.reshape(-1), numbers[run],
                  cursors[run], sorted_points, shares)  # fmt: skip

    launch(sort, len(parts), points * corners * 8)
    neighbours = np.empty((corners, number, 2), np.int32)
    launch(_no_neighbours, corners, neighbours.size, neighbours.reshape(-1), corners)
    launch(_neighbours, number, neighbours.size * 8, table, known, keys.steps, words,
           neighbours.reshape(-1))  # fmt: skip
    return Lattice(vertices, weights, neighbours, starts, sorted_points, shares)


def _merge(parts, words):
    """Of all runs: a table of keys, the keys, their number, where the points of each vertex begin,
    and for each run the numbers of its vertices and where its points go."""
    table, known, counts = parts[0]
    number = counts.size
    numbers = [np.arange(number, dtype=np.int32)]
    if len(parts) > 1:
        most = sum(part[2].size for part in parts)
        known = np.concatenate([known, np.empty((most - number, len(words)), np.int64)])
        for part in parts[1:]:
            new = np.empty(part[2].size, np.int32)
            table, number = _add(table, known, number, part[1], new, words)
            numbers.append(new)
    cursors = [np.zeros(number, np.int64) for _ in parts]
    for part, new, cursor in zip(parts, numbers, cursors, strict=True):
        cursor[new] = part[2]
    totals = np.stack(cursors)
    starts = np.zeros(number + 1, np.int64)
    np.cumsum(totals.sum(0), out=starts[1:])
    before = starts[:-1] + np.cumsum(totals, 0) - totals
    cursors = [at[new] for at, new in zip(before, numbers, strict=True)]
    return table, known[:number], number, starts, numbers, cursors


@rule
def place(key, mask, words):
    """Where to look for a key first."""
    mixed = key[0]
    if len(words) > 1:
        mixed = (mixed ^ (key[1] * MIX) >> 29) * MIX
    return (mixed * MIX >> 24) & mask


@rule
def find(key, table, known, words):
    """Where the key is in a table of numbers of known keys, or where it should be; at least half of
    the places are -1, which is none."""
    mask = table.size - 1
    at = place(key, mask, words)
    while True:
        number = table[at]
        if number < 0:
            return at
        same = True
        for w in range(len(words)):
            same &= known[number, w] == key[w]
        if same:
            return at
        at = (at + 1) & mask


@rule
def widened(table, known, number, words):
    """A table twice as large."""
    wide = np.full(2 * table.size, -1, np.int32)
    for k in range(number):
        wide[find(known[k], wide, known, words)] = k
    return wide


@kernel()
def _add(table, known, number, more, numbers, words):
    """Number the keys ``more``; the table, perhaps a wider one, and how many are known."""
    for k in range(more.shape[0]):
        key = more[k]
        at = find(key, table, known, words)
        if table[at] < 0:
            for w in range(len(words)):
                known[number, w] = key[w]
            table[at] = number
            number += 1
            if 2 * number > table.size:
                table = widened(table, known, number, words)
                at = find(key, table, known, words)
        numbers[k] = table[at]
    return table, number


@rule
def differences(planes, first, count, scale, quotient, difference, rank):
    """Of a block of points: the multiple of d + 1 that each coordinate of the simplex's vertex of
    remainder 0 is, divided by d + 1; the coordinates less it; their ranks, by decreasing
    difference. Arrays are (d + 1, BLOCK), of whole floats but for the differences."""
    d = planes.shape[0]
    total = quotient[0]  # for the moment
    total[:] = 0.0
    for j in range(d, 0, -1):
        source, place = planes[j - 1, first : first + count], difference[j]
        for p in range(count):
            step = np.float64(source[p]) * scale[j - 1]
            place[p] = total[p] - j * step
            total[p] += step
        place[count:] = 0.0
    difference[0, :] = total
    rank[:] = 0.0
    total = np.zeros(BLOCK)
    for j in range(d + 1):
        place, near = difference[j], quotient[j]
        for p in range(BLOCK):
            near[p] = nearest(place[p], d)
            total[p] += near[p]
    for i in range(d + 1):
        for p in range(BLOCK):
            rank[i, p] += total[p]
        for j in range(i + 1, d + 1):
            for p in range(BLOCK):
                a = difference[i, p] - quotient[i, p] * (d + 1)
                lower = is_lower(a, difference[j, p] - quotient[j, p] * (d + 1))
                rank[i, p] += lower
                rank[j, p] += 1 - lower
    for j in range(d + 1):
        for p in range(BLOCK):
            more = turn(rank[j, p], d)
            rank[j, p] += more * (d + 1)
            quotient[j, p] += more
            difference[j, p] -= quotient[j, p] * (d + 1)


@kernel()
def _number(start, stop, planes, scale, origin, steps, words, vertices, weights):
    """Number the vertices of a run of points for itself: a table of the keys, the keys, and how
    many points each vertex has."""
    d = planes.shape[0]
    table = np.full(FIRST_TABLE, -1, np.int32)
    known = np.empty(((stop - start) * (d + 1), len(words)), np.int64)
    counts = np.zeros((stop - start) * (d + 1), np.int64)
    quotient, difference = np.empty((d + 1, BLOCK)), np.empty((d + 1, BLOCK))
    rank, by_rank, order = np.empty((d + 1, BLOCK)), np.empty(d + 2), np.empty(d + 2, np.int64)
    key, before = np.empty(len(words), np.int64), np.full((d + 1, len(words)), -1, np.int64)
    numbers = np.zeros(d + 1, np.int64)
    number = 0
    for first in range(start, stop, BLOCK):
        count = min(BLOCK, stop - first)
        differences(planes, first, count, scale, quotient, difference, rank)
        for p in range(count):
            for w in range(len(words)):
                key[w] = 0
            for j in range(d + 1):
                k = int(rank[j, p])
                by_rank[k], order[k] = difference[j, p] / (d + 1), j
                if j < d:
                    digit = int(quotient[j, p]) - origin[j]
                    for w in range(len(words)):
                        key[w] += digit * steps[w, j]
            here = (first + p) * (d + 1)
            for k in range(d + 1):
                if k == 0:
                    weights[here] = 1 + (by_rank[d] - by_rank[0])
                else:
                    weights[here + k] = by_rank[d - k] - by_rank[d - k + 1]
                    key[0] += 1
                    for w in range(len(words)):
                        key[w] -= steps[w, order[d - k + 1]]
                same = True
                for w in range(len(words)):
                    same &= before[k, w] == key[w]
                if not same:
                    at = find(key, table, known, words)
                    if table[at] < 0:
                        for w in range(len(words)):
                            known[number, w] = key[w]
                        table[at] = number
                        number += 1
                        if 2 * number > table.size:
                            table = widened(table, known, number, words)
                            at = find(key, table, known, words)
                    numbers[k] = table[at]
                    for w in range(len(words)):
                        before[k, w] = key[w]
                vertices[here + k] = numbers[k]
                counts[numbers[k]] += 1
    return table, known[:number].copy(), counts[:number].copy()


@kernel()
def _sort(start, stop, vertices, weights, numbers, cursor, points, shares):
    """Give the vertices of a run of points their numbers in common, and each its points."""
    for p in range(start, stop):
        for k in range(vertices.shape[1]):
            own = vertices[p, k]
            vertices[p, k] = numbers[own]
            at = cursor[own]
            cursor[own] = at + 1
            points[at] = p
            shares[at] = weights[p * vertices.shape[1] + k]


@kernel()
def _no_neighbours(start, stop, neighbours, axes):
    pairs = neighbours.size // axes
    for i in range(start * pairs, stop * pairs):
        neighbours[i] = pairs // 2


@kernel()
def _neighbours(start, stop, table, known, steps, words, neighbours):
    """Find the vertex before each along each axis; it is the one after that."""
    axes, all_ = steps.shape[1], known.shape[0]
    d = axes - 1
    key = np.empty(len(words), np.int64)
    total = np.zeros(len(words), np.int64)
    for w in range(len(words)):
        total[w] = steps[w].sum()
    for v in range(start, stop):
        # the remainder is the lowest digit
        remainder = known[v, 0] % axes
        for j in range(axes):
            for w in range(len(words)):
                key[w] = known[v, w] + steps[w, j] - (total[w] if remainder == 0 else 0)
            key[0] += d if remainder == 0 else -1
            u = table[find(key, table, known, words)]
            if u >= 0:
                neighbours[2 * (j * all_ + v)] = u
                neighbours[2 * (j * all_ + u) + 1] = v
