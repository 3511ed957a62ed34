"""multiply: values by hand."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

both = pytest.mark.parametrize("op", [ns.multiply, ns.multiply.reference], ids=["cpu", "ref"])


@both
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_multiplies(op, dtype):
    y = op(np.array([1.5, -2, np.inf, 0, -0.0], dtype), np.array([2, 3, 0, -1, -1], dtype))
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, [3, -6, np.nan, 0, 0])
    assert np.signbit(y[3:]).tolist() == [True, False]


@both
def test_a_number_for_each_channel_and_its_gradient(op):
    # channels (1, 2) and (3, 4), scaled by 10 and 100
    x = np.array([[1.0, 2], [3, 4]]).reshape(1, 2, 1, 2)
    scale = np.array([10.0, 100]).reshape(2, 1, 1)
    y, saved = op.forward(x, scale)
    assert y.ravel().tolist() == [10, 20, 300, 400]
    gx, gscale = op.backward(saved, np.array([1.0, -1, 2, 5]).reshape(1, 2, 1, 2))
    assert gx.ravel().tolist() == [10, -10, 200, 500]
    # 1 * 1 - 1 * 2 and 2 * 3 + 5 * 4
    assert gscale.shape == (2, 1, 1)
    assert gscale.ravel().tolist() == [-1, 26]


@both
def test_second_derivative_along_both(op):
    _, saved = op.forward(np.array([3.0]), np.array([5.0, 7.0]))
    grads = op.double_backward(saved, np.array([1.0, 10.0]), {"other": np.array([2.0, 4.0])})
    # <grad_y, x * t>: along x 1 * 2 + 10 * 4; along grad_y 3 * (2, 4)
    assert [g.tolist() for g in grads] == [[42], [0, 0], [6, 12]]
