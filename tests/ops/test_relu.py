"""relu against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

FACES = pytest.mark.parametrize("op", [ns.relu, ns.relu.reference], ids=["cpu", "ref"])
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@FACES
@DTYPES
def test_values(op, dtype):
    tiny = np.finfo(dtype).smallest_subnormal
    x = np.array([-2.0, -tiny, 0.0, tiny, 3.5, np.inf, -np.inf], dtype)
    y = op(x)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, [0, 0, 0, tiny, 3.5, np.inf, 0])


@FACES
@DTYPES
def test_no_negative_zero_comes_out(op, dtype):
    y = op(np.array([-0.0, 0.0, -1.0, -np.inf], dtype))
    np.testing.assert_array_equal(y, 0)
    assert not np.signbit(y).any()


@FACES
@DTYPES
def test_nan_stays(op, dtype):
    np.testing.assert_array_equal(op(np.array([np.nan, -1.0], dtype)), [np.nan, 0])


@FACES
@DTYPES
def test_gradient_with_the_kink_at_zero_and_nan(op, dtype):
    x = np.array([-1.0, -0.0, 0.0, 1e-30, 2.0, np.nan, np.inf, -np.inf], dtype)
    _, saved = op.forward(x)
    (gx,) = op.backward(saved, np.array([7, 7, 7, 7, -7, 7, 7, 7], dtype))
    np.testing.assert_array_equal(gx, [0, 0, 0, 7, -7, 7, 7, 0])


@FACES
def test_a_nan_gradient_does_not_pass_a_closed_gate(op):
    _, saved = op.forward(np.array([-1.0, 1.0]))
    (gx,) = op.backward(saved, np.array([np.nan, np.nan]))
    np.testing.assert_array_equal(gx, [0, np.nan])


@FACES
@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3), (5,), (2, 3, 4, 5, 6)])
def test_any_shape(op, shape):
    x = np.full(shape, -1.5)
    y, saved = op.forward(x)
    assert y.shape == shape
    assert not np.any(y)
    assert op.backward(saved, x)[0].shape == shape


def test_the_input_is_not_touched():
    x = np.array([-1.0, 1.0])
    y, saved = ns.relu.forward(x)
    ns.relu.backward(saved, y)
    assert list(x) == [-1, 1]
    assert not np.shares_memory(x, y)
