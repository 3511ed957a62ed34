"""Inputs for dense_crf: few points of few labels, every kind of term, all parameters."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.operator import Plan
from numseg.ops.gaussian_filter.cases import different, inside
from numseg.testing.cases import Case, Maker, reals, refused
from numseg.typing import Shape

EXACT = False


@st.composite
def terms(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """Arrays and parameters that dense_crf and mean_field_step have in common."""
    n, labels = draw(st.integers(0, 2)), draw(st.integers(0, 3))
    points = tuple(draw(st.lists(st.integers(0, 3), min_size=1, max_size=2)))
    count = draw(st.integers(1, 2))
    sets = [(draw(st.sampled_from([1, n])), draw(st.integers(1, 3)), *points) for _ in range(count)]
    axes = [draw(st.integers(0, 2)) for _ in range(count)]
    method = draw(st.sampled_from(["permutohedral", "exact"]))
    # of a lattice, n - 1 is a difference of numbers that are nearly the same
    include_self = method == "permutohedral" or draw(st.booleans())
    # the mean of what a point alone adds, or of a Q that is 1, does not depend on features
    alone = math.prod(points) <= (1 if include_self else 2)
    kinds = ["none"] if alone or labels == 1 else ["symmetric", "before", "after", "none"]

    def features(rng: np.random.Generator, dtype: Any) -> Any:
        return [inside(shape, 0)(rng, dtype) for shape in sets]

    def compat(rng: np.random.Generator, dtype: Any) -> Any:
        return [reals((labels,) * count, dtype, rng) for count in axes]

    arrays = {"unary": different((n, labels, *points)), "features": features, "compat": compat}
    arrays["q0"] = probabilities((n, labels, *points))
    parameters = {
        "method": method,
        "normalization": draw(st.sampled_from(kinds)),
        "include_self": include_self,
        "damping": draw(st.sampled_from([0.0, 0.0, 0.25])),
        "output": draw(st.sampled_from(["probabilities", "logits"])),
        "features_gradient": "exact" if method == "exact" and draw(st.booleans()) else "lattice",
    }
    return arrays, parameters


def probabilities(shape: Shape) -> Maker:
    """Where the softmax is not all but 0 and 1: there, its slope is a difference of nearly equal
    numbers."""
    return lambda rng, dtype: (rng.uniform(0.1, 1, shape) / max(shape[1], 1)).astype(dtype)


@st.composite
def valid(draw: st.DrawFn) -> Case:
    arrays, parameters = draw(terms())
    arrays["q0"] = draw(st.sampled_from([None, arrays["q0"]]))
    iterations = draw(st.integers(0, 2))
    parameters |= {
        "iterations": max(iterations, int(parameters["output"] == "logits")),
        # after the first iteration, or never
        "tolerance": draw(st.sampled_from([None, None, 0.0, 1e9])),
    }
    return Case(arrays, parameters)


_unary = np.zeros((2, 3, 2, 2), np.float32)
_features = [np.zeros((1, 2, 2, 2), np.float32), np.zeros((2, 5, 2, 2), np.float32)]
_compat = [np.ones((), np.float32), np.ones((3, 3), np.float32)]
_good = Case({"unary": _unary, "features": _features, "compat": _compat, "q0": None})
_bad = refused(_good)


def wrong(bad: Any) -> list[Any]:
    """What dense_crf and mean_field_step refuse alike."""
    nan, far = _features[0].copy(), _features[0].copy()
    nan[0, 1, 0, 0], far[0, 0, 1, 1] = math.nan, 1e30
    double = [f.astype(np.float64) for f in _features]
    return [
        bad("features must be a list or tuple of arrays", features=_features[0]),
        bad("features must hold at least one array, got none", features=[], compat=[]),
        bad("compat must hold at least one array, got none", compat=[]),
        bad("features has 2 arrays, but compat has 1", compat=_compat[:1]),
        bad("features[0] has dtype float64, but unary has float32", features=double),
        bad("features[1] must be an array, got float", features=[_features[0], 1.0]),
        bad("compat[0] must be an array, got float", compat=[1.0, _compat[1]]),
        bad("compat[1] has shape (3, 2), expected (), (3,) or (3, 3)",
            compat=[_compat[0], _compat[1][:, :2]]),
        bad("compat[0] has shape (2,), expected (), (3,) or (3, 3)",
            compat=[_compat[1][0, :2], _compat[1]]),
        bad("features[0] has shape (1, 2, 2), expected (2 or 1, d, 2, 2)",
            features=[_features[0][..., 0], _features[1]]),
        bad("features[1] has shape (3, 5, 2, 2), expected (2 or 1, d, 2, 2)",
            features=[_features[0], np.zeros((3, 5, 2, 2), np.float32)]),
        bad("features[0].shape[1] must be at least 1, got 0",
            features=[_features[0][:, :0], _features[1]]),
        bad("features[0][0, 1] has a value nan, expected finite numbers",
            features=[nan, _features[1]]),
        bad("features[0][0, 0] reach from 0 to 1e+30", features=[far, _features[1]]),
        bad("compat[1] has a value inf, expected finite numbers",
            compat=[_compat[0], _compat[1] * np.float32(math.inf)]),
        bad("damping must be less than 1, got 1.0", damping=1),
        bad("damping must lie in [0.0, 1.0], got -0.5", damping=-0.5),
        bad("method must be one of 'exact', 'permutohedral', got 'fast'", method="fast"),
        bad("normalization must be one of", normalization="both"),
        bad("include_self must be True or False, got 1", include_self=1),
        bad("output must be one of 'probabilities', 'logits', got 'energy'", output="energy"),
        bad("features_gradient must be one of 'lattice', 'exact'", features_gradient="none"),
    ]  # fmt: skip


invalid = [
    *wrong(_bad),
    _bad("unary has dtype int32, expected float32 or float64", unary=_unary.astype(np.int32)),
    _bad("unary has shape (2, 3), expected at least 3 axes", unary=_unary[..., 0, 0]),
    _bad("unary has shape (2,), expected at least 2 axes", unary=_unary[:, 0, 0, 0]),
    _bad("q0 has shape (2, 2, 2, 2), expected (2, 3, 2, 2)", q0=_unary[:, :2]),
    _bad("q0 has dtype float64, but unary has float32", q0=_unary.astype(np.float64)),
    _bad("iterations must be at least 0, got -1", iterations=-1),
    _bad("output is 'logits', which iterations = 0 has none of", output="logits", iterations=0),
    _bad("tolerance must lie in [0.0, inf], got -1.0", tolerance=-1),
]


def roundings(plan: Plan[Any]) -> float:
    """Some for each term of a sum over labels and points, for each iteration; compatibilities of at
    most 4, and sums over points where filters are not normalised, make those before larger."""
    g = plan.geometry
    mixed = 4.0 * len(g.dims) * (g.size if g.normalization == 0 else 1)
    return float(16 * (1 + mixed * max(g.labels, 1)) ** min(g.iterations, 2))
