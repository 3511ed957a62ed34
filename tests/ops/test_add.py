"""add: values by hand."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

both = pytest.mark.parametrize("op", [ns.add, ns.add.reference])


@both
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_adds(op, dtype):
    z = op(np.array([1, -2, np.inf], dtype), np.array([0.5, 2, -np.inf], dtype))
    assert z.dtype == dtype
    assert z[:2].tolist() == [1.5, 0.0]
    assert np.isnan(z[2])


@both
def test_both_gradients_are_arrays_of_their_own(op):
    x, grad = np.zeros((2, 1), np.float32), np.array([[3], [-4]], np.float32)
    _, saved = op.forward(x, x)
    gx, gy = op.backward(saved, grad)
    assert gx.tolist() == gy.tolist() == [[3], [-4]]
    assert not np.shares_memory(gx, gy)
    assert not np.shares_memory(gx, grad)
    assert op.backward(saved, grad, needs=["other"])[0] is None


@both
def test_the_gradient_of_what_is_repeated_is_a_sum(op):
    y, saved = op.forward(np.array([[1.0], [2.0]]), np.array([10.0, 20.0, 30.0]))
    assert y.tolist() == [[11, 21, 31], [12, 22, 32]]
    gx, gother = op.backward(saved, np.array([[1.0, 2, 4], [8, 16, 32]]))
    assert gx.tolist() == [[7], [56]]
    assert gother.tolist() == [9, 18, 36]


def test_only_gradients_of_what_is_repeated_are_summed():
    _, saved = ns.add.forward(np.zeros((2, 2)), np.zeros(()))
    gx, gother = ns.add.backward(saved, np.array([[1.0, 2], [4, 8]]))
    assert gx.tolist() == [[1, 2], [4, 8]]
    assert gother.shape == ()
    assert gother == 15


def test_nothing_is_saved():
    _, saved = ns.add.forward(np.zeros(2), np.zeros(2))
    assert saved._fields == ("plan",)
