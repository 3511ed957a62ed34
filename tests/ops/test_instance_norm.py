"""instance_norm: values by hand."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

both = pytest.mark.parametrize("op", [ns.instance_norm, ns.instance_norm.reference])
X = np.array([[[1.0, 3.0], [0.0, 8.0]], [[5.0, 5.0], [2.0, 4.0]]])
"""Means 2, 4, 5, 3 and variances 1, 16, 0, 1."""


@both
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_each_plane_by_its_own_statistics(op, dtype):
    weight, bias = np.array([1, 10], dtype), np.array([0, 100], dtype)
    y = op(X.astype(dtype), weight=weight, bias=bias, eps=0.25)
    assert y.dtype == dtype
    r = 1 / np.sqrt(np.array([1.25, 16.25, 0.25, 1.25]))
    expected = [
        [[-r[0], r[0]], [100 - 40 * r[1], 100 + 40 * r[1]]],
        [[0, 0], [100 - 10 * r[3], 100 + 10 * r[3]]],
    ]
    np.testing.assert_allclose(y, expected, rtol=1e-6 if dtype == np.float32 else 1e-14)


@both
def test_running_statistics_get_the_mean_over_images(op):
    old_mean, old_var = np.array([1.0, 1.0]), np.array([2.0, 3.0])
    _, mean, var = op(X, old_mean, old_var, momentum=0.25, return_running=True)
    # means 3.5, 3.5; unbiased variances (2 + 0) / 2, (32 + 2) / 2
    assert mean.tolist() == [0.75 + 0.875, 0.75 + 0.875]
    assert var.tolist() == [1.5 + 0.25, 2.25 + 4.25]
    assert old_mean.tolist() == [1, 1]
    _, mean, var = op(X, momentum=1.0, return_running=True)
    assert (mean.tolist(), var.tolist()) == ([3.5, 3.5], [1.0, 17.0])
    _, mean, var = op(X[:0], old_mean, old_var, return_running=True)
    assert (mean.tolist(), var.tolist()) == ([1, 1], [2, 3])


@both
def test_by_running_statistics(op):
    mean, var = np.array([1.0, 4.0]), np.array([3.0, 15.0])
    y, same_mean, same_var = op(
        X, mean, var, np.array([2.0, 1.0]), None, False, eps=1.0, return_running=True
    )
    assert y.tolist() == [[[0, 2], [-1, 1]], [[4, 4], [-0.5, 0]]]
    assert (same_mean.tolist(), same_var.tolist()) == ([1, 4], [3, 15])


@both
def test_a_single_value_is_the_bias(op):
    y, mean, var = op(np.array([[[7.0]]]), bias=np.array([3.0]), momentum=1.0, return_running=True)
    assert (y.tolist(), mean.tolist(), var.tolist()) == ([[[3.0]]], [7.0], [0.0])


@both
def test_gradients_by_hand(op):
    # x = -1, 1 by eps 3: r = 1/2, z = -1/2, 1/2; g = 1, 0: mean 1/2, mean(g z) = -1/4
    x = np.array([[[-1.0, 1.0]]])
    weight, bias, grad = np.array([2.0]), np.array([0.0]), np.array([[[1.0, 0.0]]])
    _, saved = op.forward(x, weight=weight, bias=bias, eps=3.0)
    gx, gw, gb = op.backward(saved, grad)
    np.testing.assert_array_equal(gx, [[[3 / 8, -3 / 8]]])
    assert (gw.tolist(), gb.tolist()) == ([-0.5], [1.0])
    fixed = np.array([0.0]), np.array([1.0])
    _, saved = op.forward(x, *fixed, weight, bias, use_input_stats=False, eps=3.0)
    gx, gw, gb = op.backward(saved, grad)
    assert (gx.tolist(), gw.tolist(), gb.tolist()) == ([[[1.0, 0.0]]], [-0.5], [1.0])
