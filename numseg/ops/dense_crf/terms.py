"""The filters of dense_crf's terms: made, normalised, applied, transposed, and their gradients.

A filter is ``diag(a) K diag(b)``, where a and b follow from ``n = K 1``; without ``include_self``
from ``n - 1``, and ``diag(a b)`` is subtracted. Values are (points, labels), a row to a point.

A lattice's weights have a and b in them, so that normalising costs nothing in an iteration.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from numseg.kernels.lattice import exact, simplex
from numseg.kernels.lattice.build import BLOCK, Lattice, build, differences
from numseg.kernels.lattice.filter import blurred, filtered, sliced, splatted
from numseg.kernels.machine.jit import kernel
from numseg.kernels.machine.threads import launch
from numseg.kernels.reductions.sums import in_compiled_order
from numseg.ops.dense_crf.geometry import Geometry
from numseg.ops.gaussian_filter.geometry import NORMALIZATIONS
from numseg.typing import Array

TINY = 1e-20
"""What is added to n, as pydensecrf does."""


class Filter(NamedTuple):
    """Of one image and one term."""

    features: Array
    """(P, D)"""
    after: Array
    """a, (P,)"""
    before: Array
    """b"""
    own: Array
    """``a b``, (P,), by which values themselves are to be subtracted; empty: not at all."""
    include_self: bool
    """Of the sum over all pairs: with i = j."""
    plain: Lattice | None
    """None: the sum over all pairs."""
    forward: Lattice | None
    """With a in the weights it slices by, and b in those it splats by."""
    turned: Lattice | None
    """The other way round."""

    def apply(self, values: Array, out: Array) -> None:
        """``diag(a) K diag(b) values``; ``own`` is the caller's to subtract."""
        if self.forward is None:
            self._all_pairs(values * self.before[:, None], out)
            out *= self.after[:, None]
        else:
            filtered(self.forward, values, out)

    def transposed(self, values: Array, out: Array) -> Array | None:
        """The same of the transpose; what the lattice's vertices hold before they are sliced."""
        if self.turned is None:
            self._all_pairs(values * self.after[:, None], out)
            out *= self.before[:, None]
            return None
        table = blurred(splatted(self.turned, values), self.turned, reverse=True)
        sliced(self.turned, table, out)
        return table

    def unscaled(self, values: Array, out: Array, reverse: bool = False) -> None:
        """K of values, ``own`` included."""
        if self.plain is None:
            self._all_pairs(values, out)
        else:
            filtered(self.plain, values, out, reverse)

    def _all_pairs(self, values: Array, out: Array) -> None:
        exact.filtered(self.features, values, out, include_self=self.include_self)


def made(features: Array, g: Geometry) -> Filter:
    """The filter of features (P, D)."""
    lattice = None if g.exact else build(features)
    one, nothing = np.ones(len(features), features.dtype), np.empty(0, features.dtype)
    plain = Filter(features, one, one, nothing, g.include_self, lattice, lattice, lattice)
    separate = not (g.include_self or g.exact)
    kind = NORMALIZATIONS[g.normalization]
    if kind == "none":
        return plain._replace(own=one) if separate else plain
    n = np.empty((len(features), 1), features.dtype)
    plain.unscaled(one[:, None], n)
    inverse = _inverse(n[:, 0].astype(np.float64) - separate, kind).astype(features.dtype)
    after = one if kind == "before" else inverse
    before = one if kind == "after" else inverse
    own = after * before if separate else nothing
    scaled = plain._replace(after=after, before=before, own=own)
    if lattice is None:
        return scaled
    forward = _weighted(lattice, after, before)
    turned = forward if kind == "symmetric" else _weighted(lattice, before, after)
    return scaled._replace(forward=forward, turned=turned)


def _inverse(n: Array, kind: str) -> Array:
    """``1 / n`` or ``n**-1/2``; 0 where no other point is near, so that n is not positive."""
    near = n > 0
    total = np.where(near, n + TINY, 1.0)
    return np.where(near, 1 / (np.sqrt(total) if kind == "symmetric" else total), 0.0)


def _weighted(lattice: Lattice, after: Array, before: Array) -> Lattice:
    """With a and b in its weights."""
    shares = lattice.shares * before[lattice.points]
    return lattice._replace(weights=lattice.weights * after[:, None], shares=shares)


# -- gradients of features ------------------------------------------------------------------------


class Gradient:
    """Of one filter's features: a sum over iterations of ``<gy, d(diag(a) K diag(b)) x>``."""

    def __init__(self, term: Filter, g: Geometry) -> None:
        self.term, self.kind = term, NORMALIZATIONS[g.normalization]
        points, d = term.features.shape
        self.of_kernel = term.plain is None or g.exact_gradient
        dtype = term.features.dtype
        self.features = np.zeros((points, d), dtype)
        """What has come to the features themselves, with ``of_kernel``."""
        self.weights = np.zeros((0 if self.of_kernel else points, d + 1), dtype)
        """Else, what has come to the lattice's weights."""
        self.along = np.zeros((2, points))
        """``a`` times its gradient, and ``b`` times that."""

    def add(self, x: Array, gy: Array, mixed: Array, grads: Array, table: Array | None) -> None:
        """An iteration's: ``gy = -mu' grads``, ``mixed = -mu x``, and what the vertices hold of the
        transposed filter of ``grads``. (P, labels) all."""
        term = self.term
        if self.of_kernel:
            self._add_kernel(x, gy)
        else:
            assert term.forward is not None
            assert term.plain is not None
            factor = simplex.slice_factor(self.features.shape[1])
            ahead = blurred(splatted(term.forward, x), term.forward)
            launch(_add_weights, len(x), 4 * x.size * self.weights.shape[1], gy, mixed, ahead,
                   table, term.plain.vertices, term.plain.weights, term.after, term.before,
                   factor, self.weights, self.along)  # fmt: skip
        if term.own.size:
            self.along -= term.own * (x * gy).sum(1, dtype=np.float64)

    def _add_kernel(self, x: Array, gy: Array) -> None:
        """Of K itself, ``sum over j of K(i, j) (f_j - f_i) (gy_i x_j + x_i gy_j)``; a lattice's by
        filtering f times x and f times gy (Simplex-GP)."""
        term = self.term
        x, gy = x * term.before[:, None], gy * term.after[:, None]
        kx, kgy, product = np.empty_like(x), np.empty_like(x), np.empty_like(x)
        term.unscaled(x, kx)
        term.unscaled(gy, kgy, reverse=True)
        self.along += (gy * kx).sum(1, dtype=np.float64), (x * kgy).sum(1, dtype=np.float64)
        if term.plain is None:
            both = np.empty(self.features.shape[::-1], x.dtype)
            exact.features_gradient(term.features, gy, x, both)
            self.features += both.T
            return
        for j in range(self.features.shape[1]):
            f = term.features[:, j, None]
            term.unscaled(f * x, product)
            self.features[:, j] += (gy * (product - f * kx)).sum(1)
            term.unscaled(f * gy, product, reverse=True)
            self.features[:, j] += (x * (product - f * kgy)).sum(1)

    def finished(self) -> Array:
        """With what comes through n, (D, P)."""
        term = self.term
        if self.kind != "none":
            self._through_n()
        if not self.of_kernel:
            launch(_to_features, -(-len(self.features) // BLOCK), self.features.size * 64,
                   np.ascontiguousarray(term.features.T), simplex.scales(self.features.shape[1]),
                   self.weights, self.features)  # fmt: skip
        return self.features.T

    def _through_n(self) -> None:
        """n is a filter of ones."""
        term = self.term
        a, b = term.after.astype(np.float64), term.before.astype(np.float64)
        by_a, by_b = self.along
        grad = {"symmetric": -0.5 * (by_a + by_b) * a * b, "before": -by_b * b, "after": -by_a * a}
        gn = grad[self.kind].astype(term.features.dtype)[:, None]
        one = np.ones_like(gn)
        ones = {"after": one[:, 0], "before": one[:, 0], "own": term.own[:0]}
        self.term = term._replace(**ones, forward=term.plain, turned=term.plain)
        table = None
        if term.plain is not None and not self.of_kernel:
            table = blurred(splatted(term.plain, gn), term.plain, reverse=True)
        self.add(one, gn, one, gn, table)


@in_compiled_order
def _two_products(a, b, c, d):
    """The sums of ``a b`` and of ``c d``, in the rows' dtype: rows are as short as there are
    labels."""
    first, second = a.dtype.type(0), a.dtype.type(0)
    for i in range(len(a)):
        first += a[i] * b[i]
        second += c[i] * d[i]
    return first, second


@kernel({"contract"})
def _add_weights(start, stop, gy, mixed, ahead, back, vertices, weights, after, before, factor,
                 grad, along):  # fmt: skip
    """Of a lattice's weights: they splat x, which arrives at gy, and slice what x became."""
    labels = gy.shape[1]
    for p in range(start, stop):
        a, b = factor * after[p], factor * before[p]
        by_a = by_b = 0.0
        for k in range(vertices.shape[1]):
            v = vertices[p, k]
            at_slice, at_splat = _two_products(gy[p], ahead[v, :labels], mixed[p], back[v, :labels])
            at_slice, at_splat = a * at_slice, b * at_splat
            grad[p, k] += at_slice + at_splat
            by_a += weights[p, k] * at_slice
            by_b += weights[p, k] * at_splat
        along[0, p] += by_a
        along[1, p] += by_b


@kernel()
def _to_features(start, stop, planes, scale, grad, out):
    """From the gradient of barycentric weights to that of features. Weight k is the difference of
    the coordinates of rank d - k and d - k + 1, divided by d + 1; weight 0 is what is left to 1."""
    d, points = planes.shape
    quotient, difference = np.empty((d + 1, BLOCK)), np.empty((d + 1, BLOCK))
    rank, place = np.empty((d + 1, BLOCK)), np.empty(d + 1)
    for unit in range(start, stop):
        first = unit * BLOCK
        count = min(BLOCK, points - first)
        differences(planes, first, count, scale, quotient, difference, rank)
        for p in range(count):
            row = grad[first + p]
            for j in range(d + 1):
                k = d - int(rank[j, p])
                behind = row[k + 1] if k < d else row[0]
                place[j] = (np.float64(row[k]) - behind) / (d + 1)
            before = place[0]
            for j in range(1, d + 1):
                out[first + p, j - 1] = scale[j - 1] * (before - j * place[j])
                before += place[j]
