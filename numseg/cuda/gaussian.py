"""Gaussian filters on CUDA: made of one image's features, normalised, applied, transposed, and
their gradients. The twin of :mod:`numseg.ops.dense_crf.terms`, for every operator that filters.

A filter is ``diag(a) K diag(b)``, where a and b follow from ``n = K 1``; without ``include_self``
from ``n - 1``, and ``diag(a b)`` is subtracted. A lattice's weights have a and b in them, so that
normalising costs nothing in an iteration. Features are (D, P), values (P, L), a row to a point.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numba import int32

from numseg.cuda import exact
from numseg.cuda.arrays import Cuda
from numseg.cuda.lattice import Lattice, Room, blurred, build, filtered, ranges, sliced
from numseg.cuda.lattice import room as lattice_room
from numseg.cuda.launch import Ints, Reals, kernel, launch, next_plane, quotient, thread
from numseg.cuda.rows import Rows, over_rows, row_and_label, step_of_rows
from numseg.cuda.runtime import empty
from numseg.kernels.lattice import simplex

TINY = 1e-20
"""What is added to n, as pydensecrf does: without the term i = j, n may be 0."""


class How(NamedTuple):
    """What an operator wants of its filters."""

    exact: bool
    normalization: str
    include_self: bool
    exact_gradient: bool = False
    """Of features: that of the kernel, and not that of the lattice."""

    @property
    def plain_diagonal_less(self) -> float:
        """What is to be subtracted from the sums of K's rows; the exact sum leaves it out."""
        return 0.0 if self.exact or self.include_self else 1.0


class Filter(NamedTuple):
    """Of one image."""

    how: How
    features: Any
    """(D, P)"""
    after: Any
    """a, (P,); None: ones."""
    before: Any
    """b"""
    own: Any
    """``a b``, by which values themselves are subtracted; None: not at all."""
    plain: Lattice | None
    """None: the sum over all pairs."""
    forward: Lattice | None
    """With a in the weights it slices by, and b in those it splats by."""
    turned: Lattice | None
    """The other way round."""

    def room(self, labels: int) -> Any:
        """What the next two may work in, for so many labels: a lattice's, or an array (P, L)."""
        if self.plain is None:
            return empty((self.features.shape[1], labels), self.features.dtype)
        return lattice_room(self.plain, labels)

    def apply(self, values: Any, out: Any, within: Any = None) -> None:
        """Fill ``out``, (P, L)."""
        if self.forward is None:
            self._sum(_scaled(values, self.before, within), out)
            _scale(out, self.after, out)
        else:
            filtered(self.forward, values, out, within=within)
            self._subtract_own(values, out)

    def transposed(self, values: Any, out: Any, within: Any = None) -> Any:
        """The same of the transpose; what the lattice's vertices hold before they are sliced."""
        if self.turned is None:
            self._sum(_scaled(values, self.after, within), out)
            _scale(out, self.before, out)
            return None
        table = blurred(self.turned, values, True, within)
        sliced(self.turned, table, out)
        self._subtract_own(values, out)
        return table

    def _sum(self, values: Any, out: Any) -> None:
        exact.filtered(self.features, values, out, self.how.include_self)

    def _subtract_own(self, values: Any, out: Any) -> None:
        if self.own is not None:
            over_rows(_subtract, *out.shape, values, self.own, out)

    def unscaled(self, values: Any, reverse: bool = False) -> Any:
        """K of values, its diagonal included where it is a lattice's."""
        out = empty(values.shape, values.dtype)
        if self.plain is None:
            self._sum(values, out)
        else:
            filtered(self.plain, values, out, reverse)
        return out


def unfit(features: Sequence[Any], others: Sequence[Any], lattice: bool) -> bool:
    """Is there something to refuse about sets of features, each (sets, D, P), or about other
    arrays: a number that is not finite, or a set whose vertices have no numbers? The host waits for
    their ranges."""
    rows = [f.reshape(f.shape[0] * f.shape[1], f.shape[2]) for f in features]
    found = ranges(*rows, *(array.reshape(1, array.size) for array in others))
    if not all(np.isfinite(ends).all() for ends in found):
        return True
    sets = (
        ends.reshape(2, *f.shape[:2]).swapaxes(0, 1)
        for ends, f in zip(found, features, strict=False)
    )
    return lattice and any(simplex.keys(*ends) is None for one in sets for ends in one)


def made(features: Any, how: How) -> Filter:
    """The filter of features (D, P), which have been checked."""
    lattice = None if how.exact else build(features)
    plain = Filter(how, features, None, None, None, lattice, lattice, lattice)
    after = before = own = None
    if how.normalization != "none":
        inverse = _inverse(plain)
        after = None if how.normalization == "before" else inverse
        before = None if how.normalization == "after" else inverse
    if lattice is None:
        return plain._replace(after=after, before=before)
    if not how.include_self:
        own = constant(features.shape[1:], features.dtype, 1)
        for factor in (after, before):
            _scale(own.reshape(own.size, 1), factor, own.reshape(own.size, 1))
    forward = _weighted(lattice, after, before)
    turned = forward if after is before else _weighted(lattice, before, after)
    return Filter(how, features, after, before, own, lattice, forward, turned)


def _inverse(plain: Filter) -> Any:
    """What values are normalised by: n to the power of -1 or -1/2; 0 where no other is near."""
    how, points = plain.how, plain.features.shape[1]
    n = plain.unscaled(constant((points, 1), plain.features.dtype, 1))
    inverse = empty((points,), n.dtype)
    less = how.plain_diagonal_less
    launch(_invert, 1, points, n, inverse, less, TINY, how.normalization == "symmetric")
    return inverse


def _weighted(lattice: Lattice, after: Any, before: Any) -> Lattice:
    """With a and b in its weights."""
    corners = lattice.neighbours.shape[0]
    weights = _times(lattice.weights, after, lattice.points[:0], corners)
    shares = _times(lattice.shares, before, lattice.points, corners)
    return lattice._replace(weights=weights, shares=shares)


def _times(values: Any, factor: Any, points: Any, corners: int) -> Any:
    if factor is None:
        return values
    out = empty(values.shape, values.dtype)
    launch(_times_of_points, 1, out.size, values, factor, points, out, corners)
    return out


def constant(shape: tuple[int, ...], dtype: Any, value: float) -> Any:
    """A new array of one number."""
    return fill_with(empty(shape, dtype), value)


def fill_with(out: Any, value: float) -> Any:
    """Set every number of an array."""
    launch(_set, 1, out.size, out, value)
    return out


def _scaled(values: Any, factor: Any, out: Any = None) -> Any:
    """Rows times their factors."""
    if factor is None:
        return values
    out = empty(values.shape, values.dtype) if out is None else out
    _scale(values, factor, out)
    return out


def _scale(values: Any, factor: Any, out: Any) -> None:
    if factor is not None:
        over_rows(_multiply, *out.shape, values, factor, out)


@kernel
def _set(out: Reals, value: float) -> None:
    i, _ = thread()
    if i < out.size:
        out[i] = value


@kernel
def _invert(n: Reals, inverse: Reals, less: float, tiny: float, root: bool) -> None:
    i, _ = thread()
    if i < n.size:
        one, near = n.dtype.type(1), n[i] - less
        total = near + tiny if near > 0 else one
        if root:
            total = n.dtype.type(math.sqrt(total))
        inverse[i] = one / total if near > 0 else n.dtype.type(0)


@kernel
def _times_of_points(values: Reals, factor: Reals, points: Ints, out: Reals, corners: int) -> None:
    """Corners times the factors of their points, which are in order where none are given."""
    i, _ = thread()
    if i < out.size:
        out[i] = values[i] * factor[points[i] if points.size > 0 else quotient(i, corners)]


@kernel
def _multiply(values: Reals, factor: Reals, out: Reals, g: Rows) -> None:
    row, label = row_and_label(g)
    if row < 0:
        return
    while row < g.rows:
        i = row * g.labels + label
        out[i] = values[i] * factor[row]
        row += step_of_rows(g)


@kernel
def _subtract(values: Reals, own: Reals, out: Reals, g: Rows) -> None:
    row, label = row_and_label(g)
    if row < 0:
        return
    while row < g.rows:
        i = row * g.labels + label
        out[i] -= own[row] * values[i]
        row += step_of_rows(g)


# -- gradients of features -------------------------------------------------------------------------


class Gradient:
    """Of one filter's features: a sum over iterations of ``<gy, d(diag(a) K diag(b)) x>``, which
    :meth:`finish` puts, or adds, ``into`` an array (D, P)."""

    def __init__(self, term: Filter, into: Any, fresh: bool) -> None:
        self.term, self.into, self.fresh = term, into, fresh
        self.of_kernel = term.plain is None or term.how.exact_gradient
        dtype, (d, points) = into.dtype, into.shape
        if self.of_kernel and fresh:
            fill_with(into, 0)
        corners = 0 if self.of_kernel else points * (d + 1)
        self.sliced, self.splatted = (constant((corners,), dtype, 0) for _ in range(2))
        """What has come to the weights of a lattice's corners where they slice and splat."""
        self.rooms: dict[int, Room] = {}
        self.by_after, self.by_before, self.by_own = (
            constant((points,), dtype, 0) for _ in range(3)
        )
        """``a`` times its gradient, ``b`` times that; ``<x, gy>`` of each point."""

    def add(self, x: Any, gy: Any, mixed: Any, table: Any) -> None:
        """``<gy, d(filter) x>`` where ``gy = M grads`` and ``mixed = M' x``, M a matrix of labels,
        and the vertices of the transposed filter of ``grads`` hold ``table``. (P, L) all."""
        if self.of_kernel:
            self._add_kernel(x, gy)
        else:
            self._add_lattice(x, gy, mixed, table)
        if self.term.own is not None:
            launch(_add_dots, 1, x.shape[0], x, gy, self.by_own, x.shape[1])

    def _add_lattice(self, x: Any, gy: Any, mixed: Any, table: Any) -> None:
        term, labels = self.term, x.shape[1]
        assert term.forward is not None
        if labels not in self.rooms:
            self.rooms[labels] = term.room(labels)
        ahead = blurred(term.forward, x, within=self.rooms[labels])
        factors = (x.reshape(x.size)[:0] if f is None else f for f in (term.after, term.before))
        arrays = gy, mixed, ahead, table, term.forward.vertices, *factors
        sums = self.sliced, self.splatted
        factor = simplex.slice_factor(self.into.shape[0])
        corners = self.into.shape[0] + 1
        launch(_add_weights, 1, self.sliced.size, *arrays, *sums, labels, corners, factor)

    def _add_kernel(self, x: Any, gy: Any) -> None:
        """``sum over j of K(i, j) (f_j - f_i) (gy_i x_j + x_i gy_j)``. By a lattice, f times x and
        f times gy are filtered: Simplex-GP."""
        term, (points, labels) = self.term, x.shape
        x, gy = _scaled(x, term.before), _scaled(gy, term.after)
        if term.plain is None:
            exact.add_slope(term.features, x, gy, self.into)
            if term.how.normalization == "none":
                return
        ahead, back = term.unscaled(x), term.unscaled(gy, reverse=True)
        launch(_add_dots, 1, points, gy, ahead, self.by_after, labels)
        launch(_add_dots, 1, points, x, back, self.by_before, labels)
        for j in range(self.into.shape[0] if term.plain is not None else 0):
            f, grad = term.features[j], self.into[j]
            there, here = term.unscaled(_scaled(x, f)), term.unscaled(_scaled(gy, f), reverse=True)
            arrays = x, gy, f, ahead, back, there, here, grad
            launch(_add_moments, 1, points, *arrays, labels)

    def finish(self) -> None:
        """With what comes through n."""
        if self.term.how.normalization != "none":
            self._through_n()
        if not self.of_kernel:
            d = self.into.shape[0]
            assert self.term.plain is not None
            scale = Cuda.from_host(simplex.scales(d).astype(self.into.dtype))
            arrays = self.sliced, self.splatted, self.term.plain.ranks, scale, self.into
            launch(_to_features, d, self.into.shape[1], *arrays, d, self.fresh)

    def _through_n(self) -> None:
        """n is a filter of ones."""
        term, points = self.term, self.into.shape[1]
        if not self.of_kernel:
            assert term.plain is not None
            corners = self.sliced, self.splatted, term.plain.weights
            sums = self.by_after, self.by_before
            launch(_add_corners, 1, points, *corners, *sums, self.into.shape[0] + 1)
        gn = empty((points, 1), self.into.dtype)
        kind = term.how.normalization
        inverse = term.before if term.after is None else term.after
        own = self.by_own[:0] if term.own is None else term.own
        arrays = self.by_after, self.by_before, self.by_own, own, inverse, gn
        launch(_to_n, 1, points, *arrays, kind != "before", kind != "after")
        table = None
        if not self.of_kernel and term.plain is not None:
            table = blurred(term.plain, gn, reverse=True)
        plain = term._replace(after=None, before=None, own=None, forward=term.plain)
        self.term = plain._replace(how=term.how._replace(normalization="none"))
        one = constant(gn.shape, gn.dtype, 1)
        self.add(one, gn, one, table)


@kernel
def _add_dots(u: Reals, v: Reals, sums: Reals, labels: int) -> None:
    """Of each point's rows."""
    point, plane = thread()
    if point >= sums.size or plane > 0:
        return
    total = sums[point]
    for label in range(labels):
        total += u[point * labels + label] * v[point * labels + label]
    sums[point] = total


@kernel
def _add_weights(
    gy: Reals,
    mixed: Reals,
    ahead: Reals,
    back: Reals,
    vertices: Ints,
    after: Reals,
    before: Reals,
    sliced: Reals,
    splatted: Reals,
    labels: int,
    corners: int,
    factor: float,
) -> None:
    """Of a corner's weight: it slices what x became, and splats x, which arrives at gy."""
    corner, plane = thread()
    if corner >= sliced.size or plane > 0:
        return
    point, v = quotient(corner, corners), vertices[corner]
    by_slice = by_splat = sliced.dtype.type(0)
    for label in range(labels):
        here, there = point * labels + label, v * labels + label
        by_slice += gy[here] * ahead[there]
        by_splat += mixed[here] * back[there]
    a = after[point] if after.size > 0 else sliced.dtype.type(1)
    b = before[point] if before.size > 0 else sliced.dtype.type(1)
    sliced[corner] += factor * a * by_slice
    splatted[corner] += factor * b * by_splat


@kernel
def _add_moments(
    x: Reals,
    gy: Reals,
    f: Reals,
    ahead: Reals,
    back: Reals,
    there: Reals,
    here: Reals,
    grad: Reals,
    labels: int,
) -> None:
    point, plane = thread()
    if point >= grad.size or plane > 0:
        return
    total = grad[point]
    for label in range(labels):
        i = point * labels + label
        total += gy[i] * (there[i] - f[point] * ahead[i]) + x[i] * (here[i] - f[point] * back[i])
    grad[point] = total


@kernel
def _add_corners(
    sliced: Reals, splatted: Reals, weights: Reals, by_after: Reals, by_before: Reals, corners: int
) -> None:
    """The factors of a point scale the weights of its corners."""
    point, plane = thread()
    if point >= by_after.size or plane > 0:
        return
    for k in range(corners):
        corner = point * corners + k
        by_after[point] += weights[corner] * sliced[corner]
        by_before[point] += weights[corner] * splatted[corner]


@kernel
def _to_n(
    by_after: Reals,
    by_before: Reals,
    by_own: Reals,
    own: Reals,
    inverse: Reals,
    gn: Reals,
    has_after: bool,
    has_before: bool,
) -> None:
    """The gradient of n, whose power -1 is a or b, or whose power -1/2 is both."""
    point, _ = thread()
    if point >= gn.size:
        return
    less = own[point] * by_own[point] if own.size > 0 else gn.dtype.type(0)
    total = gn.dtype.type(0)
    if has_after:
        total -= by_after[point] - less
    if has_before:
        total -= by_before[point] - less
    slope = inverse[point]
    if has_after and has_before:
        slope *= gn.dtype.type(0.5) * inverse[point]
    gn[point] = total * slope


@kernel
def _to_features(
    sliced: Reals, splatted: Reals, ranks: Ints, scale: Reals, into: Reals, d: int, fresh: bool
) -> None:
    """From the gradient of weights to that of feature j. Weight k is the difference of the
    coordinates of rank d - k and d - k + 1, divided by d + 1; weight 0 is what is left to 1."""
    point, j = thread()
    points = quotient(into.size, d)
    if point >= points:
        return
    while j < d:
        total = into.dtype.type(0)
        i = int32(0)
        while i <= j + 1:
            k = d - ranks[i * points + point]
            near, next_ = point * (d + 1) + k, point * (d + 1) + (k + 1 if k < d else 0)
            place = sliced[near] + splatted[near] - sliced[next_] - splatted[next_]
            if i <= j:
                total += place
            else:
                total -= into.dtype.type(i) * place
            i = int32(i + 1)
        gradient = total * scale[j] / into.dtype.type(d + 1)
        into[j * points + point] = gradient if fresh else into[j * points + point] + gradient
        j = next_plane(j)
