"""group_norm against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

FACES = pytest.mark.parametrize("op", [ns.group_norm, ns.group_norm.reference], ids=["cpu", "ref"])

# One image, four channels of two pixels. In two groups: 1 3 5 7 has mean 4 and variance 5; 0 0 2 2
# has mean 1 and variance 1.
X = np.array([[[1.0, 3.0], [5.0, 7.0], [0.0, 0.0], [2.0, 2.0]]])
R = 5**-0.5


@FACES
def test_groups_are_neighbouring_channels(op):
    y = op(X, 2, eps=0.0)
    np.testing.assert_allclose(y, [[[-3 * R, -R], [R, 3 * R], [-1, -1], [1, 1]]], rtol=1e-15)


@FACES
def test_images_do_not_meet(op):
    both = np.concatenate([X, 10 * X - 3])
    np.testing.assert_allclose(op(both, 2, eps=0.0)[1:], op(X, 2, eps=0.0), rtol=1e-14)


@FACES
def test_weight_and_bias_are_of_channels(op):
    weight, bias = np.array([1.0, 2.0, 3.0, 4.0]), np.array([10.0, 20.0, 30.0, 40.0])
    y = op(X, 2, weight, bias, eps=0.0)
    expected = [[10 - 3 * R, 10 - R], [20 + 2 * R, 20 + 6 * R], [27, 27], [44, 44]]
    np.testing.assert_allclose(y, [expected], rtol=1e-15)


@FACES
def test_a_weight_for_each_group(op):
    y = op(X, 2, np.repeat([2.0, 3.0], 2), eps=0.0)
    np.testing.assert_allclose(y[:, :2], 2 * op(X, 2, eps=0.0)[:, :2], rtol=1e-15)
    np.testing.assert_allclose(y[:, 2:], 3 * op(X, 2, eps=0.0)[:, 2:], rtol=1e-15)


@FACES
def test_one_group_of_each_channel_is_instance_norm_and_one_of_all_is_layer_norm(op):
    x = np.random.default_rng(0).normal(3, 2, (2, 6, 5, 4))
    for groups, axes in ((6, (2, 3)), (1, (1, 2, 3))):
        mean, var = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
        np.testing.assert_allclose(op(x, groups), (x - mean) / np.sqrt(var + 1e-5), rtol=1e-12)


@FACES
def test_eps_is_under_the_root(op):
    # variance 1 and eps 3: divided by 2
    np.testing.assert_array_equal(op(X[:, 2:], 1, eps=3.0), [[[-0.5, -0.5], [0.5, 0.5]]])


@FACES
def test_a_single_value_is_its_bias(op):
    y, saved = op.forward(np.full((2, 3), 7.0), 3, np.ones(3), np.array([1.0, 2.0, 3.0]))
    np.testing.assert_array_equal(y, [[1, 2, 3]] * 2)
    gx, gw, gb = op.backward(saved, np.ones((2, 3)))
    np.testing.assert_array_equal(gx, 0)
    np.testing.assert_array_equal(gw, 0)
    np.testing.assert_array_equal(gb, 2)


@FACES
def test_gradients(op):
    # The group 0 0 2 2 as two channels: z = -1 -1 1 1, rstd 1. With weights 1 and 2 and
    # gy = 4 0 1 0, gz = 4 0 2 0: mean 3/2, mean of gz z = (-4 + 2) / 4 = -1/2, so
    # gx = gz - 3/2 + z / 2 = 2, -2, 1, -1.
    x, weight = np.array([[[0.0, 0.0], [2.0, 2.0]]]), np.array([1.0, 2.0])
    _, saved = op.forward(x, 1, weight, np.zeros(2), eps=0.0)
    gx, gw, gb = op.backward(saved, np.array([[[4.0, 0.0], [1.0, 0.0]]]))
    np.testing.assert_array_equal(gx, [[[2, -2], [1, -1]]])
    np.testing.assert_array_equal(gw, [-4, 1])
    np.testing.assert_array_equal(gb, [4, 1])


@FACES
def test_a_nan_stays_in_its_group(op):
    x = X.copy()
    x[0, 1, 0] = np.nan
    y = op(x, 2)
    assert np.isnan(y[:, :2]).all()
    np.testing.assert_array_equal(y[:, 2:], op(X, 2)[:, 2:])


@FACES
@pytest.mark.parametrize("shape", [(0, 2, 3), (2, 0, 3), (2, 2, 0)])
def test_empty_axes(op, shape):
    c = np.ones(shape[1])
    y, saved = op.forward(np.zeros(shape), 1, c, c)
    assert y.shape == shape
    gx, gw, gb = op.backward(saved, y)
    assert gx.shape == shape
    np.testing.assert_array_equal(gw, np.zeros(shape[1]))
    np.testing.assert_array_equal(gb, np.zeros(shape[1]))


def test_a_mean_far_from_zero_costs_no_digits():
    # 4096 and 4098 in turn: mean 4097, variance 1, every y is -1 or 1 to the last float32 bit
    x = np.where(np.arange(1 << 14) % 2, 4098, 4096).astype(np.float32).reshape(1, 4, 64, 64)
    np.testing.assert_array_equal(ns.group_norm(x, 2, eps=0.0), x - 4097)


def test_the_number_of_threads_changes_no_bit():
    x = np.random.default_rng(0).normal(3, 2, (3, 8, 41, 33)).astype(np.float32)
    w = np.linspace(1, 2, 8, dtype=np.float32)
    results = []
    for threads in (1, 2, 3):
        with ns.num_threads(threads):
            y, saved = ns.group_norm.forward(x, 4, w, w)
            results.append((y, *ns.group_norm.backward(saved, y * y)))
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)
