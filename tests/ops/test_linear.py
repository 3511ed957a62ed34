"""linear: values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

BOTH = pytest.mark.parametrize("op", [ns.linear, ns.linear.reference])
W = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])


@BOTH
def test_value(op):
    y = op(np.array([[1.0, 0.0, 0.0], [1.0, 10.0, 100.0]]), W, np.array([0.5, -0.5]))
    np.testing.assert_array_equal(y, [[1.5, 3.5], [321.5, 653.5]])


@BOTH
def test_a_vector_and_a_stack_are_rows_too(op):
    x = np.array([1.0, 10.0, 100.0])
    np.testing.assert_array_equal(op(x, W), [321, 654])
    np.testing.assert_array_equal(op(np.tile(x, (2, 3, 1)), W), np.tile([321, 654], (2, 3, 1)))


@BOTH
def test_gradients_by_hand(op):
    x = np.array([[1.0, 2.0, 3.0], [0.0, 1.0, 0.0]])
    _, saved = op.forward(x, W, np.zeros(2))
    gx, gw, gb = op.backward(saved, np.array([[1.0, 10.0], [100.0, 0.0]]))
    np.testing.assert_array_equal(gx, [[41, 52, 63], [100, 200, 300]])
    np.testing.assert_array_equal(gw, [[1, 102, 3], [10, 20, 30]])
    np.testing.assert_array_equal(gb, [101, 10])


@BOTH
def test_no_inputs_leave_the_bias(op):
    np.testing.assert_array_equal(
        op(np.ones((2, 0)), np.ones((3, 0)), np.arange(3.0)), [[0, 1, 2]] * 2
    )


def test_every_bias_gets_the_sum_of_its_column():
    gy = np.random.default_rng(0).integers(-4, 5, (7, 150)).astype(np.float32)
    _, saved = ns.linear.forward(np.ones((7, 2), "f"), np.ones((150, 2), "f"), np.ones(150, "f"))
    np.testing.assert_array_equal(ns.linear.backward(saved, gy)[2], gy.sum(0))


def test_a_kernel_with_the_inputs_first_is_transposed():
    x, kernel = np.array([[1.0, 2.0, 3.0]]), np.arange(6.0).reshape(3, 2)
    assert ns.linear(x, kernel.T).tolist() == [[0 + 4 + 12, 1 + 6 + 15]]
