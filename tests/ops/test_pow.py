"""pow: values by hand."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

both = pytest.mark.parametrize("op", [ns.pow, ns.pow.reference])


@both
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values(op, dtype):
    x = np.array([2, -2, -2, 9, 0, 0, 0, np.nan, 1, -8], dtype)
    other = np.array([3, 3, -2, 0.5, 0, 2, -1, 0, np.nan, 1 / 3], dtype)
    np.testing.assert_array_equal(op(x, other), [8, -8, 0.25, 3, 1, 0, np.inf, 1, 1, np.nan])


@both
def test_gradients(op):
    x, other = np.array([2.0, -3, 0, 0, 5, 0]), np.array([3.0, 2, 0, 2, 0, 1])
    _, saved = op.forward(x, other)
    gx, gother = op.backward(saved, np.ones(6))
    assert gx.tolist() == [12, -6, 0, 0, 0, 1]
    expected = [8 * np.log(2), np.nan, 0, 0, np.log(5), 0]
    np.testing.assert_allclose(gother, expected, rtol=1e-15)


@both
def test_a_number_is_repeated(op):
    _, saved = op.forward(np.array([1.0, 2, 4]), np.array(2.0))
    gx, gother = op.backward(saved, np.array([1.0, 10, 100]))
    assert gx.tolist() == [2, 40, 800]
    np.testing.assert_allclose(gother, 40 * np.log(2) + 1600 * np.log(4), rtol=1e-15)
