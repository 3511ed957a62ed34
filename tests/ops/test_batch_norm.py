"""batch_norm against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns
from numseg.ops.batch_norm import cpu

FACES = pytest.mark.parametrize("op", [ns.batch_norm, ns.batch_norm.reference], ids=["cpu", "ref"])

# Two channels of four values: 1 3 5 7 has mean 4 and squares 9 1 1 9 about it, variance 5;
# 0 0 2 2 has mean 1 and variance 1.
X = np.array([[[1.0, 3.0], [0.0, 0.0]], [[5.0, 7.0], [2.0, 2.0]]])  # (N, C, W)


@FACES
def test_training_normalises_by_the_biased_variance_of_each_channel(op):
    y = op(X, training=True, eps=0.0)
    r = 5**-0.5
    expected = [[[-3 * r, -r], [-1, -1]], [[r, 3 * r], [1, 1]]]
    np.testing.assert_allclose(y, expected, rtol=1e-15)


@FACES
def test_running_statistics_get_the_unbiased_variance(op):
    y, mean, var = op(
        X,
        np.array([1.0, 1.0]),
        np.array([2.0, 2.0]),
        training=True,
        momentum=0.25,
        return_running=True,
    )
    np.testing.assert_allclose(mean, [0.75 * 1 + 0.25 * 4, 0.75 * 1 + 0.25 * 1], rtol=1e-15)
    np.testing.assert_allclose(var, [1.5 + 0.25 * 5 * 4 / 3, 1.5 + 0.25 * 1 * 4 / 3], rtol=1e-15)
    assert y.shape == X.shape


def _running(op, x=X, **params):
    old = np.array([1.0, 1.0]), np.array([2.0, 2.0])
    return op(x, *old, training=True, return_running=True, **params)[1:]


@FACES
def test_a_biased_running_variance(op):
    _, var = _running(op, momentum=0.25, unbiased=False)
    np.testing.assert_allclose(var, [1.5 + 0.25 * 5, 1.5 + 0.25 * 1], rtol=1e-15)


@FACES
def test_momentum_of_the_old_statistics(op):
    for ours, theirs in zip(
        _running(op, momentum=0.25), _running(op, momentum=0.75, momentum_of="old"), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


@FACES
@pytest.mark.parametrize("unbiased", [True, False])
def test_a_single_value_has_variance_zero(op, unbiased):
    x, vector = np.array([[4.0, 6.0]]), np.array([1.0, 2.0])
    how = {"training": True, "unbiased": unbiased, "allow_single": True, "momentum": 0.5}
    (y, mean, var), saved = op.forward(
        x, vector, vector, vector, vector, return_running=True, **how
    )
    np.testing.assert_array_equal(y, [[1, 2]])
    np.testing.assert_array_equal(mean, [2.5, 4])
    np.testing.assert_array_equal(var, [0.5, 1])
    gx, gw, gb = op.backward(saved, np.array([[3.0, 5.0]]))
    np.testing.assert_array_equal(gx, [[0, 0]])
    np.testing.assert_array_equal(gw, [0, 0])
    np.testing.assert_array_equal(gb, [3, 5])


@FACES
@pytest.mark.parametrize("f", [0.5, 1.0], ids=["Caffe", "mean of all batches"])
def test_caffes_sums_are_running_statistics_with_a_momentum_of_their_own(op, f):
    """Caffe keeps S' = f S + s, and divides by c' = f c + 1: a share of 1 / c' for the new s."""
    sums, count = np.zeros(2), 0.0
    mean = var = np.zeros(2)
    for step in range(3):
        x = X + step
        sums, count = f * sums + x.mean((0, 2)), f * count + 1
        how = {"training": True, "momentum": 1 / count, "return_running": True}
        _, mean, var = op(x, mean, var, **how)
        np.testing.assert_allclose(mean, sums / count, rtol=1e-15)
    np.testing.assert_allclose(var, [5 * 4 / 3, 4 / 3], rtol=1e-15)


@FACES
def test_frozen_statistics_are_constants(op):
    """detectron2's FrozenBatchNorm2d is inference, also while other layers train."""
    vector = np.array([4.0, 16.0])
    _, saved = op.forward(X, vector, vector, eps=0.0)
    (gx, *_) = op.backward(saved, np.ones(X.shape), needs=["x"])
    np.testing.assert_array_equal(gx, np.ones(X.shape) * np.array([0.5, 0.25])[:, None])


@FACES
def test_running_statistics_start_at_zero_and_one_and_inputs_stay(op):
    mean, var = np.zeros(2), np.ones(2)
    given = op(X, mean, var, training=True, return_running=True)
    started = op(X, training=True, return_running=True)
    for a, b in zip(given, started, strict=True):
        np.testing.assert_array_equal(a, b)
    assert list(mean) == [0, 0]
    assert list(var) == [1, 1]


@FACES
def test_inference_uses_the_running_statistics_and_copies_them(op):
    mean, var = np.array([1.0, 2.0]), np.array([4.0, 16.0])
    weight, bias = np.array([2.0, 4.0]), np.array([10.0, 20.0])
    y, new_mean, new_var = op(X, mean, var, weight, bias, eps=0.0, return_running=True)
    # channel 0: (x - 1) / 2 * 2 + 10; channel 1: (x - 2) / 4 * 4 + 20
    np.testing.assert_array_equal(y, [[[10, 12], [18, 18]], [[14, 16], [20, 20]]])
    np.testing.assert_array_equal(new_mean, mean)
    np.testing.assert_array_equal(new_var, var)
    assert not np.shares_memory(new_mean, mean)


@FACES
def test_gradients_in_inference(op):
    mean, var, weight = np.array([1.0, 2.0]), np.array([4.0, 16.0]), np.array([2.0, 8.0])
    _, saved = op.forward(X, mean, var, weight, None, eps=0.0)
    gy = np.array([[[1.0, 2.0], [1.0, 1.0]], [[3.0, 4.0], [1.0, 1.0]]])
    gx, gw, gb = op.backward(saved, gy)
    np.testing.assert_array_equal(gx, gy * np.array([1.0, 2.0])[:, None])  # weight / sqrt(var)
    # z = (x - mean) / sqrt(var): 0 1 2 3 and -.5 -.5 0 0
    np.testing.assert_array_equal(gw, [0 + 2 + 6 + 12, -1])
    assert gb is None  # no bias was given


@FACES
def test_gradients_in_training(op):
    # One channel, z = -1 -1 1 1, rstd = 1. gy = 4 0 0 0: mean(gy) = 1, mean(gy z) = -1, so
    # gx = gy - 1 + z = (4 - 1 - 1, 0 - 1 - 1, 0 - 1 + 1, 0 - 1 + 1).
    x = np.array([0.0, 0.0, 2.0, 2.0]).reshape(4, 1)
    _, saved = op.forward(x, None, None, np.array([3.0]), np.array([0.0]), training=True, eps=0.0)
    gx, gw, gb = op.backward(saved, np.array([4.0, 0, 0, 0]).reshape(4, 1))
    np.testing.assert_array_equal(gx.ravel(), [6.0, -6.0, 0.0, 0.0])  # times the weight
    np.testing.assert_array_equal(gw, [-4.0])
    np.testing.assert_array_equal(gb, [4.0])


def test_only_the_wanted_gradients():
    _, saved = ns.batch_norm.forward(X, None, None, np.ones(2), np.ones(2), training=True)
    full = ns.batch_norm.backward(saved, X)
    gx, gw, gb = ns.batch_norm.backward(saved, X, needs=["weight"])
    assert gx is None
    assert gb is None
    np.testing.assert_array_equal(gw, full[1])


@FACES
@pytest.mark.parametrize("shape", [(0, 2), (0, 2, 3, 3), (2, 2, 0, 3)])
def test_no_value_leaves_the_running_statistics(op, shape):
    y, mean, var = op(
        np.zeros(shape),
        np.array([1.0, 2.0]),
        np.array([3.0, 4.0]),
        training=True,
        return_running=True,
    )
    assert y.shape == shape
    assert list(mean) == [1, 2]
    assert list(var) == [3, 4]


@FACES
def test_a_nan_stays_in_its_channel(op):
    x = X.copy()
    x[0, 0, 0] = np.nan
    y = op(x, training=True)
    assert np.isnan(y[:, 0]).all()
    np.testing.assert_array_equal(y[:, 1], op(X, training=True)[:, 1])


def test_a_mean_far_from_zero_costs_no_digits():
    # 4096 and 4098 in turn: mean 4097, variance 1, every y is -1 or 1 to the last float32 bit.
    x = np.where(np.arange(1 << 16) % 2, 4098, 4096).astype(np.float32).reshape(4, 1, 128, 128)
    y, mean, var = ns.batch_norm(x, training=True, eps=0.0, momentum=1.0, return_running=True)
    np.testing.assert_array_equal(y, x - 4097)
    assert mean[0] == 4097
    assert var[0] == np.float32(65536 / 65535)


def test_the_number_of_threads_changes_no_bit():
    x = np.random.default_rng(0).normal(3, 2, (2, 7, 61, 63)).astype(np.float32)
    results = []
    for threads in (1, 2, 3):
        with ns.num_threads(threads):
            y, saved = ns.batch_norm.forward(x, training=True)
            results.append((y, saved.mean, *ns.batch_norm.backward(saved, y * y)[:1]))
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1, 7, 16, 17, 1100])
def test_large_results_have_the_same_bits(monkeypatch, dtype, size):
    """They are written past the caches, whole lines of them."""
    x = np.random.default_rng(0).normal(3, 2, (2, 5, size)).astype(dtype)
    results = []
    for large in (cpu.NONTEMPORAL_BYTES, 0):
        monkeypatch.setattr(cpu, "NONTEMPORAL_BYTES", large)
        y, saved = ns.batch_norm.forward(x, training=True)
        results.append((y, *ns.batch_norm.backward(saved, y * y)[:1]))
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def test_sums_over_rows_of_all_lengths():
    """Against exact sums: every number counts once."""
    rng = np.random.default_rng(1)
    for size in (1, 3, 4, 5, 8, 15, 16, 17, 33, 50):
        x = rng.integers(-8, 9, (3, 2, size)).astype(np.float32)
        weight = np.ones(2, np.float32)
        _, saved = ns.batch_norm.forward(x, weight=weight, bias=weight, training=True)
        m = 3 * size
        total, squares = x.sum((0, 2), dtype=int), (x * x).sum((0, 2), dtype=int)
        np.testing.assert_allclose(saved.mean, total / m, rtol=1e-15, atol=1e-15)
        np.testing.assert_allclose(saved.var, (squares * m - total**2) / m**2, rtol=1e-14)
        gy = rng.integers(-8, 9, x.shape).astype(np.float32)
        _, gw, gb = ns.batch_norm.backward(saved, gy)
        z = (x - saved.mean[:, None]) / np.sqrt(saved.var[:, None] + 1e-5)
        np.testing.assert_array_equal(gb, gy.sum((0, 2)))
        np.testing.assert_allclose(gw, (gy * z).sum((0, 2)), rtol=1e-6, atol=1e-6)


def test_the_first_value_may_be_anything():
    """The variance is computed about it, but about 0 if it is not finite."""
    x = np.ones((4, 1, 4096), np.float32)
    x[:, :, ::2] = 3
    x[0, 0, 0] = 1e6
    _, saved = ns.batch_norm.forward(x, training=True)
    np.testing.assert_allclose(saved.mean, x.mean(dtype=float), rtol=1e-14)
    np.testing.assert_allclose(saved.var, x.var(dtype=float), rtol=x.size * 2.0**-53)
    x[0, 0, 0] = np.inf
    _, saved = ns.batch_norm.forward(x, training=True)
    assert saved.mean == np.inf
    assert np.isnan(saved.var)


def test_infinite_batches_give_infinite_statistics_without_a_warning() -> None:
    x = np.array([[np.inf], [1.0]])
    _, mean, var = ns.batch_norm(
        x, np.zeros(1), np.ones(1), training=True, momentum=0.0, return_running=True
    )
    assert np.isnan(mean).all()  # 0 * inf
    assert np.isnan(var).all()
