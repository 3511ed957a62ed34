"""The lattice of some points: their vertices and weights, and which vertices are neighbours.

Points are cut into runs, by their number alone. A run numbers its vertices for itself, in the order
in which blocks of points first need them, in each block those of remainder 0 first: these numbers
are its slots. Each run is the work of one thread, then and in all filters: it sums into a small
table of its slots, which stays in the cache. The runs' vertices are then numbered in common, run by
run, and a vertex knows its slots in this order. So neither the lattice nor any sum depends on
threads.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from numseg.kernels.lattice import simplex
from numseg.kernels.lattice.simplex import Keys, is_lower, nearest, turn
from numseg.kernels.machine.jit import kernel, rule
from numseg.kernels.machine.run import run
from numseg.kernels.machine.threads import launch
from numseg.typing import Array

BLOCK = 64
"""Points whose simplices are found side by side."""

RUN = 16384
"""Points of a run, at most: enough that vertices with slots in several runs are a small part."""

FIRST_BITS = 12
"""A table of keys has 2**12 places to begin with."""

FULL = 4
"""One of so many places of a table is taken, at most."""

FEW = 3
"""Dimensions in which three keys of four are those of the point before, as pixels lie; in five of a
bilateral filter, half are."""

MERGED = 4096
"""Keys between two looks at how full the table is."""

MIX = -0x61C8864680B583EB
"""2^64 divided by the golden ratio."""


class Lattice(NamedTuple):
    """Of P points in D dimensions, with M vertices in all. Arrays are read-only by agreement."""

    slots: Array
    """(P, D + 1), int32: the vertices of each point's simplex, by remainder, as slots of its run,
    counted from the run's first."""
    weights: Array
    """(P, D + 1), of the features' dtype: its barycentric coordinates. They sum to 1."""
    ends: Array
    """(runs + 1,): where runs of points begin, and end."""
    bases: Array
    """(runs + 1,): the same of their slots."""
    owners: Array
    """(slots,), int32: the vertex that each slot is of."""
    first: Array
    """(M,), int32: the first slot of each vertex."""
    later: Array
    """(slots,), int32: the next slot of the same vertex; -1: there is none."""
    neighbours: Array
    """(D + 1, M, 2), int32: along each axis, those on both sides; M where there is none."""

    @property
    def number(self) -> int:
        """M."""
        return int(self.neighbours.shape[1])

    @property
    def vertices(self) -> Array:
        """(P, D + 1), int32: the vertices of each point's simplex, by remainder."""
        base = np.repeat(self.bases[:-1], np.diff(self.ends))
        return self.owners[self.slots + base[:, None]]


def run_ends(points: int) -> Array:
    """Where runs begin and end; an even number of them, if more than one and there are blocks."""
    blocks = -(-points // BLOCK)
    runs = 2 * -(-points // (2 * RUN)) if points > RUN // 2 else 1
    runs = max(1, min(runs, blocks))  # none is empty
    return np.minimum(blocks * np.arange(runs + 1) // runs * BLOCK, points)


def build(features: Array, out: tuple[Array, Array] | None = None) -> Lattice:
    """The lattice of features (P, D), finite, float32 or float64, of a range that
    :func:`numseg.kernels.lattice.simplex.keys` has numbers for. ``out``: flat arrays for its slots
    and weights."""
    planes = np.ascontiguousarray(features.T)
    d, points = planes.shape
    found = simplex.keys(*simplex.ranges(planes))
    if found is None:
        raise OverflowError("no numbers for vertices so far apart")
    size = points * (d + 1)
    slots, weights = out or (np.empty(size, np.int32), np.empty(size, planes.dtype))
    ends = run_ends(points)
    known: list[Array] = [None] * (len(ends) - 1)  # type: ignore[list-item]

    def number(start: int, stop: int) -> None:
        for part in range(start, stop):
            known[part] = _number(
                ends[part], ends[part + 1], planes, simplex.scales(d), found.origin, found.steps,
                (0,) * found.words, slots, weights,
            )  # fmt: skip

    launch(number, len(known), size * 64)
    shape = points, d + 1
    return Lattice(
        slots.reshape(shape), weights.reshape(shape), ends, *_joined(known, found, d + 1)
    )


def _joined(known: list[Array], keys: Keys, axes: int) -> tuple[Array, ...]:
    """Number the runs' vertices in common, and find neighbours."""
    words = (0,) * keys.words
    bases = np.concatenate([[0], np.cumsum([len(part) for part in known])])
    slots = np.concatenate(known)
    owners, later = np.empty((2, len(slots)), np.int32)
    table, vertices, first = _merge(slots, owners, later, words)
    neighbours = np.empty((axes, len(first), 2), np.int32)
    launch(_no_neighbours, axes, neighbours.size, neighbours.reshape(-1), axes)
    launch(_neighbours, len(first), neighbours.size * 8, table, vertices, keys.steps, words,
           neighbours.reshape(-1))  # fmt: skip
    return bases, owners, first, later, neighbours


@rule
def empty_table(bits):
    """A table of 2**bits places, and behind them how many bits of a product are not a place."""
    table = np.full((1 << bits) + 1, -1, np.int32)
    table[-1] = 64 - bits
    return table


@rule
def place(first, second, table, words):
    """Where to look for a key first: at the uppermost bits of a product (Knuth, 6.4)."""
    if len(words) > 1:
        first = (first ^ (second * MIX) >> 29) * MIX
    return (first * MIX >> table[table.size - 1]) & (table.size - 2)


@rule
def find(first, second, table, known, words):
    """Where the key of these words is in a table of numbers of known keys, or where it should be;
    at least half of the places are -1, which is none."""
    at = place(first, second, table, words)
    while True:
        number = table[at]
        if number < 0 or (
            known[number, 0] == first and (len(words) == 1 or known[number, 1] == second)
        ):
            return at
        at = (at + 1) & (table.size - 2)


@rule
def second_word(keys, k, words):
    return keys[k, 1] if len(words) > 1 else 0


@rule
def number_of(first, second, table, known, count, words):
    """The number of a key, a new one if it is not known: then ``count`` are."""
    at = find(first, second, table, known, words)
    if table[at] >= 0:
        return table[at]
    known[count, 0] = first
    if len(words) > 1:
        known[count, 1] = second
    table[at] = count
    return np.int32(count)


@rule
def roomy(table, known, count, more, words):
    """The table, or a larger one where more keys would take over a quarter of its places. A loop
    over keys is apart from this: one that may assign an array counts references at each turn."""
    bits = 64 - table[table.size - 1]
    if FULL * (count + more) < 1 << bits:
        return table
    while FULL * (count + more) >= 1 << bits:
        bits += 1
    wide = empty_table(bits)
    for k in range(count):
        wide[find(known[k, 0], second_word(known, k, words), wide, known, words)] = k
    return wide


@kernel()
def _merge(keys, owners, later, words):
    """Number the keys of all slots, and chain the slots of each: a table of the different keys,
    these, and their first slots."""
    table, count = empty_table(FIRST_BITS), 0
    known = np.empty_like(keys)
    first, last = np.empty(len(keys), np.int32), np.empty(len(keys), np.int32)
    for begin in range(0, len(keys), MERGED):
        end = min(begin + MERGED, len(keys))
        table = roomy(table, known, count, end - begin, words)
        for slot in range(begin, end):
            v = number_of(keys[slot, 0], second_word(keys, slot, words), table, known, count, words)
            if v == count:
                first[v] = slot
                count += 1
            else:
                later[last[v]] = slot
            owners[slot], later[slot], last[v] = v, -1, slot
    return table, known[:count], first[:count].copy()


@rule
def differences(planes, first, count, scale, quotient, difference, rank):
    """Of a block of points: the multiple of d + 1 that each coordinate of the simplex's vertex of
    remainder 0 is, divided by d + 1; the coordinates less it; their ranks, by decreasing
    difference. Arrays are (d + 1, BLOCK), of whole floats but for the differences."""
    d = planes.shape[0]
    features, places = planes.reshape(-1), difference.reshape(-1)
    near, ranks, total = quotient.reshape(-1), rank.reshape(-1), np.zeros(BLOCK)
    for j in range(d, 0, -1):
        _elevate(run(features, (j - 1) * planes.shape[1] + first, count), scale[j - 1], j, total,
                 run(places, j * BLOCK, BLOCK))  # fmt: skip
    run(places, 0, BLOCK)[:] = total
    total[:] = 0.0
    for j in range(d + 1):
        _round(run(places, j * BLOCK, BLOCK), d, total, run(near, j * BLOCK, BLOCK))
    for j in range(d + 1):
        run(ranks, j * BLOCK, BLOCK)[:] = total
    for i in range(d + 1):
        for j in range(i + 1, d + 1):
            _compare(run(places, i * BLOCK, BLOCK), run(places, j * BLOCK, BLOCK),
                     run(ranks, i * BLOCK, BLOCK), run(ranks, j * BLOCK, BLOCK))  # fmt: skip
    for j in range(d + 1):
        _turn(d, run(ranks, j * BLOCK, BLOCK), run(near, j * BLOCK, BLOCK),
              run(places, j * BLOCK, BLOCK))  # fmt: skip


@rule
def _elevate(feature, scale, j, total, place):
    count = len(feature)
    for p in range(count):
        step = np.float64(feature[p]) * scale
        place[p] = total[p] - j * step
        total[p] += step
    for p in range(count, BLOCK):
        place[p] = 0.0


@rule
def _round(place, d, total, quotient):
    """The quotient of the nearest multiple, and the difference from that."""
    for p in range(BLOCK):
        near = nearest(place[p], d)
        quotient[p] = near
        place[p] -= near * (d + 1)
        total[p] += near


@rule
def _compare(a, b, rank, other):
    for p in range(BLOCK):
        lower = is_lower(a[p], b[p])
        rank[p] += lower
        other[p] += 1.0 - lower


@rule
def _turn(d, rank, quotient, difference):
    """The whole multiple of d + 1 by which a rank is outside of 0 to d."""
    for p in range(BLOCK):
        more = turn(rank[p], d)
        rank[p] += more * (d + 1)
        quotient[p] += more
        difference[p] -= more * (d + 1)


@rule
def _choose(rank, k, value, chosen):
    """``chosen += value`` where the rank is k."""
    for p in range(BLOCK):
        chosen[p] += value[p] if rank[p] == k else 0.0


@rule
def _choose_step(rank, k, step, chosen):
    for p in range(BLOCK):
        chosen[p] += step if rank[p] == k else 0


@rule
def _weights(d, difference, rank, by_rank, weights):
    """Barycentric coordinates of a block, (d + 1, BLOCK)."""
    by_rank[:] = 0.0
    for k in range(d + 1):
        for j in range(d + 1):
            _choose(run(rank, j * BLOCK, BLOCK), k, run(difference, j * BLOCK, BLOCK),
                    run(by_rank, k * BLOCK, BLOCK))  # fmt: skip
    inverse = 1.0 / (d + 1)
    for k in range(d + 1):
        high = run(by_rank, (d - k) * BLOCK, BLOCK)
        low, out = (
            run(by_rank, (d - k + 1) % (d + 1) * BLOCK, BLOCK),
            run(weights, k * BLOCK, BLOCK),
        )
        one = 1.0 if k == 0 else 0.0
        for p in range(BLOCK):
            out[p] = one + (high[p] - low[p]) * inverse


@rule
def _keys(d, quotient, rank, origin, steps, remainder, keys):
    """A word of the keys of a block's vertices, (d + 1, BLOCK): the first vertex's, and then by how
    much each differs from the one before. With the ``remainder`` in it or not."""
    keys[:] = 0
    first = run(keys, 0, BLOCK)
    for j in range(d):
        digit = run(quotient, j * BLOCK, BLOCK)
        for p in range(BLOCK):
            first[p] += (np.int64(np.int32(digit[p])) - origin[j]) * steps[j]
    for k in range(1, d + 1):
        for j in range(d):
            _choose_step(run(rank, j * BLOCK, BLOCK), d - k + 1, -steps[j],
                         run(keys, k * BLOCK, BLOCK))  # fmt: skip
        before, here = run(keys, (k - 1) * BLOCK, BLOCK), run(keys, k * BLOCK, BLOCK)
        for p in range(BLOCK):
            here[p] += before[p] + remainder


@rule
def _number_block(keys, table, known, count, words, few, numbers):
    """The numbers of a block's keys, new ones as they come; how many are known then. In a space of
    ``few`` dimensions most are those of the point before, and it is worth while to ask."""
    for e in range(keys.shape[1]):
        first, second = keys[0, e], keys[1, e] if len(words) > 1 else 0
        if few and e > 0 and keys[0, e - 1] == first and len(words) == 1:
            numbers[e] = numbers[e - 1]
            continue
        number = table[place(first, second, table, words)]
        if number < 0 or (
            known[number, 0] != first or (len(words) > 1 and known[number, 1] != second)
        ):
            number = number_of(first, second, table, known, count, words)
            count += number == count
        numbers[e] = number
    return count


@kernel()
def _number(start, stop, planes, scale, origin, steps, words, slots, weights):
    """Number the vertices of a run of points: the slots' keys."""
    d = planes.shape[0]
    block = (d + 1) * BLOCK
    table, count = empty_table(FIRST_BITS), 0
    known = np.empty(((stop - start + BLOCK) * (d + 1), len(words)), np.int64)
    quotient, difference = np.empty((d + 1, BLOCK)), np.empty((d + 1, BLOCK))
    rank, by_rank, shares = np.empty((d + 1, BLOCK)), np.empty(block), np.empty(block)
    keys, numbers = np.empty((len(words), block), np.int64), np.empty(block, np.int32)
    for first in range(start, stop, BLOCK):
        size = min(BLOCK, stop - first)
        differences(planes, first, size, scale, quotient, difference, rank)
        _weights(d, difference.reshape(-1), rank.reshape(-1), by_rank, shares)
        for w in range(len(words)):
            _keys(d, quotient.reshape(-1), rank.reshape(-1), origin, steps[w], w == 0, keys[w])
        for row in keys:  # what is behind the last point is where that is
            for k in range(d + 1):
                row[k * BLOCK + size : (k + 1) * BLOCK] = row[k * BLOCK + size - 1]
        table = roomy(table, known, count, block, words)
        count = _number_block(keys, table, known, count, words, d <= FEW, numbers)
        _store(shares, numbers, first, size, d, slots, weights)
    return known[:count].copy()


@rule
def _store(shares, numbers, first, size, d, slots, weights):
    for p in range(size):
        here = (first + p) * (d + 1)
        for k in range(d + 1):
            weights[here + k] = shares[k * BLOCK + p]
            slots[here + k] = numbers[k * BLOCK + p]


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
    total, step = np.zeros(2, np.int64), np.zeros((axes, 2), np.int64)
    step[:, : len(words)] = steps.T
    total[:] = step.sum(0)
    for v in range(start, stop):
        first, second = known[v, 0], second_word(known, v, words)
        # the remainder is the lowest digit
        if first % axes == 0:
            first, second = first + d - total[0], second - total[1]
        else:
            first -= 1
        for j in range(axes):
            u = table[find(first + step[j, 0], second + step[j, 1], table, known, words)]
            if u >= 0:
                neighbours[2 * (j * all_ + v)] = u
                neighbours[2 * (j * all_ + u) + 1] = v
