"""gaussian_filter on the CPU: one set of features after the other, the values of all its images
side by side in rows, one to a point. Between planes and rows lies the normalization."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from numseg.kernels.lattice import exact, filter, gradient
from numseg.kernels.lattice.build import Lattice, build
from numseg.kernels.lattice.rows import to_planes, to_rows
from numseg.ops.gaussian_filter.geometry import NORMALIZATIONS, Geometry
from numseg.typing import Array


class Filter(NamedTuple):
    """K of a set of features."""

    features: Array
    """(P, D)."""
    lattice: Lattice | None
    """None for the exact sum."""
    include_self: bool
    exact_gradient: bool

    def apply(self, rows: Array, reverse: bool = False) -> Array:
        """``K rows``, a fresh array."""
        if self.lattice is None:
            out = np.empty_like(rows)
            exact.filtered(self.features, rows, out, reverse, self.include_self)
            return out
        out = self.with_self(rows, reverse)
        return out if self.include_self else np.subtract(out, rows, out=out)

    def with_self(self, rows: Array, reverse: bool = False) -> Array:
        assert self.lattice is not None
        out = np.empty_like(rows)
        filter.filtered(self.lattice, rows, out, reverse)
        return out

    def features_gradient(self, left: Array, right: Array, out: Array) -> None:
        """Of ``<left, K right>``, (D, P)."""
        if self.lattice is None:
            exact.features_gradient(self.features, left, right, out)
        elif self.exact_gradient:
            self._gradient_of_exact(left, right, out)
        else:
            gradient.features_gradient(self.lattice, self.features, left, right, out)

    def _gradient_of_exact(self, left: Array, right: Array, out: Array) -> None:
        """``sum over j of K(i, j) (left_i right_j + right_i left_j) (f_j - f_i)``."""
        ahead, back = self.with_self(right), self.with_self(left, True)
        for a in range(out.shape[0]):
            f = self.features[:, a, None]
            there = self.with_self(right * f) - f * ahead
            here = self.with_self(left * f, True) - f * back
            out[a] = (left * there + right * here).sum(1)


class Factors(NamedTuple):
    """What values are multiplied by before and after K; (P,), None for 1. And the slopes by n."""

    before: Array | None
    after: Array | None
    before_slope: Array | None
    after_slope: Array | None


def _filter(features: Array, g: Geometry) -> Filter:
    rows = features.T
    return Filter(rows if g.lattice else np.ascontiguousarray(rows),
                  build(rows) if g.lattice else None, g.include_self, g.exact_gradient)  # fmt: skip


def _factors(k: Filter, g: Geometry) -> Factors:
    kind = NORMALIZATIONS[g.normalization]
    if kind == "none":
        return Factors(None, None, None, None)
    n = k.apply(np.ones((k.features.shape[0], 1), k.features.dtype))[:, 0].astype(np.float64)
    power = -0.5 if kind == "symmetric" else -1.0
    near = n > 0
    n = np.where(near, n, 1.0) + 1e-20
    dtype = k.features.dtype
    factor = np.where(near, n**power, 0.0).astype(dtype)
    slope = np.where(near, power * n ** (power - 1), 0.0).astype(dtype)
    before, after = kind != "after", kind != "before"
    return Factors(
        *(part if used else None for part in (factor, slope) for used in (before, after))
    )


def _rows(planes: Array, factor: Array | None, more: int = 0) -> Array:
    rows = np.empty((planes.shape[1], planes.shape[0] + more), planes.dtype)
    to_rows(planes, factor, rows)
    return rows


def _sets(array: Array, g: Geometry) -> Array:
    """(sets of features, channels, points)."""
    return array.reshape(g.groups, array.shape[0] * array.shape[1] // g.groups, g.points)


def _apply(k: Filter, f: Factors, planes: Array, out: Array, reverse: bool) -> None:
    before, after = (f.after, f.before) if reverse else (f.before, f.after)
    to_planes(k.apply(_rows(planes, before), reverse), after, out)


def forward(x: Array, features: Array, y: Array, g: Geometry) -> None:
    x, features, y = (_sets(array, g) for array in (x, features, y))
    with np.errstate(all="ignore"):
        for s in range(g.groups):
            k = _filter(features[s], g)
            _apply(k, _factors(k, g), x[s], y[s], g.adjoint)


def backward(
    x: Array, features: Array, gy: Array, gx: Array | None, gf: Array | None, g: Geometry
) -> None:
    if x.size == 0:
        for grad in (gx, gf):
            if grad is not None:
                grad[...] = 0
        return
    x, features, gy = (_sets(array, g) for array in (x, features, gy))
    with np.errstate(all="ignore"):
        for s in range(g.groups):
            k = _filter(features[s], g)
            f = _factors(k, g)
            if gx is not None:
                _apply(k, f, gy[s], _sets(gx, g)[s], not g.adjoint)
            if gf is not None:
                left, right = (x, gy) if g.adjoint else (gy, x)
                _features_gradient(k, f, left[s], right[s], _sets(gf, g)[s])


def _features_gradient(k: Filter, f: Factors, left: Array, right: Array, out: Array) -> None:
    """Of ``<left, after K before right>``, for planes; through n, which is ``K 1``."""
    through_n = f.before is not None or f.after is not None
    a, b = _rows(left, f.after, int(through_n)), _rows(right, f.before, int(through_n))
    if through_n:
        labels, points = left.shape
        plane, gn = np.empty_like(left), np.zeros(points, left.dtype)
        for given, rows, slope, reverse in (
            (left, b, f.after_slope, False), (right, a, f.before_slope, True)
        ):  # fmt: skip
            if slope is not None:
                to_planes(k.apply(np.ascontiguousarray(rows[:, :labels]), reverse), slope, plane)
                gn += (given * plane).sum(0)
        a[:, labels], b[:, labels] = gn, 1
    k.features_gradient(a, b, out)
