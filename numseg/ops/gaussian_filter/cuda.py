"""gaussian_filter on CUDA: one set of features after the other, the values of all its images side
by side in rows, one to a point. Filters and gradients are those of :mod:`numseg.cuda.gaussian`.

The host waits for the ranges of features, which :func:`check` looks at, and twice for each lattice.
"""

from __future__ import annotations

from typing import Any

from numseg.cuda.arrays import Cuda
from numseg.cuda.gaussian import Filter, Gradient, How, fill_with, made, unfit
from numseg.cuda.rows import rows_of, to_planes
from numseg.cuda.runtime import empty
from numseg.ops.gaussian_filter import geometry
from numseg.ops.gaussian_filter.geometry import NORMALIZATIONS, Geometry


def check(x: Any, features: Any, g: Geometry) -> None:
    """Features are finite, and the lattice has numbers for all vertices. Only ranges come back from
    the GPU, unless there is something to refuse."""
    if unfit([features.reshape(g.groups, g.d, g.points)], (), g.lattice):
        geometry.check(x, Cuda.to_host(features), g)


def forward(x: Any, features: Any, y: Any, g: Geometry) -> None:
    x, features, y = (_sets(array, g) for array in (x, features, y))
    for s in range(g.groups):
        _fill(made(features[s], _how(g)), x[s], y[s], g.adjoint)


def backward(x: Any, features: Any, gy: Any, gx: Any, gf: Any, g: Geometry) -> None:
    if gf is not None and x.size == 0:
        fill_with(gf, 0)
    if x.size == 0:
        return
    x, features, gy = (_sets(array, g) for array in (x, features, gy))
    for s in range(g.groups):
        term = made(features[s], _how(g))
        if gx is not None:
            _fill(term, gy[s], _sets(gx, g)[s], not g.adjoint)
        if gf is not None:
            left, right = (x[s], gy[s]) if g.adjoint else (gy[s], x[s])
            _features_gradient(term, rows_of(left), rows_of(right), _sets(gf, g)[s])


def _fill(term: Filter, planes: Any, out: Any, transposed: bool) -> None:
    rows = rows_of(planes)
    filtered = empty(rows.shape, rows.dtype)
    (term.transposed if transposed else term.apply)(rows, filtered)
    to_planes(filtered, out)


def _features_gradient(term: Filter, left: Any, right: Any, out: Any) -> None:
    """Of ``<left, filtered right>``."""
    gradient = Gradient(term, out, fresh=True)
    table = term.transposed(left, empty(left.shape, left.dtype))
    gradient.add(right, left, right, table)
    gradient.finish()


def _how(g: Geometry) -> How:
    return How(not g.lattice, NORMALIZATIONS[g.normalization], g.include_self, g.exact_gradient)


def _sets(array: Any, g: Geometry) -> Any:
    """(sets of features, channels, points)."""
    return array.reshape(g.groups, array.shape[0] * array.shape[1] // g.groups, g.points)
