"""clip against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

FACES = pytest.mark.parametrize("op", [ns.clip, ns.clip.reference], ids=["cpu", "ref"])
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
BOUNDARIES = pytest.mark.parametrize("boundary", ["inside", "outside"])


@FACES
@DTYPES
@BOUNDARIES
def test_values(op, dtype, boundary):
    x = np.array([-3.0, -1.0, 0.5, 6.0, 7.0, np.inf, -np.inf, np.nan], dtype)
    y = op(x, -1, 6, boundary=boundary)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, [-1, -1, 0.5, 6, 6, 6, -1, np.nan])


@FACES
def test_one_bound_or_none(op):
    x = np.array([-np.inf, -1e300, 2.0, np.inf])
    np.testing.assert_array_equal(op(x, max=1), [-np.inf, -1e300, 1, 1])
    np.testing.assert_array_equal(op(x, 1), [1, 1, 2, np.inf])
    np.testing.assert_array_equal(op(x), x)


@FACES
def test_where_min_is_above_max_the_result_is_max(op):
    x = np.array([-9.0, 1.0, 9.0, np.nan])
    y, saved = op.forward(x, 2, 1)
    np.testing.assert_array_equal(y, [1, 1, 1, np.nan])
    assert not op.backward(saved, np.ones(4))[0].any()


@FACES
def test_zeros_keep_their_sign(op):
    y = op(np.array([-0.0, 0.0]), 0.0, 0.0)
    assert list(np.signbit(y)) == [True, False]


@FACES
def test_bounds_are_rounded_to_float32(op):
    x = np.float32([0.1, 0.2])  # the first is a little above 0.1
    y, saved = op.forward(x, max=0.1)
    np.testing.assert_array_equal(y, np.float32([0.1, 0.1]))
    np.testing.assert_array_equal(op.backward(saved, np.ones_like(x))[0], [1, 0])
    np.testing.assert_array_equal(op(x, max=1e300), x)


@FACES
@DTYPES
@pytest.mark.parametrize(
    ("boundary", "expected"), [("inside", [0, 5, 5, 5, 0, 0]), ("outside", [0, 0, 5, 0, 0, 0])]
)
def test_gradient_at_the_bounds_and_nan(op, dtype, boundary, expected):
    _, saved = op.forward(np.array([-1, 0, 3, 6, 7, np.nan], dtype), 0, 6, boundary=boundary)
    np.testing.assert_array_equal(op.backward(saved, np.full(6, 5, dtype))[0], expected)


@pytest.mark.parametrize("name", ["min", "max"])
def test_a_bound_that_is_nan(name):
    with pytest.raises(ns.ArgumentError, match=f"^clip: {name} must be a number, got nan$"):
        ns.clip(np.zeros(2), **{name: np.nan})
