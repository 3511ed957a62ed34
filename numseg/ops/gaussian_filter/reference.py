"""gaussian_filter by its definitions: the sum over all pairs of points, and the lattice's three
steps, written from Adams, Baek and Davis (2010).

A filter K is an object that is applied to rows of values, one row to a point. docs/permutohedral.md
derives the lattice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np

from numseg.ops.gaussian_filter.geometry import NORMALIZATIONS, Geometry
from numseg.typing import Array


class Filter(Protocol):
    """K of some points with features (P, D), values (P, L)."""

    def apply(self, values: Array, transposed: bool = False) -> Array:
        """``K values``."""

    def features_gradient(self, left: Array, right: Array) -> Array:
        """(P, D): the gradient of ``<left, K right>`` by the features."""

    def motion(self, moved: Array, values: Array, transposed: bool = False) -> Array:
        """``dK values``, the derivative along a motion (P, D) of the features."""


# -- the exact sum --------------------------------------------------------------------------------


class Exact:
    """``K(i, j) = exp(-|f_i - f_j|^2 / 2)``, without its diagonal if it is not to be included."""

    def __init__(self, f: Array, include_self: bool) -> None:
        self.f, self.include_self = f, include_self

    def _rows(self, with_self: bool) -> Iterator[tuple[int, Any, Array, Array]]:
        """For each point: the points that it sums over, their differences, their weights."""
        for i in range(len(self.f)):
            others = slice(None) if with_self else np.arange(len(self.f)) != i
            difference = self.f[others] - self.f[i]
            yield i, others, difference, np.exp(-0.5 * (difference**2).sum(1))

    def apply(self, values: Array, transposed: bool = False) -> Array:
        y = np.zeros_like(values)
        for i, others, _, weight in self._rows(self.include_self):
            y[i] = (weight[:, None] * values[others]).sum(0)
        return y

    def features_gradient(self, left: Array, right: Array) -> Array:
        """``dK(i, j) / df_i = K(i, j) (f_j - f_i)``, and point i is in a row and in a column."""
        gf = np.zeros_like(self.f)
        for i, others, difference, weight in self._rows(with_self=False):
            pairs = (right[others] * left[i] + left[others] * right[i]).sum(1)
            gf[i] = ((weight * pairs)[:, None] * difference).sum(0)
        return gf

    def motion(self, moved: Array, values: Array, transposed: bool = False) -> Array:
        y = np.zeros_like(values)
        for i, others, difference, weight in self._rows(with_self=False):
            slope = -(difference * (moved[others] - moved[i])).sum(1)
            y[i] = ((weight * slope)[:, None] * values[others]).sum(0)
        return y


# -- the permutohedral lattice --------------------------------------------------------------------


class Simplices(NamedTuple):
    """Where points lie in the lattice."""

    nearest: Array
    """(P, D + 1): each simplex's vertex of remainder 0."""
    rank: Array
    """(P, D + 1): of the coordinates' differences from it, the largest has rank 0."""
    weights: Array
    """(P, D + 1): barycentric coordinates, by the vertices' remainders."""


def scales(d: int) -> Array:
    """Lengths of the plane's axes, and a standard deviation of 1 in steps of the lattice."""
    j = np.arange(1, d + 1)
    return (d + 1) * np.sqrt(2 / 3) / np.sqrt(j * (j + 1))


def elevated(f: Array) -> Array:
    """(P, D + 1): the points on the plane of sum 0. Sums run from the last feature to the first:
    the order decides which simplex a point on a border belongs to."""
    points, d = f.shape
    scale, place, total = scales(d), np.zeros((points, d + 1)), np.zeros(points)
    for j in range(d, 0, -1):
        step = f[:, j - 1] * scale[j - 1]
        place[:, j] = total - j * step
        total = total + step
    place[:, 0] = total
    return place


def flattened(grad_place: Array) -> Array:
    """The transpose of ``elevated``."""
    d = grad_place.shape[1] - 1
    before = np.cumsum(grad_place, 1)[:, :-1]  # the sum over i < j
    return scales(d) * (before - np.arange(1, d + 1) * grad_place[:, 1:])


def simplices(f: Array) -> Simplices:
    """Round to the nearest point of remainder 0, bring the sum back to 0, sort the differences."""
    place = elevated(f)
    points, corners = place.shape
    down = np.floor(place / corners)
    up_is_nearer = (down + 1) * corners - place < place - down * corners
    quotient = np.where(up_is_nearer, down + 1, down)
    difference = place - quotient * corners
    rank = np.zeros((points, corners))
    for i in range(corners):
        for j in range(i + 1, corners):
            lower = difference[:, i] < difference[:, j]  # of equals, the first is the first
            rank[:, i] += lower
            rank[:, j] += ~lower
    rank += quotient.sum(1, keepdims=True)  # so many must be lowered, or raised
    turn = np.where(rank < 0, 1, np.where(rank > corners - 1, -1, 0))
    rank += turn * corners
    nearest = (quotient + turn) * corners
    share = (place - nearest) / corners
    by_rank = np.take_along_axis(share, np.argsort(rank, 1), 1)
    weights = np.empty((points, corners))
    weights[:, 0] = 1 + (by_rank[:, -1] - by_rank[:, 0])
    weights[:, 1:] = (by_rank[:, :-1] - by_rank[:, 1:])[:, ::-1]
    return Simplices(nearest.astype(np.int64), rank.astype(np.int64), weights)


class Lattice:
    """``K = factor * W B W^T``: W the weights of points at vertices, B blurs along each axis."""

    def __init__(self, f: Array, include_self: bool, exact_gradient: bool) -> None:
        self.f, self.include_self, self.exact_gradient = f, include_self, exact_gradient
        self.corners = f.shape[1] + 1
        self.factor = 1 / (1 + 2.0 ** -f.shape[1])
        self.at = simplices(f)
        remainder = np.arange(self.corners)[:, None]
        rank = self.at.rank[:, None]
        canonical = np.where(rank < self.corners - remainder, remainder, remainder - self.corners)
        keys = self.at.nearest[:, None] + canonical  # point, vertex, coordinate
        keys, vertices = np.unique(keys.reshape(-1, self.corners), axis=0, return_inverse=True)
        self.vertices = vertices.reshape(len(f), self.corners)
        self.beside = [self._beside(keys, axis) for axis in range(self.corners)]

    def _beside(self, keys: Array, axis: int) -> tuple[Array, Array]:
        """Of all vertices, those with one after them along an axis, and those after."""
        step = -np.ones(self.corners, np.int64)
        step[axis] += self.corners
        number = {tuple(key): v for v, key in enumerate(keys.tolist())}
        after = np.array([number.get(tuple(key), -1) for key in (keys + step).tolist()], np.int64)
        return np.flatnonzero(after >= 0), after[after >= 0]

    def splat(self, values: Array, weights: Array) -> Array:
        count = self.vertices.max(initial=-1) + 1
        table = np.zeros((count, values.shape[1]))
        np.add.at(table, self.vertices, weights[..., None] * values[:, None])
        return table

    def blur(self, table: Array, transposed: bool) -> Array:
        for here, after in self.beside[:: -1 if transposed else 1]:
            blurred = table.copy()
            np.add.at(blurred, here, 0.5 * table[after])
            np.add.at(blurred, after, 0.5 * table[here])
            table = blurred
        return table

    def slice(self, table: Array, weights: Array) -> Array:
        return self.factor * (weights[..., None] * table[self.vertices]).sum(1)

    def apply(self, values: Array, transposed: bool = False) -> Array:
        y = self._apply(values, transposed)
        return y if self.include_self else y - values

    def _apply(self, values: Array, transposed: bool = False) -> Array:
        weights = self.at.weights
        return self.slice(self.blur(self.splat(values, weights), transposed), weights)

    def features_gradient(self, left: Array, right: Array) -> Array:
        if self.exact_gradient:
            return self._gradient_of_exact(left, right)
        # <left, factor W B W^T right>: W is in it twice
        weights = self.at.weights
        ahead = self.blur(self.splat(right, weights), False)[self.vertices]
        back = self.blur(self.splat(left, weights), True)[self.vertices]
        grad = self.factor * ((left[:, None] * ahead).sum(2) + (right[:, None] * back).sum(2))
        # a coordinate's share is added to the weight of one remainder, taken from the next one's
        more = np.take_along_axis(grad, self.corners - 1 - self.at.rank, 1)
        less = np.take_along_axis(grad, (self.corners - self.at.rank) % self.corners, 1)
        return flattened((more - less) / self.corners)

    def _gradient_of_exact(self, left: Array, right: Array) -> Array:
        """``sum over j of K(i, j) (left_i right_j + right_i left_j) (f_j - f_i)``, its sums by the
        lattice."""
        gf = np.zeros_like(self.f)
        ahead, back = self._apply(right), self._apply(left, True)
        for a, f in enumerate(self.f.T):
            there = self._apply(right * f[:, None]) - f[:, None] * ahead
            here = self._apply(left * f[:, None], True) - f[:, None] * back
            gf[:, a] = (left * there + right * here).sum(1)
        return gf

    def motion(self, moved: Array, values: Array, transposed: bool = False) -> Array:
        if self.exact_gradient:
            return self._motion_of_exact(moved, values, transposed)
        share = elevated(moved) / self.corners
        by_rank = np.take_along_axis(share, np.argsort(self.at.rank, 1), 1)
        weights, moving = self.at.weights, np.empty_like(share)
        moving[:, 0] = by_rank[:, -1] - by_rank[:, 0]
        moving[:, 1:] = (by_rank[:, :-1] - by_rank[:, 1:])[:, ::-1]
        ahead = self.slice(self.blur(self.splat(values, weights), transposed), moving)
        return ahead + self.slice(self.blur(self.splat(values, moving), transposed), weights)

    def _motion_of_exact(self, moved: Array, values: Array, transposed: bool) -> Array:
        """The transpose of ``_gradient_of_exact``: ``dK(i, j) = K(i, j) (f_j - f_i) (df_i - df_j)``
        multiplied out."""

        def k(rows: Array) -> Array:
            return self._apply(rows, transposed)

        both = (self.f * moved).sum(1, keepdims=True)
        y = -both * k(values) - k(both * values)
        for f, df in zip(self.f.T[:, :, None], moved.T[:, :, None], strict=True):
            y += df * k(f * values) + f * k(df * values)
        return y


# -- normalization --------------------------------------------------------------------------------


class Factor(NamedTuple):
    """A diagonal matrix beside K, made of ``n = K 1``."""

    value: Array
    """(P, 1)."""
    slope: Array
    """Its derivative by n."""


class Normalized(NamedTuple):
    """``M = after K before``; a factor that is not there is 1."""

    k: Filter
    before: Factor | None
    after: Factor | None

    def apply(self, values: Array, transposed: bool = False) -> Array:
        before, after = (self.after, self.before) if transposed else (self.before, self.after)
        return _times(after, self.k.apply(_times(before, values), transposed))

    def features_gradient(self, left: Array, right: Array) -> Array:
        """Of ``<left, M right>``."""
        a, b = _times(self.after, left), _times(self.before, right)
        gn: Any = 0.0
        if self.after is not None:
            gn = gn + (left * self.k.apply(b) * self.after.slope).sum(1, keepdims=True)
        if self.before is not None:
            gn = gn + (right * self.k.apply(a, True) * self.before.slope).sum(1, keepdims=True)
        if self.after is not None or self.before is not None:
            a, b = np.concatenate([a, gn], 1), np.concatenate([b, np.ones_like(gn)], 1)
        return self.k.features_gradient(a, b)

    def motion(self, moved: Array, values: Array, transposed: bool) -> Array:
        """``dM values``."""
        before, after = (self.after, self.before) if transposed else (self.before, self.after)
        moved_n = self.k.motion(moved, np.ones((len(values), 1)))
        y = _times(after, self.k.motion(moved, _times(before, values), transposed))
        if after is not None:
            y += after.slope * moved_n * self.k.apply(_times(before, values), transposed)
        if before is not None:
            y += _times(after, self.k.apply(before.slope * moved_n * values, transposed))
        return y


def _times(factor: Factor | None, values: Array) -> Array:
    return values if factor is None else factor.value * values


def normalized(f: Array, g: Geometry) -> Normalized:
    k: Filter = (
        Lattice(f, g.include_self, g.exact_gradient) if g.lattice else Exact(f, g.include_self)
    )
    kind = NORMALIZATIONS[g.normalization]
    if kind == "none":
        return Normalized(k, None, None)
    power = -0.5 if kind == "symmetric" else -1.0
    n = k.apply(np.ones((len(f), 1)))
    near = n > 0
    n = np.where(near, n, 1.0) + 1e-20
    factor = Factor(np.where(near, n**power, 0.0), np.where(near, power * n ** (power - 1), 0.0))
    return Normalized(k, factor if kind != "after" else None, factor if kind != "before" else None)


# -- the operator ---------------------------------------------------------------------------------


def _by_set(g: Geometry, *arrays: Array) -> Iterator[tuple[Array, ...]]:
    """For each set of features, those images' arrays as rows of points."""
    for s in range(g.groups):
        yield tuple(
            a.reshape(g.groups, a.shape[0] * a.shape[1] // g.groups, g.points)[s].T for a in arrays
        )


def _as_planes(rows: list[Array], g: Geometry) -> Array:
    return np.stack([row.T for row in rows]) if rows else np.zeros(0)


def _each(g: Geometry, do: Callable[..., Array], features: Array, *arrays: Array) -> Array:
    found = [do(normalized(f, g), *rows) for f, *rows in _by_set(g, features, *arrays)]
    return _as_planes(found, g)


def forward(x: Array, features: Array, g: Geometry) -> Array:
    return _each(g, lambda m, x: m.apply(x, g.adjoint), features, x).reshape(x.shape)


def backward(x: Array, features: Array, gy: Array, g: Geometry) -> tuple[Array, Array]:
    gx = _each(g, lambda m, gy: m.apply(gy, not g.adjoint), features, gy)
    left, right = (x, gy) if g.adjoint else (gy, x)
    gf = _each(g, lambda m, left, right: m.features_gradient(left, right), features, left, right)
    return gx.reshape(x.shape), gf.reshape(features.shape)


def tangent(x: Array, features: Array, dx: Any, df: Any, g: Geometry) -> Array:
    """The derivative along motions of both; None where there is none."""
    y = np.zeros_like(x) if dx is None else forward(dx, features, g)
    if df is None:
        return y
    moved = _each(g, lambda m, df, x: m.motion(df, x, g.adjoint), features, df, x)
    return y + moved.reshape(x.shape)


def matrix(features: Array, g: Geometry) -> Any:
    """Block-diagonal: for each image and channel, the same matrix of points by points."""
    from scipy import sparse

    one = np.eye(g.points)
    found = [normalized(f, g).apply(one, g.adjoint) for (f,) in _by_set(g, features)]
    blocks = found * g.n if g.groups == 1 else found
    if g.n * g.c * g.points == 0:
        return sparse.csr_array((0, 0))
    return sparse.block_diag([block for block in blocks for _ in range(g.c)], format="csr")
