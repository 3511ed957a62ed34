"""conv2d by Winograd's algorithms: the definition, within the bound on the error that is proved."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import numseg as ns
from numseg.kernels.conv.winograd_transforms import TRANSFORMS
from numseg.ops.conv2d import bound
from numseg.ops.conv2d.cases import winograd
from numseg.testing import cases, contract

FEW = max(2, settings.default.max_examples // 3)
SEEDS = st.integers(0, 2**32 - 1)
WHOLE = winograd().filter(lambda case: not cases.is_empty(case))
EXACTLY = winograd(("winograd2",)).filter(lambda case: not cases.is_empty(case))

each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["32", "64"])
each = pytest.mark.parametrize("algorithm", ["winograd2", "winograd4"])


@each_dtype
@settings(max_examples=3 * FEW)
@given(case=WHOLE, seed=SEEDS)
def test_value_and_gradient_are_those_of_the_definition(dtype, case, seed):
    """To the bit on integers, for winograd2."""
    contract.check_values(ns.conv2d, case, dtype, seed)
    contract.check_plan(ns.conv2d, case, dtype, seed)


@settings(max_examples=FEW)
@given(case=WHOLE, seed=SEEDS)
def test_derivatives(case, seed):
    contract.check_gradients(ns.conv2d, case, seed)
    contract.check_jvp(ns.conv2d, case, np.float64, seed)
    contract.check_double_backward(ns.conv2d, case, seed)


@settings(max_examples=FEW)
@given(case=EXACTLY, seed=SEEDS)
def test_backward_is_the_transpose_of_forward(case, seed):
    contract.check_adjoint(ns.conv2d, case, seed)


@each_dtype
@settings(max_examples=FEW)
@given(case=WHOLE, seed=SEEDS)
def test_bits_depend_on_values_alone(dtype, case, seed):
    contract.check_layouts(ns.conv2d, case, dtype, seed)
    contract.check_repeats(ns.conv2d, case, dtype, seed)
    contract.check_needs(ns.conv2d, case, dtype, seed)
    contract.check_tampered(ns.conv2d, case, dtype, seed)


@pytest.mark.parametrize("arrays", [
    ((0, 2, 5, 5), (3, 2, 3, 3)), ((1, 0, 5, 5), (3, 0, 3, 3)), ((1, 2, 5, 5), (0, 2, 3, 3)),
    ((1, 2, 0, 5), (3, 2, 3, 3)),
])  # fmt: skip
@each
def test_takes_empty_arrays(algorithm, arrays):
    shapes = dict(zip(("x", "weight"), arrays, strict=True))
    params = {"padding": 2, "algorithm": algorithm}
    contract.check_values(ns.conv2d, cases.Case(shapes, params), np.float32, seed=0)


def numbers(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any, spread: int) -> Any:
    """Of both signs, of sizes up to ``2**spread`` times apart."""
    sizes = np.exp2(rng.integers(-spread, spread + 1, shape) / 2)
    return (rng.choice([-1, 1], shape) * rng.uniform(0.5, 1, shape) * sizes).astype(dtype)


@each_dtype
@settings(max_examples=3 * FEW)
@given(case=WHOLE, seed=SEEDS, spread=st.integers(0, 24))
def test_numbers_of_very_different_sizes_stay_within_the_bound(dtype, case, seed, spread):
    rng = np.random.default_rng(seed)
    shapes = [case.arrays["x"], case.arrays["weight"]]
    x, w = (numbers(rng, shape, dtype, spread) for shape in shapes)
    assert_within_bound(x, w, **case.params)


def assert_within_bound(x, w, **params):
    y, saved = ns.conv2d.forward(x, w, **params)
    gx = ns.conv2d.backward(saved, y, needs=["x"])[0]
    wide = [a.astype(np.longdouble) for a in (x, w, y)]
    g = saved.plan.geometry
    from numseg.ops.conv2d import reference

    exact = reference.forward(wide[0].astype(float), wide[1].astype(float), None, g)
    unit = bound.roundings(g) * np.finfo(x.dtype).eps
    x, w, gy = (a.astype(float) for a in (x, w, y))
    slack = 1 + 1e-6 if y.dtype == np.float32 else 2  # the definition is rounded, too
    assert (np.abs(y - exact) <= slack * unit * bound.terms(x, w, g)).all()
    exact = reference.grad_x(w, gy, g)
    assert (np.abs(gx - exact) <= slack * unit * bound.grad_x_terms(w, gy, g)).all()


@each
def test_terms_grow_by_growth_and_no_further(algorithm):
    tile = int(algorithm[-1])
    a, b, g = (np.array(rows, dtype=float) for rows in TRANSFORMS[tile])
    row = int(np.argmax(np.abs(a) @ (np.abs(g).sum(1) * np.abs(b).sum(1))))
    plan = ns.conv2d.plan((1, 1, tile + 2, tile + 2), (1, 1, 3, 3), algorithm=algorithm)
    ones = np.ones((1, 1, tile + 2, tile + 2)), np.ones((1, 1, 3, 3))
    terms = bound.terms(*ones, plan.geometry)
    assert terms[0, 0, row, row] == pytest.approx(bound.growth(tile))
    assert terms.max() == terms[0, 0, row, row]
    assert bound.growth(2) == 64
    assert 543 < bound.growth(4) < 544


def test_a_pixel_beside_the_window_matters_with_4_by_4_only():
    """As the terms have it: with 2 x 2, no output is made of more than its window."""
    x, w = np.zeros((1, 1, 6, 6), np.float32), np.ones((1, 1, 3, 3), np.float32) / 3
    x[0, 0, 0, 0], x[0, 0, 4, 4] = 1, 1e9
    direct, two, four = (
        ns.conv2d(x, w, algorithm=name)[0, 0, 0, 0] for name in ("direct", "winograd2", "winograd4")
    )
    assert direct == two == np.float32(1) / np.float32(3)
    assert 1 < abs(four - direct) < 1e4
    x[0, 0, 0, 0] = 0
    for tile, reached in ((2, False), (4, True)):
        plan = ns.conv2d.plan(x.shape, w.shape, algorithm=f"winograd{tile}")
        assert bool(bound.terms(x, w, plan.geometry)[0, 0, 0, 0]) == reached


def test_the_matrices_of_2_by_2():
    """As everybody has them, signs of the first and the last point apart."""
    a, b, g = ([[float(c) for c in row] for row in rows] for rows in TRANSFORMS[2])
    assert a == [[1, 1, 1, 0], [0, 1, -1, 1]]
    assert b == [[-1, 0, 1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, -1, 0, 1]]
    assert g == [[-1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]]


@pytest.mark.parametrize("tile", [2, 4])
def test_the_matrices_are_a_convolution_in_exact_arithmetic(tile):
    a, b, g = (np.array(rows) for rows in TRANSFORMS[tile])  # of fractions
    rng = np.random.default_rng(0)
    x, w = rng.integers(-9, 10, tile + 2), rng.integers(-9, 10, 3)
    assert list(a @ ((g @ w) * (b @ x))) == [int(w @ x[u : u + 3]) for u in range(tile)]
    for number in np.concatenate(
        [a.ravel(), b.ravel()]
    ):  # exact in float32, as the bound counts on
        assert float(np.float32(float(number))) == number


@pytest.mark.parametrize("odd", [np.nan, np.inf])
def test_nan_and_infinity(odd):
    """With 2 x 2 tiles they reach the outputs whose windows they fall in, as NaN. With 4 x 4 they
    may make NaN of all outputs of the tiles that read them: here of the second of three."""
    x, w = np.zeros((1, 1, 3, 14)), np.ones((1, 1, 3, 3))
    x[0, 0, 1, 6] = odd
    direct, two, four = (
        ns.conv2d(x, w, algorithm=name)[0, 0, 0] for name in ("direct", "winograd2", "winograd4")
    )
    assert np.flatnonzero(~np.isfinite(direct)).tolist() == [4, 5, 6]
    assert np.flatnonzero(np.isnan(two)).tolist() == [4, 5, 6]
    assert np.flatnonzero(np.isnan(four)).tolist() == [4, 5, 6, 7]
    assert np.isfinite(np.delete(two, [4, 5, 6])).all()


@each
def test_by_definition_the_algorithm_makes_no_difference(algorithm):
    x, w = np.random.default_rng(0).standard_normal((2, 1, 1, 5, 5))
    w = w[..., :3, :3]
    assert (ns.conv2d.reference(x, w, algorithm=algorithm) == ns.conv2d.reference(x, w)).all()


@each
def test_the_size_of_tiles_is_that_of_the_name(algorithm):
    """2 x 2 and 4 x 4 round differently, and direct in a third way."""
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((1, 8, 9, 9)), rng.standard_normal((8, 8, 3, 3))
    other = {"winograd2": "winograd4", "winograd4": "winograd2"}[algorithm]
    y = ns.conv2d(x, w, algorithm=algorithm)
    for name in ("direct", other):
        assert (y != ns.conv2d(x, w, algorithm=name)).any()
        np.testing.assert_allclose(y, ns.conv2d(x, w, algorithm=name), rtol=0, atol=1e-12)


@each
def test_an_image_that_some_taps_never_meet(algorithm):
    """Tiles have nine taps, however few meet a column of pixels."""
    x = np.arange(1.0, 4.0).reshape(1, 1, 3, 1)
    w = np.arange(1.0, 10.0).reshape(1, 1, 3, 3)
    y = ns.conv2d(x, w, padding=1, algorithm=algorithm)
    np.testing.assert_allclose(y.ravel(), [5 + 2 * 8, 2 + 2 * 5 + 3 * 8, 2 * 2 + 3 * 5], rtol=1e-12)
