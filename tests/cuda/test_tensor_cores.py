"""Convolution in TF32: what a tensor core computes, and errors within their bounds."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import numseg as ns
from numseg.cuda import runtime
from numseg.cuda.arrays import Cuda

if not runtime.cuda_available():
    pytest.skip("no GPU: NUMBA_ENABLE_CUDASIM=1 pytest tests/cuda", allow_module_level=True)

from numseg.cuda import tensor_cores
from numseg.cuda.epilogue import nothing
from numseg.cuda.tensor_cores import PRECISIONS, bound, eight, nearest
from numseg.ops.conv2d import cuda_tiles

SHAPES: dict[str, Any] = {
    # x, weight, parameters
    "3x3": ((1, 3, 5, 4), (5, 3, 3, 3), {"padding": 1}),
    "a whole tile": ((1, 2, 8, 9), (60, 2, 1, 2), {}),
    "groups and stride": ((2, 4, 5, 6), (4, 2, 2, 3), {"stride": 2, "groups": 2}),
}


def test_tf32_has_ten_bits() -> None:
    one = np.float32(1)
    for number, expected in (
        (1 + 2**-10, 1 + 2**-10),
        (1 + 2**-11, 1 + 2**-10),  # half away from zero
        (-1 - 2**-11, -1 - 2**-10),
        (1 + 2**-11 - 2**-23, 1),
        (2 - 2**-23, 2),
        (np.inf, np.inf),
    ):
        assert nearest(one * np.float32(number)) == np.float32(expected)
    assert np.isnan(nearest(np.float32(np.nan)))


def test_eight_products_are_cut_off() -> None:
    ones = np.ones(8)
    assert eight(ones, np.arange(8)) == 28
    # 2^-24 of the largest is beyond its 24 bits, seven times over; 2^-23 is not
    for small, expected in ((2.0**-24, 1.0), (2.0**-23, 1 + 7 * 2.0**-23)):
        assert eight([1.0, *[small] * 7], ones) == np.float32(expected)
        assert eight([-1.0, *[-small] * 7], ones) == -np.float32(expected)
    assert eight(ones, np.zeros(8), 3.0) == 3
    assert eight([np.inf, *ones[1:]], ones) == np.inf
    assert np.isnan(eight([np.inf, -np.inf, *ones[2:]], ones))


def arrays(case: str, make: Any) -> tuple[list[Any], Any, dict[str, Any]]:
    x, w, parameters = SHAPES[case]
    shape = ns.conv2d.output_shape(x, w, **parameters)
    given = [make(size).astype(np.float32) for size in (x, w, shape)]
    return given, ns.conv2d.plan(x, w, **parameters).geometry, parameters


def in_tf32(given: list[Any], g: Any, precision: str) -> list[Any]:
    """Value, and gradients of the image and of the weights."""
    x, w, gy = map(Cuda.from_host, given)
    y, gx, gw = (Cuda.empty(a.shape, a.dtype) for a in (gy, x, w))
    none = Cuda.empty((0,), np.float32)
    cuda_tiles.forward(x, w, none, y, nothing(y.dtype), g, precision)
    cuda_tiles.grad_x(w, gy, none, gx, g, precision)
    cuda_tiles.grad_w(x, gy, gw, g, precision)
    return [Cuda.to_host(a).astype(np.float64) for a in (y, gx, gw)]


def by_definition(given: list[Any], parameters: dict[str, Any]) -> list[Any]:
    x, w, gy = (a.astype(np.float64) for a in given)
    y, saved = ns.conv2d.reference.forward(x, w, **parameters)
    return [y, *ns.conv2d.reference.backward(saved, gy)[:2]]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("case", SHAPES)
def test_errors_are_within_the_bound(case: str, precision: str) -> None:
    """Of real numbers; and TF32's own error is seen, so that it cannot be float32."""
    rng = np.random.default_rng(5)
    given, g, parameters = arrays(case, lambda size: rng.normal(size=size))
    found, exact = in_tf32(given, g, precision), by_definition(given, parameters)
    sizes = by_definition([np.abs(a) for a in given], parameters)
    steps = g.c // g.groups * g.kh * g.kw, g.f // g.groups * g.kh * g.kw, g.n * g.oh * g.ow
    worst = [
        float(np.max(np.abs(a - b) / (size + 1e-30)))
        for a, b, size in zip(found, exact, sizes, strict=True)
    ]
    for error, count in zip(worst, steps, strict=True):
        assert error <= bound(precision, count)
    assert max(worst) > (1e-5 if precision == "tf32" else 1e-9)
    assert max(worst) < (1e-3 if precision == "tf32" else 2e-6)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_integers_are_exact(precision: str) -> None:
    """Of up to 11 bits in TF32; of one factor up to that in 3xTF32, and the other up to 13."""
    rng = np.random.default_rng(6)
    largest = 8 if precision == "tf32" else 4099
    given, g, parameters = arrays("3x3", lambda size: rng.integers(-8, 9, size))
    given[1] *= largest // 8
    given[1] += np.float32(largest % 8)
    for actual, expected in zip(
        in_tf32(given, g, precision), by_definition(given, parameters), strict=True
    ):
        np.testing.assert_array_equal(actual, expected)


def test_an_infinite_factor_makes_nan_where_it_is_split() -> None:
    given, g, _ = arrays("3x3", np.ones)
    given[0][0, 1, 2, 2] = np.inf
    y, *_ = in_tf32(given, g, "tf32")
    assert np.isinf(y).any()
    assert not np.isnan(y).any()
    y, *_ = in_tf32(given, g, "3xtf32")
    assert np.isnan(y).sum() == 9 * 5


def test_the_bound_is_one_of_exact_arithmetic() -> None:
    """Of single products, in fractions: what rounding and splitting lose."""
    rng = np.random.default_rng(7)
    unit = Fraction(1, 2**11)
    for a, b in rng.normal(size=(200, 2)).astype(np.float32):
        big, large = nearest(a), nearest(b)
        small, little = nearest(a - big), nearest(b - large)
        exact = Fraction(float(a)) * Fraction(float(b))
        one = Fraction(float(big)) * Fraction(float(large))
        three = one + Fraction(float(small)) * Fraction(float(large))
        three += Fraction(float(big)) * Fraction(float(little))
        assert abs(one - exact) <= ((1 + unit) ** 2 - 1) * abs(exact)
        assert abs(three - exact) <= 3 * unit**2 * (1 + unit) ** 2 * abs(exact)


def test_no_operator_asks_for_it() -> None:
    """Until a GPU has run it."""
    with pytest.raises(TypeError, match="precision"):
        ns.conv2d(np.ones((1, 1, 1, 1)), np.ones((1, 1, 1, 1)), precision="tf32")
    assert tuple(cuda_tiles.TENSOR_CORES) == tensor_cores.PRECISIONS
