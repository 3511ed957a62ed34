"""The permutohedral lattice on CUDA: the twin of :mod:`numseg.kernels.lattice`, an image at a time.

Building it: threads elevate the points, rank their coordinates and write a key for each corner of
each point's simplex. A hash table brings together corners of one key; its places depend on which
thread comes first, but what is kept of it does not: a vertex is known by its first corner, and
vertices are numbered in the order of those. Corners are then sorted by vertex, so that a vertex
sums what its points splat in their order: pieces of the sum first, whose ends depend on sizes
alone, as a vertex may have nearly all points.

The host waits twice: for the ranges of features, which say whether and how vertices are numbers,
and for the number of vertices. Filtering does not wait.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import int32

from numseg.cuda import elementary
from numseg.cuda.arrays import Cuda
from numseg.cuda.launch import (
    Doubles,
    Ints,
    Longs,
    Reals,
    fill,
    kernel,
    launch,
    next_plane,
    quotient,
    thread,
)
from numseg.cuda.rows import Rows, over_rows, row_and_label, step_of_rows
from numseg.cuda.runtime import cuda, empty, simulated
from numseg.cuda.sorting import running_sums, sorted_places
from numseg.kernels.lattice import simplex
from numseg.kernels.machine.jit import rule
from numseg.kernels.pointwise.elementary import product

elementary.register()

PIECE = 4 if simulated() else 128
"""Terms of a vertex's sum that one thread adds up."""

SPREAD = 0x61C88647, 0x3504F335
"""Odd numbers below 2**31, which 31 bits of a key are multiplied by (Knuth, 6.4): no product
overflows."""


class Lattice(NamedTuple):
    """Of P points in D dimensions, with M vertices in all. Arrays of the device."""

    vertices: Any
    """(P (D + 1),), int32: the vertices of each point's simplex, by remainder."""
    weights: Any
    """(P (D + 1),), of the features' dtype: its barycentric coordinates."""
    ranks: Any
    """(D + 1, P), int32: the ranks of its coordinates, by decreasing difference."""
    neighbours: Any
    """(D + 1, M, 2), int32: along each axis, those on both sides; M where there is none."""
    points: Any
    """(P (D + 1),), int32: the points that each vertex is one of, in order."""
    shares: Any
    """(P (D + 1),): their weights."""
    starts: Any
    """(M + 1,), int32: where a vertex's points begin in the last two."""
    pieces: Any
    """(M + 1,), int32: where the pieces of its sum begin."""
    owners: Any
    """The vertex of each piece; -1 behind the last piece."""


class Sizes(NamedTuple):
    """What kernels know of the points."""

    d: int
    points: int
    corners: int
    words: int


def build(features: Any) -> Lattice:
    """The lattice of features (D, P), finite, of a range that
    :func:`numseg.kernels.lattice.simplex.keys` has numbers for."""
    d, points = features.shape
    if (keys := simplex.keys(*ranges(features)[0])) is None:
        raise OverflowError("no numbers for vertices so far apart")
    g = Sizes(d, points, points * (d + 1), keys.words)
    weights, ranks, numbers = _corners(features, keys, g)
    table, places = _gathered(numbers, g)
    firsts = empty((g.corners,), np.int32)
    launch(_mark_first, 1, g.corners, table, places, firsts)
    before = running_sums(firsts)
    count = int(Cuda.to_host(before[g.corners : g.corners + 1])[0])  # the host waits
    vertices = empty((g.corners,), np.int32)
    launch(_number, 1, g.corners, table, places, before, vertices)
    order = sorted_places(vertices, count)
    sums = _sums(*order, weights, count, g)
    neighbours = _neighbours(table, numbers, before, order[1], sums[2], keys, g)
    return Lattice(vertices, weights, ranks, neighbours, *sums)


class Room(NamedTuple):
    """What filtering works in. Allocating it anew for each filter would let the host wait: memory
    is not given back while a kernel runs."""

    parts: Any
    """Of vertices' sums, a row to a piece."""
    table: Any
    """(M + 1, L): what vertices hold; then zeros, for those that are not there."""
    other: Any
    """A second table, for blurring from one into the other."""


def room(lattice: Lattice, labels: int) -> Room:
    """For filtering values of so many labels."""
    dtype, table = lattice.shares.dtype, (lattice.starts.size, labels)
    parts = empty((lattice.owners.size, labels), dtype)
    return Room(parts, empty(table, dtype), empty(table, dtype))


def filtered(
    lattice: Lattice, values: Any, out: Any, reverse: bool = False, within: Room | None = None
) -> None:
    """``out[i] = sum over points j of K(i, j) values[j]`` for values (P, L), of the weights' dtype,
    a row of L labels to a point. ``reverse`` takes the axes in the other order: the transpose."""
    sliced(lattice, blurred(lattice, values, reverse, within), out)


def blurred(
    lattice: Lattice, values: Any, reverse: bool = False, within: Room | None = None
) -> Any:
    """(M + 1, L): of values (P, L), each vertex gets the sum of weight times value over its points;
    then half of what its neighbours hold is added, along one axis after the other."""
    rows, labels = lattice.starts.size, values.shape[1]
    parts, table, other = within or room(lattice, labels)
    sums = lattice.points, lattice.shares, lattice.starts, lattice.pieces, lattice.owners
    over_rows(_splat, lattice.owners.size, labels, values, *sums, parts, PIECE)
    over_rows(_join, rows, labels, parts, lattice.pieces, table)
    for axis in range(lattice.neighbours.shape[0])[:: -1 if reverse else 1]:
        over_rows(_blur, rows, labels, table, lattice.neighbours[axis], other)
        table, other = other, table
    return table


def sliced(lattice: Lattice, table: Any, out: Any) -> None:
    """For each point the sum of weight times what the vertex holds, times a constant."""
    (axes, _, _), (points, labels) = lattice.neighbours.shape, out.shape
    arrays = lattice.vertices, lattice.weights, table, out
    over_rows(_slice, points, labels, *arrays, axes, simplex.slice_factor(axes - 1))


@kernel
def _splat(
    values: Reals,
    points: Ints,
    shares: Reals,
    starts: Ints,
    pieces: Ints,
    owners: Ints,
    parts: Reals,
    size: int,
    g: Rows,
) -> None:
    """A row is a piece of a vertex's sum."""
    piece, label = row_and_label(g)
    if piece < 0:
        return
    while piece < g.rows:
        v = owners[piece]
        if v >= 0:
            i = int32(starts[v] + (piece - pieces[v]) * size)
            end = min(int32(i + size), starts[v + 1])
            total = parts.dtype.type(0)
            while i < end:
                total += shares[i] * values[points[i] * g.labels + label]
                i = int32(i + 1)
            parts[piece * g.labels + label] = total
        piece += step_of_rows(g)


@kernel
def _join(parts: Reals, pieces: Ints, table: Reals, g: Rows) -> None:
    """The last row, which stands for vertices that are not there, holds zeros."""
    v, label = row_and_label(g)
    if v < 0:
        return
    while v < g.rows:
        total = table.dtype.type(0)
        if v < pieces.size - 1:
            piece = pieces[v]
            while piece < pieces[v + 1]:
                total += parts[piece * g.labels + label]
                piece = int32(piece + 1)
        table[v * g.labels + label] = total
        v += step_of_rows(g)


@kernel
def _blur(table: Reals, neighbours: Ints, out: Reals, g: Rows) -> None:
    v, label = row_and_label(g)
    if v < 0:
        return
    while v < g.rows:
        here = table[v * g.labels + label]
        if v < g.rows - 1:
            before = table[neighbours[2 * v] * g.labels + label]
            after = table[neighbours[2 * v + 1] * g.labels + label]
            here += out.dtype.type(0.5) * (before + after)
        out[v * g.labels + label] = here
        v += step_of_rows(g)


@kernel
def _slice(
    vertices: Ints, weights: Reals, table: Reals, out: Reals, corners: int, factor: float, g: Rows
) -> None:
    point, label = row_and_label(g)
    if point < 0:
        return
    while point < g.rows:
        total = out.dtype.type(0)
        for k in range(corners):
            corner = point * corners + k
            total += weights[corner] * table[vertices[corner] * g.labels + label]
        out[point * g.labels + label] = total * factor
        point += step_of_rows(g)


# -- how a lattice is built ------------------------------------------------------------------------


def ranges(*arrays: Any) -> list[Any]:
    """Of each array (rows, numbers), the smallest and the largest of each row, (2, rows); NaN if
    there is one. On the host, which waits once for all of them."""
    shapes = [(2, len(array), min(array.shape[1], EXTREMES)) for array in arrays]
    places = np.cumsum([0, *map(math.prod, shapes)]).tolist()
    extremes = empty((places[-1],), arrays[0].dtype)
    for array, shape, start in zip(arrays, shapes, places, strict=False):
        part = extremes[start : start + math.prod(shape)]
        launch(_extremes, *shape[1:], array, part, *array.shape)
    found = Cuda.to_host(extremes) if extremes.size else np.zeros(0)
    ends = [found[i:j].reshape(s) for i, j, s in zip(places, places[1:], shapes, strict=False)]
    return [
        np.stack([low.min(1), high.max(1)]) if low.size else np.zeros((2, len(low)))
        for low, high in ends
    ]


EXTREMES = 8 if simulated() else 1024
"""Threads that look for the extremes of a feature."""


@kernel
def _extremes(features: Reals, extremes: Reals, d: int, points: int) -> None:
    part, j = thread()
    parts = quotient(extremes.size, 2 * d)
    if part >= parts:
        return
    while j < d:
        low = high = features[j * points + part]
        point = int32(part + parts)
        while point < points:
            value = features[j * points + point]
            if value < low or value != value:
                low = value
            if value > high or value != value:
                high = value
            point = int32(point + parts)
        extremes[j * parts + part] = low
        extremes[(d + j) * parts + part] = high
        j = next_plane(j)


def _corners(features: Any, keys: simplex.Keys, g: Sizes) -> tuple[Any, Any, Any]:
    """Of each corner of each point's simplex the weight and the key; the ranks of coordinates."""
    scale = Cuda.from_host(simplex.scales(g.d))
    digits = Cuda.from_host(np.concatenate([keys.origin, keys.steps.ravel()]))
    places = empty((g.d + 1, g.points), np.float64)
    near, turned, ranks = (empty((g.d + 1, g.points), np.int32) for _ in range(3))
    weights = empty((g.corners,), features.dtype)
    numbers = empty((g.words, g.corners), np.int64)
    launch(_elevate, g.d + 1, g.points, features, scale, places, near, g)
    launch(_rank, g.d + 1, g.points, places, near, ranks, turned, g)
    launch(_corner, g.d + 1, g.points, places, turned, ranks, digits, weights, numbers, g)
    return weights, ranks, numbers


@kernel
def _elevate(features: Reals, scale: Doubles, places: Doubles, near: Ints, g: Sizes) -> None:
    """Coordinate j on the plane of sum 0. Rounded as on the CPU, where no product is fused with a
    sum, or a point at the border of two simplices would get different vertices."""
    point, j = thread()
    if point >= g.points:
        return
    while j <= g.d:
        place = places.dtype.type(0)
        k = int32(g.d)
        while k > j:
            feature = places.dtype.type(features[(k - 1) * g.points + point])
            place += product(feature, scale[k - 1])
            k = int32(k - 1)
        if j > 0:
            feature = places.dtype.type(features[(j - 1) * g.points + point])
            place -= product(places.dtype.type(j), product(feature, scale[j - 1]))
        places[j * g.points + point] = place
        near[j * g.points + point] = int32(simplex.nearest(place, g.d))
        j = next_plane(j)


@kernel
def _rank(places: Doubles, near: Ints, ranks: Ints, turned: Ints, g: Sizes) -> None:
    """The rank of coordinate i by decreasing difference from its multiple of d + 1; rank and
    multiple are turned so that the multiples sum to 0."""
    point, i = thread()
    if point >= g.points:
        return
    while i <= g.d:
        own = _difference(places, near, i, point, g)
        rank = int32(0)
        j = int32(0)
        while j <= g.d:
            other = _difference(places, near, j, point, g)
            behind = own < other if i < j else not other < own
            rank = int32(rank + near[j * g.points + point])
            if behind and i != j:
                rank = int32(rank + 1)
            j = int32(j + 1)
        more = int32(simplex.turn(rank, g.d))
        ranks[i * g.points + point] = rank + more * (g.d + 1)
        turned[i * g.points + point] = near[i * g.points + point] + more
        i = next_plane(i)


@cuda.jit(device=True)
def _difference(places, multiples, j, point, g):
    """How far a coordinate is from its multiple of d + 1."""
    at = j * g.points + point
    return places[at] - multiples[at] * (g.d + 1)


@kernel
def _corner(
    places: Doubles,
    turned: Ints,
    ranks: Ints,
    digits: Longs,
    weights: Reals,
    numbers: Longs,
    g: Sizes,
) -> None:
    """The weight and the key of the corner of remainder k: the coordinates of the last k ranks
    are one multiple lower than those of the corner of remainder 0."""
    point, k = thread()
    if point >= g.points:
        return
    while k <= g.d:
        more = less = places.dtype.type(0)
        low, high = k + 0, k - k  # int64, as sums of digits are
        j = int32(0)
        while j <= g.d:
            rank = ranks[j * g.points + point]
            if rank == g.d - k:
                more = _difference(places, turned, j, point, g)
            if rank == (g.d - k + 1 if k > 0 else 0):
                less = _difference(places, turned, j, point, g)
            if j < g.d:
                digit = turned[j * g.points + point] - digits[j] - (1 if rank > g.d - k else 0)
                low += digit * digits[g.d + j]
                if g.words > 1:
                    high += digit * digits[2 * g.d + 1 + j]
            j = int32(j + 1)
        corner = point * (g.d + 1) + k
        share = product(more - less, places.dtype.type(1) / (g.d + 1))
        weights[corner] = weights.dtype.type(share if k > 0 else 1 + share)
        numbers[corner] = low
        if g.words > 1:
            numbers[g.corners + corner] = high
        k = next_plane(k)


def _gathered(numbers: Any, g: Sizes) -> tuple[Any, Any]:
    """A hash table that holds, for each key, its first corner; the place of each corner's key."""
    table = empty((1 << max(2 * g.corners - 1, 1).bit_length(),), np.int32)
    places = empty((g.corners,), np.int32)
    fill(table, -1)
    launch(_insert, 1, g.corners, numbers, table, places, g)
    return table, places


@kernel
def _insert(numbers: Longs, table: Ints, places: Ints, g: Sizes) -> None:
    """Whoever comes first claims the place; of all with that key, the lowest corner stays."""
    corner, plane = thread()
    if corner >= g.corners or plane > 0:
        return
    low = numbers[corner]
    high = numbers[g.corners + corner] if g.words > 1 else low - low
    at = _first_place(low, high, table.size - 1)
    while True:
        holder = table[at]
        if holder < 0:
            holder = cuda.atomic.cas(table, at, -1, corner)
        if holder < 0 or _has_key(numbers, holder, low, high, g):
            break
        at = int32((at + 1) & (table.size - 1))
    if corner < holder:
        cuda.atomic.min(table, at, corner)
    places[corner] = at


@rule
def _first_place(low, high, mask):
    """Where to look for a key first."""
    mixed = (low & 0x7FFFFFFF) * SPREAD[0] ^ (low >> 31) * SPREAD[1]
    mixed ^= (high & 0x7FFFFFFF) * SPREAD[1] ^ (high >> 31) * SPREAD[0]
    return int32((mixed >> 20) & mask)


@cuda.jit(device=True)
def _has_key(numbers, corner, low, high, g):
    """Does the corner have this key?"""
    return numbers[corner] == low and (g.words == 1 or numbers[g.corners + corner] == high)


@kernel
def _mark_first(table: Ints, places: Ints, firsts: Ints) -> None:
    corner, _ = thread()
    if corner < firsts.size:
        firsts[corner] = 1 if table[places[corner]] == corner else 0


@kernel
def _number(table: Ints, places: Ints, before: Ints, vertices: Ints) -> None:
    """A vertex's number is how many others have a corner before its first."""
    corner, _ = thread()
    if corner < vertices.size:
        vertices[corner] = before[table[places[corner]]]


def _sums(vertices: Any, corners: Any, weights: Any, count: int, g: Sizes) -> tuple[Any, ...]:
    """Corners in the order of their vertices: whose point each is, its share, where each vertex's
    begin, and the pieces that their sums are cut into."""
    points, starts, counts = (empty((n,), np.int32) for n in (g.corners, count + 1, count))
    shares = empty((g.corners,), weights.dtype)
    launch(_share, 1, g.corners, vertices, corners, weights, points, shares, starts, g)
    launch(_count_pieces, 1, count, starts, counts, PIECE)
    pieces = running_sums(counts)
    owners = empty((count + g.corners // PIECE,), np.int32)
    launch(_own, 1, owners.size, pieces, owners)
    return points, shares, starts, pieces, owners


@kernel
def _share(
    vertices: Ints,
    corners: Ints,
    weights: Reals,
    points: Ints,
    shares: Reals,
    starts: Ints,
    g: Sizes,
) -> None:
    i, _ = thread()
    if i >= g.corners:
        return
    points[i] = quotient(corners[i], g.d + 1)
    shares[i] = weights[corners[i]]
    if i == 0 or vertices[i] != vertices[i - 1]:
        starts[vertices[i]] = i
    if i == g.corners - 1:
        starts[starts.size - 1] = g.corners


@kernel
def _count_pieces(starts: Ints, counts: Ints, size: int) -> None:
    v, _ = thread()
    if v < counts.size:
        counts[v] = quotient(starts[v + 1] - starts[v] + size - 1, size)


@kernel
def _own(pieces: Ints, owners: Ints) -> None:
    """The vertex of a piece, by bisection: the last whose pieces begin at or before it."""
    piece, _ = thread()
    if piece >= owners.size:
        return
    first, end = int32(0), int32(pieces.size - 1)
    if piece >= pieces[end]:
        owners[piece] = -1
        return
    while end - first > 1:
        middle = quotient(first + end, 2)
        if pieces[middle] <= piece:
            first = middle
        else:
            end = middle
    owners[piece] = first


def _neighbours(
    table: Any, numbers: Any, before: Any, corners: Any, starts: Any, keys: simplex.Keys, g: Sizes
) -> Any:
    """(D + 1, M, 2): for each axis and vertex those on both sides; M where there is none."""
    count = starts.size - 1
    found = empty((g.d + 1, count, 2), np.int32)
    steps = Cuda.from_host(keys.steps.ravel())
    fill(found, count)
    arrays = table, numbers, before, corners, starts, steps, found
    launch(_find_neighbours, g.d + 1, count, *arrays, g)
    return found


@kernel
def _find_neighbours(
    table: Ints,
    numbers: Longs,
    before: Ints,
    corners: Ints,
    starts: Ints,
    steps: Longs,
    found: Ints,
    g: Sizes,
) -> None:
    """Find the vertex before each along axis j; it is the one after that, and of no other."""
    v, j = thread()
    count = starts.size - 1
    if v >= count:
        return
    first = corners[starts[v]]
    last = first - quotient(first, g.d + 1) * (g.d + 1) == 0  # whose remainder turns to d
    while j <= g.d:
        low, high = numbers[first] + steps[j], steps[j] - steps[j]
        if g.words > 1:
            high = numbers[g.corners + first] + steps[g.d + 1 + j]
        low += g.d if last else -1
        k = int32(0)
        while last and k < g.d:
            low -= steps[k]
            high -= steps[g.d + 1 + k] if g.words > 1 else 0
            k = int32(k + 1)
        at = _first_place(low, high, table.size - 1)
        holder = table[at]
        while holder >= 0 and not _has_key(numbers, holder, low, high, g):
            at = int32((at + 1) & (table.size - 1))
            holder = table[at]
        if holder >= 0:
            u = before[holder]
            found[2 * (j * count + v)] = u
            found[2 * (j * count + u) + 1] = v
        j = next_plane(j)
