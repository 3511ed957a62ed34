"""The filters of dense_crf's terms: made, normalised, and their features' gradients.

A filter is ``diag(a) K diag(b)``, where a and b follow from ``n = K 1``; without ``include_self``
from ``n - 1``, and ``diag(a b)`` is subtracted. Values are (points, labels), a row to a point.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from numseg.kernels.lattice import exact, filter, gradient
from numseg.kernels.lattice.build import Lattice, build, run_ends
from numseg.kernels.lattice.passes import Lattices, joined
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
    """b; the same array where they are equal."""
    own: Array
    """``a b``, (P,), by which values themselves are to be subtracted; empty: not at all."""
    include_self: bool
    """Of the sum over all pairs: with i = j."""
    lattice: Lattice | None
    """None: the sum over all pairs."""

    def all_pairs(self, values: Array, transposed: bool = False) -> Array:
        """``diag(a) K diag(b) values``, K the sum over all pairs."""
        after, before = (self.before, self.after) if transposed else (self.after, self.before)
        out = np.empty_like(values)
        self.unscaled(values * before[:, None], out)
        out *= after[:, None]
        return out

    def unscaled(self, values: Array, out: Array, reverse: bool = False) -> None:
        """K of values, ``own`` included."""
        if self.lattice is None:
            exact.filtered(self.features, values, out, include_self=self.include_self)
        else:
            filter.filtered(self.lattice, values, out, reverse)


def made(features: Array, g: Geometry, out: tuple[Array, Array] | None = None) -> Filter:
    """The filter of features (D, P). ``out``: flat arrays for the lattice's slots and weights."""
    points = features.shape[1]
    # the sum over all pairs reads features point by point, a lattice by planes
    rows = np.ascontiguousarray(features.T) if g.exact else features.T
    lattice = None if g.exact else build(rows, out)
    one, nothing = np.ones(points, features.dtype), np.empty(0, features.dtype)
    plain = Filter(rows, one, one, nothing, g.include_self, lattice)
    separate = not (g.include_self or g.exact)
    kind = NORMALIZATIONS[g.normalization]
    if kind == "none":
        return plain._replace(own=one) if separate else plain
    n = np.empty((points, 1), features.dtype)
    plain.unscaled(one[:, None], n)
    inverse = _inverse(n[:, 0], separate, kind)
    after = one if kind == "before" else inverse
    before = one if kind == "after" else inverse
    return plain._replace(after=after, before=before, own=after * before if separate else nothing)


def _inverse(n: Array, separate: bool, kind: str) -> Array:
    """``1 / n`` or ``n**-1/2``, of ``n - 1`` if the point itself is ``separate``; 0 where no other
    point is near, so that n is not positive."""
    total = n.astype(np.float64)
    total -= separate
    near = total > 0
    total += TINY
    total[~near] = 1
    if kind == "symmetric":
        np.sqrt(total, out=total)
    np.divide(near, total, out=total)
    return total.astype(n.dtype)


def together(
    filters: Sequence[Filter], points: int, corners: Array | None = None,
    weights: Array | None = None,
) -> Lattices:  # fmt: skip
    """The filters' lattices for passes over all; none, if they are sums over all pairs. Their slots
    and weights are put into one array each, unless they already are all of these."""
    held = [(f, f.lattice) for f in filters if f.lattice is not None]
    dtype = filters[0].after.dtype
    if not held:
        ends, nothing = run_ends(points), np.empty(0, np.int64)
        factors = np.empty((0, points), dtype)
        return Lattices(ends, nothing, nothing, np.empty(0, np.int32), np.empty(0, dtype),
                        np.empty((0, len(ends)), np.int64), factors, factors)  # fmt: skip
    before = after = np.stack([f.after for f, _ in held])
    if any(f.before is not f.after for f, _ in held):
        before = np.stack([f.before for f, _ in held])
    if corners is None or weights is None:
        corners = np.concatenate([lattice.slots.reshape(-1) for _, lattice in held])
        weights = np.concatenate([lattice.weights.reshape(-1) for _, lattice in held])
    return joined([lattice for _, lattice in held], after, before, corners, weights)


def of_images(features: Sequence[Array], g: Geometry) -> Iterator[tuple[list[Filter], Lattices]]:
    """Image by image the filters of all terms; those that all images share are made once."""
    sizes = [0 if g.exact else g.size * (d + 1) for d in g.dims]
    places = np.cumsum([0, *sizes])
    corners = np.empty(places[-1], np.int32)
    weights = np.empty(places[-1], features[0].dtype)
    shared: dict[int, Filter] = {}

    def one(t: int, n: int) -> Filter:
        if t in shared:
            return shared[t]
        image = features[t][0 if g.shared[t] else n].reshape(g.dims[t], g.size)
        part = slice(places[t], places[t + 1])
        found = made(image, g, (corners[part], weights[part]))
        if g.shared[t]:
            shared[t] = found
        return found

    for n in range(g.n):
        filters = [one(t, n) for t in range(len(features))]
        yield filters, together(filters, g.size, corners, weights)


# -- gradients of features ------------------------------------------------------------------------


class Gradient:
    """Of one filter's features: a sum over iterations of ``<gy, d(diag(a) K diag(b)) x>``."""

    def __init__(self, term: Filter, g: Geometry, of_weights: Array, along: Array) -> None:
        self.term, self.kind = term, NORMALIZATIONS[g.normalization]
        self.features = np.zeros(term.features.shape[::-1], term.features.dtype)
        """What has come to the features themselves, (D, P): of K by its definition."""
        self.of_weights = of_weights
        """What has come to the lattice's weights, (P, D + 1); empty: features have it."""
        self.along = along
        """(P, 2): ``a`` times its gradient, and ``b`` times that."""

    def add_own(self, x: Array, gy: Array) -> None:
        """Of an iteration in which ``own`` x is subtracted, (P, labels), where gy arrives."""
        self.along -= (self.term.own * (x * gy).sum(1, dtype=np.float64))[:, None]

    def add_kernel(self, x: Array, gy: Array) -> None:
        """Of an iteration, of K: ``sum over j of K(i, j) (f_j - f_i) (gy_i x_j + x_i gy_j)``, a
        lattice's by filtering f times x and f times gy (Simplex-GP)."""
        term = self.term
        x, gy = x * term.before[:, None], gy * term.after[:, None]
        kx, kgy, product = np.empty_like(x), np.empty_like(x), np.empty_like(x)
        term.unscaled(x, kx)
        term.unscaled(gy, kgy, reverse=True)
        self.along[:, 0] += (gy * kx).sum(1, dtype=np.float64)
        self.along[:, 1] += (x * kgy).sum(1, dtype=np.float64)
        if term.lattice is None:
            both = np.empty_like(self.features)
            exact.features_gradient(term.features, gy, x, both)
            self.features += both
            return
        for j, into in enumerate(self.features):
            f = term.features[:, j, None]
            term.unscaled(f * x, product)
            into += (gy * (product - f * kx)).sum(1)
            term.unscaled(f * gy, product, reverse=True)
            into += (x * (product - f * kgy)).sum(1)

    def finished(self) -> Array:
        """With what comes through n, (D, P)."""
        if self.kind != "none":
            self._through_n()
        if self.of_weights.size:
            gradient.to_features(self.term.features, self.of_weights, self.features)
        return self.features

    def _through_n(self) -> None:
        """n is a filter of ones."""
        term = self.term
        a, b = term.after.astype(np.float64), term.before.astype(np.float64)
        by_a, by_b = self.along.T
        grad = {"symmetric": -0.5 * (by_a + by_b) * a * b, "before": -by_b * b, "after": -by_a * a}
        gn = grad[self.kind].astype(term.features.dtype)[:, None]
        one = np.ones_like(gn)
        if term.lattice is not None and self.of_weights.size:
            gradient.add_weights_gradient(term.lattice, gn, one, self.of_weights)
        else:
            self.term = term._replace(after=one[:, 0], before=one[:, 0])
            self.add_kernel(one, gn)
