"""maximum: values by hand."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

both = pytest.mark.parametrize("op", [ns.maximum, ns.maximum.reference], ids=["cpu", "ref"])
dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@both
@dtypes
def test_values_and_gradients(op, dtype):
    x, other = np.array([1, 5, 3, np.inf], dtype), np.array([2, 4, 3, 0], dtype)
    y, saved = op.forward(x, other)
    assert y.dtype == dtype
    assert y.tolist() == [2, 5, 3, np.inf]
    gx, gother = op.backward(saved, np.ones(4, dtype))
    assert gx.tolist() == [0, 1, 0.5, 1]
    assert gother.tolist() == [1, 0, 0.5, 0]


@both
@dtypes
def test_nan_wins_and_both_get_the_gradient(op, dtype):
    y, saved = op.forward(
        np.array([np.nan, 1, np.nan], dtype), np.array([1, np.nan, np.nan], dtype)
    )
    assert np.isnan(y).all()
    gx, gother = op.backward(saved, np.array([2, 3, 4], dtype))
    assert gx.tolist() == gother.tolist() == [2, 3, 4]


@both
@dtypes
def test_of_two_zeros_it_is_the_first(op, dtype):
    x = np.array([0, -0.0] * 20, dtype)
    y, saved = op.forward(x, -x)
    assert np.signbit(y).tolist() == np.signbit(x).tolist()
    gx, gother = op.backward(saved, np.ones_like(x))
    assert (gx == 0.5).all()
    assert (gother == 0.5).all()


@both
def test_sums_of_gradients_with_ties(op):
    y, saved = op.forward(np.array([[2.0], [3.0]]), np.array([1.0, 3.0, 2.0]))
    assert y.tolist() == [[2, 3, 2], [3, 3, 3]]
    gx, gother = op.backward(saved, np.array([[1.0, 2, 4], [8, 16, 32]]))
    assert gx.ravel().tolist() == [1 + 4 / 2, 8 + 16 / 2 + 32]
    assert gother.tolist() == [0, 2 + 16 / 2, 4 / 2]


def test_second_derivatives_are_0():
    _, saved = ns.maximum.forward(np.array([1.0, 3.0]), np.array([2.0, 2.0]))
    grads = ns.maximum.double_backward(saved, np.array([5.0, 7.0]), {"x": np.array([1.0, 10.0])})
    assert [g.tolist() for g in grads] == [[0, 0], [0, 0], [0, 10]]
