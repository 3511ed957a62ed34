"""Inputs for gaussian_filter: both methods, every normalization, features shared and of one's own.

Features lie well inside simplices of the lattice: on a border the value has a kink, and a point
that crosses one may bring a vertex with it. What is normalized are points near each other, of
different values: a mean of one value is that value wherever the points are, so of its derivative
there would be roundings alone, and without the point itself n would be what rounding leaves of
``K 1 - 1``. tests/ops/test_gaussian_filter.py has those.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.operator import Plan
from numseg.ops.gaussian_filter import reference
from numseg.testing.cases import Case, Maker, reals, refused, wrong_arrays
from numseg.typing import Array, Shape

EXACT = False


@st.composite
def valid(draw: st.DrawFn) -> Case:
    n, c, d = draw(st.integers(0, 2)), draw(st.integers(0, 3)), draw(st.integers(1, 4))
    axes = tuple(draw(st.lists(st.integers(0, 4), min_size=1, max_size=2)))
    sets = draw(st.sampled_from([1, n]))
    lattice = draw(st.booleans())
    include_self = draw(st.booleans())
    alone = math.prod(axes) in ((1,) if include_self else (1, 2))
    kinds = ["none"] if alone else ["none", "before", "after", "symmetric"]
    normalization = draw(st.sampled_from(kinds))
    params = {
        "method": "permutohedral" if lattice else "exact",
        "normalization": normalization,
        "include_self": include_self,
        "adjoint": draw(st.booleans()),
        # of the lattice, "exact" is not the derivative of what is computed
        "features_gradient": "lattice" if lattice else draw(st.sampled_from(["lattice", "exact"])),
    }
    spread = draw(st.sampled_from([0, 1, 3])) if normalization == "none" else 0
    x, features = different((n, c, *axes)), inside((sets, d, *axes), spread)
    return Case({"x": x, "features": features}, params)


def different(shape: Shape) -> Maker:
    return lambda rng, dtype: reals(shape, dtype, rng)


def inside(shape: Shape, spread: int) -> Maker:
    """Features of points inside simplices, up to so many steps of the lattice from the origin along
    each axis; 0: all in the simplices around one vertex."""

    def make(rng: np.random.Generator, dtype: Any) -> Array:
        sets, d, *axes = shape
        count = sets * math.prod(axes)
        rank = rng.permuted(np.tile(np.arange(d + 1), (count, 1)), axis=1)
        weights = rng.uniform(0.2, 1, (count, d + 1))
        weights /= weights.sum(1, keepdims=True)
        nearest = rng.integers(-spread, spread + 1, (count, d + 1)) * (d + 1)
        nearest[:, -1] = -nearest[:, :-1].sum(1)
        remainder = np.arange(d + 1)[:, None]
        vertex = np.where(rank[:, None] <= d - remainder, remainder, remainder - d - 1)
        place = nearest + (weights[..., None] * vertex).sum(1)
        features = np.linalg.lstsq(reference.elevated(np.eye(d)).T, place.T, rcond=None)[0]
        return features.reshape(d, sets, *axes).swapaxes(0, 1).astype(dtype)

    return make


_good = Case({"x": (2, 3, 4, 5), "features": (1, 2, 4, 5)})
_bad = refused(_good)
_far = np.zeros((1, 2, 4, 5), np.float32)
_far[0, 1, 0, 0] = 1e12
_nan = np.zeros((1, 2, 4, 5), np.float32)
_nan[0, 1, 2, 3] = np.nan
_inf = np.zeros((2, 2, 4, 5), np.float32)
_inf[1, 0, 2, 3] = -np.inf


invalid = [
    *wrong_arrays(_good, rank=False),
    _bad("x has shape (2, 3), expected at least 3 axes (n, c, points, ...)", x=(2, 3)),
    _bad("features has shape (1, 2), expected at least 3 axes (n, d, points, ...)",
         features=(1, 2)),
    _bad("features has the axes of points (4, 6), but x has (4, 5)", features=(1, 2, 4, 6)),
    _bad("features has the axes of points (20,), but x has (4, 5)", features=(1, 2, 20)),
    _bad("features has 3 sets, expected 1 or one for each of x's 2", features=(3, 2, 4, 5)),
    _bad("features' number for each point must be at least 1, got 0", features=(1, 0, 4, 5)),
    _bad("features[0, 1] has a value nan, expected finite numbers", features=_nan),
    _bad("features[1, 0] has a value -inf, expected finite numbers", features=_inf),
    _bad("features[0, 1] reach from 0 to 1e+12, too far for numbers of vertices", features=_far),
    _bad("method must be one of 'exact', 'permutohedral', got 'lattice'", method="lattice"),
    _bad("normalization must be one of 'none', 'before', 'after', 'symmetric', got 'mean'",
         normalization="mean"),
    _bad("features_gradient must be one of 'lattice', 'exact', got 'none'",
         features_gradient="none"),
    _bad("include_self must be True or False, got 1", include_self=1),
    _bad("adjoint must be True or False, got 'yes'", adjoint="yes"),
]  # fmt: skip


def roundings(plan: Plan[Any]) -> int:
    """A vertex sums over points, a blur rounds twice along each axis, a point sums over vertices.
    Gradients do it three times over, n among them, and sum over channels."""
    g = plan.geometry
    return 4 * (g.points + 4 * (g.d + 1)) + g.n * g.c


def scales(plan: Plan[Any], arguments: dict[str, Any], grad_y: Array) -> Any:
    """The sizes of the terms: what the definition without normalization gives for absolute values,
    times how much an error of n is magnified."""
    g = plan.geometry
    x, features = np.abs(arguments["x"]), arguments["features"]
    if x.size == 0:
        return None
    small = 1.0
    for f in features.reshape(g.groups, g.d, g.points).swapaxes(1, 2):
        m = reference.normalized(f, g)
        n = m.k.apply(np.ones((g.points, 1)))
        small = small if m.before is m.after is None else min(small, n[n > 0].min(initial=1.0))
    plain = g._replace(include_self=True, normalization=0)
    size = reference.forward(x, features, plain) / small**2
    back = reference.forward(grad_y, features, plain._replace(adjoint=not g.adjoint)) / small**2
    top = (size.max() * grad_y.max() + back.max() * x.max()) * g.n * g.c / small
    reach = reference.scales(g.d).max() * (g.d + 1) + np.ptp(features)
    return [size + 1], [back + 1, np.full(features.shape, 1 + top * reach)]
