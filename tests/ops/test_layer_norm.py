"""layer_norm: values by hand, and rows of more than a block."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

both = pytest.mark.parametrize("op", [ns.layer_norm, ns.layer_norm.reference])


@both
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_each_row_by_its_own_statistics(op, dtype):
    # mean 4, deviations -3, 0, 3 and variance 6; mean 0 and variance 0
    x = np.array([[1, 4, 7], [0, 0, 0]], dtype)
    y = op(x, 3, eps=3.0)  # sqrt(6 + 3) = 3
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, [[-1, 0, 1], [0, 0, 0]])


@both
def test_every_place_has_its_weight(op):
    x = np.array([[1.0, 4.0, 7.0]])
    y = op(x, (3,), np.array([1.0, 2.0, 3.0]), np.array([10.0, 20.0, 30.0]), eps=3.0)
    np.testing.assert_array_equal(y, [[9, 20, 33]])


@both
def test_two_axes_are_one_row(op):
    # 0, 2, 4, 6: mean 3, variance 5; with eps 4 the deviations are divided by 3
    x = np.array([[[0.0, 2.0], [4.0, 6.0]]])
    weight = np.array([[3.0, 3.0], [3.0, 6.0]])
    np.testing.assert_array_equal(op(x, (2, 2), weight, eps=4.0), [[[-3, -1], [1, 6]]])
    # over the last axis alone both rows are -1, 1 by 1
    np.testing.assert_allclose(op(x, 2, eps=0.0), [[[-1, 1], [-1, 1]]])


@both
def test_a_single_number_is_its_bias(op):
    y, saved = op.forward(np.array([[5.0], [-7.0]]), 1, np.array([2.0]), np.array([3.0]))
    assert y.tolist() == [[3.0], [3.0]]
    gx, gw, gb = op.backward(saved, np.array([[1.5], [2.5]]))
    assert gx.tolist() == [[0.0], [0.0]]
    assert (gw.tolist(), gb.tolist()) == ([0.0], [4.0])


@both
def test_gradient_by_hand(op):
    # x = -1, 1: z = x, r = 1. gx = g - mean(g) - z mean(g z), which is 0 for two values
    x = np.array([[-1.0, 1.0], [-1.0, 1.0]])
    weight = np.array([1.0, 2.0])
    _, saved = op.forward(x, 2, weight, np.zeros(2), eps=0.0)
    gx, gw, gb = op.backward(saved, np.array([[1.0, 0.0], [3.0, 5.0]]))
    assert gx.tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert gw.tolist() == [-4.0, 5.0]  # -1 - 3, 0 + 5
    assert gb.tolist() == [4.0, 5.0]
    # eps = 3: r = 1/2, z = -1/2, 1/2; g = 1, 0: mean 1/2, mean(g z) = -1/4
    _, saved = op.forward(x[:1], 2, eps=3.0)
    gx, _, _ = op.backward(saved, np.array([[1.0, 0.0]]))
    np.testing.assert_array_equal(gx, [[(1 / 2 - 1 / 8) / 2, (-1 / 2 + 1 / 8) / 2]])


def test_the_same_by_group_norm():
    rng = np.random.default_rng(0)
    x, grad = rng.normal(size=(2, 2, 3, 4, 5))
    y, saved = ns.layer_norm.forward(x, (3, 4, 5))
    by_groups, kept = ns.group_norm.forward(x, 1)
    np.testing.assert_allclose(y, by_groups, rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(
        ns.layer_norm.backward(saved, grad)[0],
        ns.group_norm.backward(kept, grad)[0],
        rtol=1e-11,
        atol=1e-13,
    )


@pytest.mark.parametrize(("rows", "length"), [(37, 1100), (3, 512), (100, 3)])
def test_rows_of_several_blocks_and_many_rows(rows, length):
    rng = np.random.default_rng(1)
    x, grad = rng.normal(3, 2, size=(2, rows, length)).astype(np.float32)
    weight, bias = rng.normal(size=(2, length)).astype(np.float32)
    for op in (ns.layer_norm, ns.layer_norm.reference):
        y, saved = op.forward(x, length, weight, bias)
        found = y, *op.backward(saved, grad)
        if op is ns.layer_norm:
            fast = found
    for ours, exact in zip(fast, found, strict=True):
        np.testing.assert_allclose(ours, exact, rtol=1e-6, atol=1e-6)
