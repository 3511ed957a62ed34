"""dense_crf on the CPU.

Images one by one. Q goes from iteration to iteration as what the lattices' vertices hold:
:mod:`numseg.kernels.lattice.passes` has a pass over the points for each iteration, which slices,
takes the softmax, and splats the new Q. Compatibilities mix labels where vertices have them, of
which there are fewer than points. Rows of Q exist where something else needs them: damping, sums
over all pairs, filters without the point itself.

Backward makes the filters again: a lattice is as large as its points have vertices, which no plan
can say. With G the gradient of what an iteration takes the softmax of, ``H = K' G`` is filtered
once for each term, and gives both Q's gradient, ``-mu' H``, and that of the compatibilities,
``-sum over points of H Q'``, a sum over vertices as well.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from numseg.kernels.lattice import filter
from numseg.kernels.lattice.build import Lattice
from numseg.kernels.lattice.passes import (
    TILE,
    UNIT,
    Lattices,
    mean_field,
    mean_field_back,
    mix_rows,
    pad_rows,
    splat_rows,
    sum_products,
)
from numseg.kernels.lattice.rows import to_planes
from numseg.kernels.lattice.simplex import slice_factor
from numseg.kernels.lattice.vectors import Lanes, lanes
from numseg.kernels.machine.threads import launch
from numseg.ops.dense_crf import terms
from numseg.ops.dense_crf.geometry import Geometry
from numseg.ops.dense_crf.terms import Filter, Gradient
from numseg.typing import Array


class Compat(NamedTuple):
    """The compatibilities of all terms."""

    weights: Array
    """(T, L): ``-mu`` of a term whose mu is diagonal."""
    matrices: Array
    """mu of the others, (T2, L, L)."""
    place: Array
    """Of each term, its matrix's place; -1: mu is diagonal."""

    def matrix(self, t: int, transposed: bool = False) -> Array:
        """``-mu`` or ``-mu'`` by columns; empty if it is diagonal."""
        place = self.place[t]
        if place < 0:
            return np.empty((0, 0), self.weights.dtype)
        mu = self.matrices[place]
        return np.ascontiguousarray(-mu if transposed else -mu.T)

    def mixed(self, t: int, rows: Array, transposed: bool = False) -> Array:
        """``-mu`` of rows, or ``-mu'``; they may be longer than there are labels."""
        matrix = self.matrix(t, transposed)
        weights = np.zeros(rows.shape[1], rows.dtype)
        weights[: self.weights.shape[1]] = self.weights[t]
        out = np.empty_like(rows)
        launch(mix_rows, len(rows), rows.size * (1 + len(matrix)), rows, weights, matrix, out)
        return out

    def message(
        self, t: int, lattice: Lattice, table: Array, out: Array, transposed: bool = False
    ) -> None:
        """What slots are to hold of a term, so that points slice ``-mu`` K Q: of what its vertices
        hold after the blur."""
        scale = np.zeros(table.shape[1], table.dtype)
        scale[: self.weights.shape[1]] = _factor(lattice)
        if self.place[t] < 0:
            scale[: self.weights.shape[1]] *= self.weights[t]
        else:
            table = self.mixed(t, table, transposed)
        filter.spread(lattice, table, scale, out)


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
    for n, (filters, lattices) in enumerate(terms.of_images(features, g)):
        u, q = (a.reshape(g.n, g.labels, g.size)[n] for a in (unary, y))
        start = None if q0 is None else q0.reshape(g.n, g.labels, g.size)[n]
        kept = iterates[:, n] if iterates.size else None
        steps[n] = infer(u, filters, lattices, compatibilities(compat, g), start, q, kept, g)


def infer(
    unary: Array,
    filters: list[Filter],
    lattices: Lattices,
    compat: Compat,
    start: Array | None,
    y: Array,
    kept: Array | None,
    g: Geometry,
) -> int:
    """The iterations of one image: Q or the logits in y, and how many ran."""
    how = lanes(g.labels, y.itemsize)
    nothing, no_rows = np.empty((0, 0), y.dtype), np.empty(0, y.dtype)
    held = _held(filters)
    slow = len(held) < len(filters) or any(f.own.size for f in filters)  # what lattices do not do
    before = g.damping > 0 or g.tolerance >= 0 or slow  # is Q of before asked for?
    q = np.empty((g.size if before else 0, how.row), y.dtype)
    energies = _rows(unary, np.inf, how)
    near, new = (lattices.table(how.row) if g.iterations and held else nothing for _ in "ab")
    change = np.zeros(len(lattices.ends) - 1)

    def iterate(k: int, extra: Array) -> None:
        last = k == g.iterations or g.tolerance >= 0
        launch(mean_field, len(change), _work(lattices, g, how), lattices, lattices.ends,
               energies.reshape(-1), extra.reshape(-1), near.reshape(-1) if k else no_rows,
               no_rows if k == g.iterations else new.reshape(-1), q.reshape(-1),
               g.damping if k else 0.0, g.tolerance >= 0 and k > 0,
               nothing if kept is None else kept[k], y if g.logits and last else nothing,
               y if last and not g.logits else nothing, change, *how)  # fmt: skip

    if start is None:
        iterate(0, no_rows)
    else:
        y[...] = start
        if kept is not None:
            kept[0] = start
        rows = _rows(start, 0, how)
        if q.size:
            q[...] = rows
        if new.size:
            launch(splat_rows, len(change), _work(lattices, g, how), rows.reshape(-1), lattices,
                   new.reshape(-1), *how)  # fmt: skip
    for k in range(1, g.iterations + 1):
        for i, (t, lattice) in enumerate(held):
            table = filter.blurred(filter.gathered(lattice, lattices.part(new, i)), lattice)
            compat.message(t, lattice, table, lattices.part(near, i))
        iterate(k, _others(filters, compat, q, g) if slow else no_rows)
        if change.max() <= g.tolerance:
            if kept is not None:
                kept[k + 1 :] = 0
            return k
    return g.iterations


def _others(filters: list[Filter], compat: Compat, q: Array, g: Geometry) -> Array:
    """What is beside the lattices, of rows: of sums over all pairs ``-mu K q``, and ``own``."""
    total = np.zeros_like(q)
    for t, term in enumerate(filters):
        if term.lattice is None:
            rows = np.ascontiguousarray(q[:, : g.labels])
            total[:, : g.labels] += compat.mixed(t, term.all_pairs(rows))
        if term.own.size:
            total -= term.own[:, None] * compat.mixed(t, q)
    return total


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
    sums = _Sums(compat, g)
    for n, (filters, lattices) in enumerate(terms.of_images(features, g)):
        back = _Back(filters, lattices, sums, gc is not None, gf is not None, g)
        count = min(max(int(steps[n]), 0), g.iterations)
        back.run(iterates[: count + 1, n], gy.reshape(planes)[n],
                 None if gq is None else gq.reshape(planes)[n])  # fmt: skip
        if gu is not None:
            to_planes(back.total, None, gu.reshape(planes)[n])
        for gradient, whole in zip(back.found, gf or (), strict=True):
            into = whole[0 if len(whole) == 1 else n]
            into += gradient.finished().reshape(into.shape)
    if gc is not None:
        sums.store(gc)


class _Back:
    """Back through an image's iterations."""

    def __init__(
        self,
        filters: list[Filter],
        lattices: Lattices,
        sums: _Sums,
        for_compat: bool,
        for_features: bool,
        g: Geometry,
    ) -> None:
        self.filters, self.lattices, self.sums, self.g = filters, lattices, sums, g
        self.for_compat = for_compat
        self.how = how = lanes(g.labels, filters[0].after.itemsize)
        dtype, rows = filters[0].after.dtype, (g.size, how.row)
        self.held = _held(filters)
        self.others = any(f.lattice is None or f.own.size for f in filters)
        self.grads = np.empty(rows, dtype)
        """The gradients of what an iteration takes the softmax of."""
        self.total = np.zeros(rows, dtype)
        """Less their sum: the gradient of the energies."""
        self.left = np.zeros((g.size if g.damping > 0 else 0, how.row), dtype)
        self.by_weights = for_features and not (g.exact or g.exact_gradient)
        self.of_weights = np.zeros(len(lattices.weights) if self.by_weights else 0, dtype)
        self.along = np.zeros((len(filters) if for_features else 0, g.size, 2))
        tables = True, True, for_compat or self.by_weights, self.by_weights
        self.near, self.new, self.new_before, self.ahead = (
            lattices.table(how.row) if wanted and self.held else np.empty((0, 0), dtype)
            for wanted in tables
        )
        self.found = [self._gradient(t) for t in range(len(filters) if for_features else 0)]

    def _gradient(self, t: int) -> Gradient:
        of_weights: Array = self.of_weights
        if self.by_weights:
            begin, corners = self.lattices.begins[t], int(self.lattices.corners[t])
            of_weights = of_weights[begin : begin + self.g.size * corners].reshape(-1, corners)
        return Gradient(self.filters[t], self.g, of_weights, self.along[t])

    def run(self, iterates: Array, gy: Array, gq: Array | None) -> None:
        """From gy to ``total``, to ``found``, to the sums, and to gq."""
        g, qs, count = self.g, _damped(iterates, self.g), len(iterates) - 1
        nothing = np.empty((0, 0), gy.dtype)
        nothing.flags.writeable = False  # as iterates are
        extra = _rows(gy, 0, self.how)
        for k in range(count, -1, -1):
            soft = (
                nothing if (k == 0 and g.starts) or (g.logits and k == count > 0) else iterates[k]
            )
            self._pass(k, k == count, extra, soft, qs[k], qs[k - 1] if k else nothing,
                       gq if k == 0 and gq is not None else np.empty((0, 0), gy.dtype))  # fmt: skip
            extra = np.empty(0, gy.dtype)
            if k:
                self._filter()
            if k and (self.others or (self.found and not self.by_weights)):
                extra = self._others(np.ascontiguousarray(qs[k - 1].T))

    def _pass(self, k: int, first: bool, extra: Array, soft: Array, now: Array, before: Array,
              out: Array) -> None:  # fmt: skip
        g, nothing = self.g, np.empty(0, self.grads.dtype)
        launch(mean_field_back, len(self.lattices.ends) - 1, 2 * _work(self.lattices, g, self.how),
               self.lattices.transposed, self.lattices.ends, extra.reshape(-1),
               nothing if first else self.near.reshape(-1), soft, g.damping if k else 0.0,
               self.left.reshape(-1), self.grads.reshape(-1),
               self.total.reshape(-1) if k or not g.starts else nothing,
               self.new.reshape(-1) if k else nothing, before,
               self.new_before.reshape(-1) if k else nothing,
               nothing if first else self.ahead.reshape(-1), now, self.of_weights,
               self.along.reshape(-1), out, *self.how)  # fmt: skip

    def _filter(self) -> None:
        """From what slots hold of the gradients, and of Q, to what the next pass slices."""
        compat = self.sums.compat
        for i, (t, lattice) in enumerate(self.held):
            table = filter.gathered(lattice, self.lattices.part(self.new, i))
            table = filter.blurred(table, lattice, reverse=True)
            if self.new_before.size:
                before = filter.gathered(lattice, self.lattices.part(self.new_before, i))
                if self.for_compat:
                    self.sums.add(t, table, before, _factor(lattice))
                if self.by_weights:
                    before = filter.blurred(before, lattice)
                    compat.message(t, lattice, before, self.lattices.part(self.ahead, i))
            compat.message(t, lattice, table, self.lattices.part(self.near, i), transposed=True)

    def _others(self, q: Array) -> Array:
        """What is beside the lattices: for the gradient of q (P, L), of which an iteration was."""
        total, compat = np.zeros_like(self.grads), self.sums.compat
        grads = np.ascontiguousarray(self.grads[:, : self.g.labels])
        for t, term in enumerate(self.filters):
            back = None
            if term.lattice is None:
                back = term.all_pairs(grads, transposed=True)
            elif term.own.size:
                back = -term.own[:, None] * grads
            if back is not None:
                total[:, : self.g.labels] += compat.mixed(t, back, transposed=True)
                if self.for_compat:
                    self.sums.add(t, back, q, 1.0)
            if self.found:
                arrived = compat.mixed(t, grads, transposed=True)
                if term.own.size:
                    self.found[t].add_own(q, arrived)
                if not self.by_weights:
                    self.found[t].add_kernel(q, arrived)
        return total


class _Sums:
    """The compatibilities, and sums for their gradients: over rows, iterations and images, in this
    order."""

    def __init__(self, compat: tuple[Array, ...], g: Geometry) -> None:
        self.compat = compatibilities(compat, g)
        self.by_label: Array = np.zeros(self.compat.weights.shape)
        self.by_pair = np.zeros(self.compat.matrices.shape)

    def add(self, t: int, back: Array, q: Array, factor: float) -> None:
        """For a term: of rows H and Q, which may be longer than there are labels."""
        units, labels, place = -(-len(q) // UNIT), self.by_label.shape[1], self.compat.place[t]
        by_label = np.zeros((units if place < 0 else 0, labels))
        by_pair = np.zeros((units if place >= 0 else 0, labels, labels))
        launch(sum_products, units, q.size * (1 if place < 0 else labels), back, q, labels,
               by_label, by_pair)  # fmt: skip
        if place < 0:
            self.by_label[t] += factor * by_label.sum(0)
        else:
            self.by_pair[place] -= factor * by_pair.sum(0)

    def store(self, gc: tuple[Array, ...]) -> None:
        for t, grad in enumerate(gc):
            if grad.ndim == 2:
                grad[...] = self.by_pair[self.compat.place[t]]
            else:
                grad[...] = self.by_label[t] if grad.ndim else self.by_label[t].sum()


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


def _held(filters: list[Filter]) -> list[tuple[int, Lattice]]:
    """The terms that are on lattices."""
    return [(t, f.lattice) for t, f in enumerate(filters) if f.lattice is not None]


def _factor(lattice: Lattice) -> float:
    return slice_factor(lattice.slots.shape[1] - 1)


def _rows(planes: Array, pad: float, how: Lanes) -> Array:
    """Planes (L, P) as rows, made up to whole vectors."""
    rows = np.empty((planes.shape[1], how.row), planes.dtype)
    launch(pad_rows, -(-len(rows) // TILE), 2 * rows.size, planes, planes.dtype.type(pad), rows)
    return rows


def _work(lattices: Lattices, g: Geometry, how: Lanes) -> int:
    """The steps of a pass: to slice and to splat, and the softmax."""
    return (2 * len(lattices.weights) + 20 * g.size) * how.row


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
