"""dense_crf on the CPU.

Images one by one. Q lies twice: by labels, (L, P), as softmax and the caller have it, and by
points, (P, L), as filters have it. An iteration filters Q for each term, then one kernel does all
else, over tiles of points that lie by labels and in the cache: sums, softmax, and Q by points.

Backward makes the filters again: a lattice is as large as its points have vertices, which no plan
can say. With G the gradient of what an iteration takes the softmax of, ``H = K' G`` is filtered
once for each term, and gives both Q's gradient, ``-mu' H``, and that of the compatibilities,
``-sum over points of H Q'``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from numseg.kernels.machine.jit import kernel, rule
from numseg.kernels.machine.target import TARGET
from numseg.kernels.machine.threads import launch
from numseg.kernels.machine.transpose import transpose
from numseg.kernels.pointwise.elementary import decay
from numseg.kernels.reductions.softmax import sum_columns
from numseg.kernels.reductions.sums import row_product
from numseg.ops.dense_crf import terms
from numseg.ops.dense_crf.geometry import Geometry
from numseg.ops.dense_crf.terms import Filter, Gradient
from numseg.typing import Array

TILE_NUMBERS = 8192
"""Of a tile: labels times points."""

TILES = 32
"""Tiles of a unit of work that sums over points."""


class Compat(NamedTuple):
    """The compatibilities of all terms."""

    weights: Array
    """(T, L): ``-mu`` of a term whose mu is diagonal."""
    matrices: Array
    """mu of the others, (T2, L, L)."""
    place: Array
    """Of each term, its matrix's place; -1: mu is diagonal."""


# -- kernels ---------------------------------------------------------------------------------------


@rule
def _load_tile(source, first, count, labels, tile):
    """Points (P, L) by labels, (L, points of a tile)."""
    lanes = TARGET.vector_bytes // source.itemsize
    transpose(source.reshape(-1)[first * labels :], labels, count, labels, tile.reshape(-1),
              tile.shape[1], lanes)  # fmt: skip


@rule
def _store_tile(tile, first, count, labels, target):
    """The way back."""
    lanes = TARGET.vector_bytes // tile.itemsize
    transpose(tile.reshape(-1), tile.shape[1], labels, count,
              target.reshape(-1)[first * labels :], labels, lanes)  # fmt: skip


@rule
def _softmax_columns(z, top, total):
    """Of each column of a tile, in its place."""
    top[:] = z[0]
    for l in range(1, len(z)):
        row = z[l]
        for p in range(len(top)):
            top[p] = row[p] if row[p] > top[p] else top[p]
    for l in range(len(z)):
        row = z[l]
        for p in range(len(top)):
            row[p] = decay(row[p] - top[p])
    sum_columns(z, len(top), total)
    for p in range(len(top)):
        top[p] = 1 / total[p]
    for l in range(len(z)):
        row = z[l]
        for p in range(len(top)):
            row[p] *= top[p]


@kernel({"contract"})
def _iterate(start, stop, width, unary, filtered, own, weights, matrices, place, damping, measured,
             q, kept, logits, points, change):  # fmt: skip
    """One iteration of a tile's points: where they have room, Q in its place, the softmax that is
    ``kept``, the ``logits`` that it is of, and Q by ``points``; by how much Q changes at most.
    ``filtered`` of no term: the softmax of ``-unary``."""
    labels, size = unary.shape
    z, f = np.zeros((labels, width), unary.dtype), np.zeros((labels, width), unary.dtype)
    top, total = np.empty(width, unary.dtype), np.empty(width)
    less, more = unary.dtype.type(1 - damping), unary.dtype.type(damping)
    together = False  # is there a diagonal mu?
    for t in range(len(filtered)):
        together |= place[t] < 0
    mixed = np.empty(width * labels if together else 0, unary.dtype)
    spread = np.empty((len(filtered), mixed.size), unary.dtype)
    for t in range(len(spread)):
        for i in range(mixed.size):
            spread[t, i] = weights[t, i % labels]
    for unit in range(start, stop):
        first = unit * width
        count = min(width, size - first)
        for l in range(labels):
            row, out = unary[l, first : first + count], z[l]
            for p in range(count):
                out[p] = -row[p]
        if together:
            _weighted_sum(filtered, spread, place, first * labels, count * labels, mixed)
            _load_tile(mixed, 0, count, labels, f)
            for l in range(labels):
                row, out = f[l], z[l]
                for p in range(width):
                    out[p] += row[p]
        for t in range(len(filtered)):
            if place[t] >= 0:
                _load_tile(filtered[t], first, count, labels, f)
                _subtract_product(matrices[place[t]], f, z)
            if own.shape[1] > 0:
                _subtract_own(t, own, weights, matrices, place, q, first, count, f, z)
        if logits.size:
            for l in range(labels):
                logits[l, first : first + count] = z[l, :count]
        _softmax_columns(z, top, total)
        if kept.size:
            for l in range(labels):
                kept[l, first : first + count] = z[l, :count]
        if damping > 0:
            for l in range(labels):
                row, before = z[l], q[l, first : first + count]
                for p in range(count):
                    row[p] = less * row[p] + more * before[p]
        if measured:
            change[unit] = _largest_change(z, q, first, count)
        if q.size:
            for l in range(labels):
                q[l, first : first + count] = z[l, :count]
        if points.size:
            _store_tile(z, first, count, labels, points)


@rule
def _weighted_sum(filtered, spread, place, first, size, out):
    """Of all terms with a diagonal mu, the sum as it lies, by points: one tile instead of many is
    then turned round. ``spread``: the labels' weights, again for each point."""
    begun = False
    for t in range(len(filtered)):
        if place[t] < 0:
            row, weight = filtered[t].reshape(-1)[first : first + size], spread[t]
            if begun:
                for i in range(size):
                    out[i] += weight[i] * row[i]
            else:
                for i in range(size):
                    out[i] = weight[i] * row[i]
            begun = True


@rule
def _subtract_own(t, own, weights, matrices, place, q, first, count, f, z):
    """From z: what ``own`` Q, which the filter has too much, is by a term's mu."""
    labels = len(z)
    for l in range(labels):
        scale, before, row = own[t, first : first + count], q[l, first : first + count], f[l]
        for p in range(count):
            row[p] = -scale[p] * before[p]
        if place[t] < 0:
            weight, out = weights[t, l], z[l]
            for p in range(count):
                out[p] += weight * row[p]
    if place[t] >= 0:
        _subtract_product(matrices[place[t]], f, z)


@rule
def _subtract_product(matrix, f, z):
    """``z -= matrix f`` of a tile's points."""
    for l in range(len(z)):
        out = z[l]
        for m in range(len(f)):
            weight, row = matrix[l, m], f[m]
            for p in range(len(out)):
                out[p] -= weight * row[p]


@rule
def _largest_change(z, q, first, count):
    """Of a tile's points; NaN if there is one."""
    largest = 0.0
    for l in range(len(z)):
        row, before = z[l], q[l, first : first + count]
        for p in range(count):
            moved = np.float64(abs(row[p] - before[p]))
            if moved > largest or moved != moved:
                largest = moved
    return largest


@kernel()
def _by_points(start, stop, width, q, points):
    """(L, P) to (P, L)."""
    labels, size = q.shape
    tile = np.empty((labels, width), q.dtype)
    for unit in range(start, stop):
        first = unit * width
        count = min(width, size - first)
        for l in range(labels):
            tile[l, :count] = q[l, first : first + count]
        _store_tile(tile, first, count, labels, points)


@kernel({"contract"})
def _through_softmax(start, stop, width, soft, damping, grad, grad_unary, points):
    """From the gradient of Q after an iteration to that of what the softmax was of: subtracted from
    unary's, and by ``points``, where there is room. What is left of ``grad`` is for Q before it.
    Without ``soft``, ``grad`` is that of the logits."""
    labels, size = grad.shape
    z, dot = np.zeros((labels, width), grad.dtype), np.empty(width)
    less, more = grad.dtype.type(1 - damping), grad.dtype.type(damping)
    for unit in range(start, stop):
        first = unit * width
        count = min(width, size - first)
        for l in range(labels):
            z[l, :count] = grad[l, first : first + count]
        if soft.size:
            dot[:] = 0
            for l in range(labels):
                row, y = z[l], soft[l, first : first + count]
                for p in range(count):
                    row[p] *= less
                    dot[p] += row[p] * y[p]
            for l in range(labels):
                row, y = z[l], soft[l, first : first + count]
                for p in range(count):
                    row[p] = y[p] * (row[p] - dot[p])
        for l in range(labels):
            row, left, out = (
                z[l],
                grad[l, first : first + count],
                grad_unary[l, first : first + count],
            )
            for p in range(count):
                out[p] -= row[p]
                left[p] = more * left[p] if soft.size and damping > 0 else 0
        if points.size:
            _store_tile(z, first, count, labels, points)


@kernel({"contract"})
def _to_q(start, stop, width, filtered, own, grads, weights, matrices, place, q, grad, by_label,
          by_pair):  # fmt: skip
    """Add to Q's gradient what came through the filters, and sums over a unit's points to those of
    the compatibilities: ``by_label``, (units, T, L), of H q; ``by_pair``, (units, T2, L, L)."""
    labels, size = q.shape
    h, g = np.zeros((labels, width), grad.dtype), np.zeros((labels, width), grad.dtype)
    for unit in range(start, stop):
        for first in range(unit * TILES * width, min((unit + 1) * TILES * width, size), width):
            count = min(width, size - first)
            if own.shape[1] > 0:
                _load_tile(grads, first, count, labels, g)
            for t in range(len(filtered)):
                _load_tile(filtered[t], first, count, labels, h)
                if own.shape[1] > 0:
                    scale = own[t, first : first + count]
                    for l in range(labels):
                        row, same = h[l], g[l]
                        for p in range(count):
                            row[p] -= scale[p] * same[p]
                if place[t] < 0:
                    for l in range(labels):
                        weight, row, out = weights[t, l], h[l], grad[l, first : first + count]
                        for p in range(count):
                            out[p] += weight * row[p]
                        if by_label.size:
                            before = q[l, first : first + count]
                            by_label[unit, t, l] += row_product(row[:count], 0.0, before)
                    continue
                mu = matrices[place[t]]
                for m in range(labels):
                    before, out = q[m, first : first + count], grad[m, first : first + count]
                    for l in range(labels):
                        weight, row = mu[l, m], h[l]
                        for p in range(count):
                            out[p] -= weight * row[p]
                        if by_pair.size:
                            by_pair[unit, place[t], l, m] -= row_product(row[:count], 0.0, before)


@kernel({"contract"})
def _mix(start, stop, values, weights, matrix, out):
    """Of points (P, L): ``weights`` times them; ``-matrix`` of them, if there is one."""
    labels = values.shape[1]
    for p in range(start, stop):
        row, result = values[p], out[p]
        if matrix.size == 0:
            for l in range(labels):
                result[l] = weights[l] * row[l]
        else:
            result[:] = 0
            for m in range(labels):
                column, value = matrix[m], row[m]
                for l in range(labels):
                    result[l] -= column[l] * value


# -- forward ---------------------------------------------------------------------------------------


@np.errstate(all="ignore")  # infinities and NaN come and go as in kernels
def forward(
    unary: Array,
    features: tuple[Array, ...],
    compat: tuple[Array, ...],
    q0: Array | None,
    y: Array,
    iterates: Array,
    steps: Array,
    g: Geometry,
) -> None:
    if not y.size:
        iterates[...] = 0
        steps[...] = 0
        return
    shared: dict[int, Filter] = {}
    for n in range(g.n):
        filters = _filters(features, n, g, shared)
        u, q = (a.reshape(g.n, g.labels, g.size)[n] for a in (unary, y))
        start = None if q0 is None else q0.reshape(g.n, g.labels, g.size)[n]
        kept = iterates[:, n] if iterates.size else None
        steps[n] = infer(u, filters, compatibilities(compat, g), start, q, kept, g)


def infer(
    unary: Array,
    filters: list[Filter],
    compat: Compat,
    start: Array | None,
    y: Array,
    kept: Array | None,
    g: Geometry,
) -> int:
    """The iterations of one image: Q or the logits in y, and how many ran."""
    width, units = _tiles(g)
    nothing = np.empty((0, 0), y.dtype)
    q = np.empty_like(y) if g.logits else y
    filtered = np.empty((len(filters) if g.iterations else 0, g.size, g.labels), y.dtype)
    points = nothing
    if g.iterations:  # a lattice reads all values before it writes one: the last filter's in place
        points = np.empty_like(filtered[0]) if g.exact else filtered[-1]
    own = np.stack([f.own for f in filters])
    change = np.zeros(units)
    again = g.damping > 0 or g.tolerance >= 0 or own.size > 0  # is Q of before asked for?

    def iterate(k: int) -> None:
        terms = len(filters) if k else 0
        wanted = again or (k == g.iterations and not g.logits)
        launch(_iterate, units, q.size * 20, width, unary, filtered[:terms], own[:terms], *compat,
               g.damping if k else 0.0, g.tolerance >= 0 and k > 0,
               q if wanted else nothing,
               nothing if kept is None else kept[k], y if g.logits else nothing,
               nothing if k == g.iterations else points, change)  # fmt: skip

    if start is None:
        iterate(0)
    else:
        q[...] = start
        if kept is not None:
            kept[0] = start
        if g.iterations:
            launch(_by_points, units, q.size, width, start, points)
    for k in range(1, g.iterations + 1):
        for t, term in enumerate(filters):
            term.apply(points, filtered[t])
        iterate(k)
        if change.max() <= g.tolerance:
            if kept is not None:
                kept[k + 1 :] = 0
            return k
    return g.iterations


# -- backward --------------------------------------------------------------------------------------


@np.errstate(all="ignore")
def backward(
    features: tuple[Array, ...],
    compat: tuple[Array, ...],
    iterates: Array,
    steps: Array,
    gy: Array,
    gu: Array | None,
    gf: tuple[Array, ...] | None,
    gc: tuple[Array, ...] | None,
    gq: Array | None,
    g: Geometry,
) -> None:
    for wanted in (*(gf or ()), *(gc or ())):
        wanted[...] = 0
    if not gy.size:
        return
    planes = (g.n, g.labels, g.size)
    shared: dict[int, Filter] = {}
    sums = _Sums(compat, g, gc is not None)
    for n in range(g.n):
        filters = _filters(features, n, g, shared)
        grad = gy.reshape(planes)[n].copy()
        grad_unary = np.zeros_like(grad) if gu is None else gu.reshape(planes)[n]
        grad_unary[...] = 0
        found = [Gradient(f, g) for f in filters] if gf is not None else []
        count = min(max(int(steps[n]), 0), g.iterations)
        _back(iterates[:, n], count, filters, sums, grad, grad_unary, found, g)
        for gradient, whole in zip(found, gf or (), strict=True):
            into = whole[0 if len(whole) == 1 else n]
            into += gradient.finished().reshape(into.shape)
        if gq is not None:
            gq.reshape(planes)[n] = grad
    if gc is not None:
        sums.store(gc)


def _back(
    iterates: Array,
    count: int,
    filters: list[Filter],
    sums: _Sums,
    grad: Array,
    grad_unary: Array,
    found: list[Gradient],
    g: Geometry,
) -> None:
    """Back through an image's iterations, ``count`` of them: ``grad``, of the result, becomes that
    of Q at their beginning."""
    width, units = _tiles(g)
    qs = _damped(iterates[: count + 1], g)
    nothing, no_softmax = np.empty((2, 0, 0), grad.dtype)
    no_softmax.flags.writeable = False
    grads = np.empty((g.size, g.labels), grad.dtype)
    filtered = np.empty((len(filters), *grads.shape), grad.dtype)
    own = np.stack([f.own for f in filters])
    scratch = np.empty((3, *grads.shape), grad.dtype) if found else None
    for k in range(count, 0, -1):
        soft = no_softmax if g.logits and k == count else iterates[k]
        launch(_through_softmax, units, grad.size * 8, width, soft, g.damping, grad, grad_unary,
               grads)  # fmt: skip
        tables = [f.transposed(grads, filtered[t]) for t, f in enumerate(filters)]
        launch(_to_q, -(-units // TILES), grad.size * 8, width, filtered, own, grads, *sums.compat,
               qs[k - 1], grad, sums.by_label, sums.by_pair)  # fmt: skip
        if scratch is not None:
            x, grad_filtered, mixed = scratch
            launch(_by_points, units, grad.size, width, qs[k - 1], x)
            for t, gradient in enumerate(found):
                sums.mix(t, grads, grad_filtered, transposed=True)
                sums.mix(t, x, mixed)
                gradient.add(x, grad_filtered, mixed, grads, tables[t])
    if not g.starts:
        launch(_through_softmax, units, grad.size * 8, width, iterates[0], 0.0, grad, grad_unary,
               nothing)  # fmt: skip


class _Sums:
    """The compatibilities, and sums for their gradients: over units of points, images and
    iterations, in this order."""

    def __init__(self, compat: tuple[Array, ...], g: Geometry, wanted: bool) -> None:
        self.compat = compatibilities(compat, g)
        units = -(-_tiles(g)[1] // TILES) if wanted else 0
        self.by_label = np.zeros((units, *self.compat.weights.shape))
        self.by_pair = np.zeros((units, *self.compat.matrices.shape))

    def mix(self, t: int, values: Array, out: Array, transposed: bool = False) -> None:
        """``-mu`` of points, or ``-mu'``."""
        place = self.compat.place[t]
        matrix = self.compat.matrices[place : place + 1 if place >= 0 else 0].reshape(
            -1, values.shape[1]
        )
        matrix = np.ascontiguousarray(matrix if transposed else matrix.T)
        launch(_mix, len(values), values.size * (1 + len(matrix)), values, self.compat.weights[t],
               matrix, out)  # fmt: skip

    def store(self, gc: tuple[Array, ...]) -> None:
        by_label, by_pair = self.by_label.sum(0), self.by_pair.sum(0)
        for t, grad in enumerate(gc):
            if grad.ndim == 2:
                grad[...] = by_pair[self.compat.place[t]]
            else:
                grad[...] = by_label[t] if grad.ndim else by_label[t].sum()


def _damped(softmaxes: Array, g: Geometry) -> Array:
    """The iterates Q, from those that the softmax gave."""
    if g.damping == 0:
        return softmaxes
    qs = softmaxes.copy()
    more = softmaxes.dtype.type(g.damping)
    for k in range(1, len(qs)):
        qs[k] *= softmaxes.dtype.type(1 - g.damping)
        qs[k] += more * qs[k - 1]
    qs.flags.writeable = False  # as saved arrays are
    return qs


# -- what both have --------------------------------------------------------------------------------


def _tiles(g: Geometry) -> tuple[int, int]:
    """Points of a tile, a multiple of any vector's lanes, and how many tiles there are."""
    width = max(16, min(128, TILE_NUMBERS // g.labels & -16))
    return width, -(-g.size // width)


def _filters(
    features: tuple[Array, ...], n: int, g: Geometry, shared: dict[int, Filter]
) -> list[Filter]:
    """An image's filters; those that all images share are made once."""

    def image(t: int) -> Filter:
        one = features[t][0 if g.shared[t] else n].reshape(g.dims[t], g.size)
        return terms.made(np.ascontiguousarray(one.T), g)

    if not shared:
        shared |= {t: image(t) for t in range(len(features)) if g.shared[t]}
    return [shared[t] if g.shared[t] else image(t) for t in range(len(features))]


def compatibilities(compat: tuple[Array, ...], g: Geometry) -> Compat:
    """Of all terms."""
    dtype = compat[0].dtype
    weights = np.stack(
        [np.broadcast_to(c if c.ndim < 2 else dtype.type(0), g.labels) for c in compat]
    )
    matrices = [c for c in compat if c.ndim == 2]
    place = np.cumsum([c.ndim == 2 for c in compat]) - 1
    place[[c.ndim < 2 for c in compat]] = -1
    return Compat(weights, np.stack(matrices) if matrices else np.empty((0, 0, 0), dtype), place)
