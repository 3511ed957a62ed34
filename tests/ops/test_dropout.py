"""dropout: known outputs of its generator, the share it drops, and what depends on what."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns
from numseg.ops.dropout import rules

FACES = pytest.mark.parametrize("op", [ns.dropout, ns.dropout.reference], ids=["cpu", "ref"])
M = 2**64


def _mix(z):
    """SplitMix64's output function in Python's integers, as its paper prints it."""
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % M
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % M
    return z ^ (z >> 31)


def _kept(seed, p, count):
    gamma = 0x9E3779B97F4A7C15
    key = _mix((seed + gamma) % M)
    return [_mix((key + (i + 1) * gamma) % M) >> 11 >= p * 2**53 for i in range(count)]


def test_the_generator_gives_splitmix64s_published_numbers():
    # the first outputs from the states 0 and 1234567
    gamma = 0x9E3779B97F4A7C15
    assert int(rules.mix(np.uint64(gamma))) == 0xE220A8397B1DCDAF
    states = [np.uint64((1234567 + k * gamma) % M) for k in (1, 2, 3)]
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert [int(rules.mix(state)) for state in states] == published


@FACES
@pytest.mark.parametrize("seed", [0, 1, 12345, 2**63 - 1])
@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_mask_is_the_documented_one(op, seed, p, dtype):
    y = op(np.ones((4, 25), dtype), p, seed=seed)
    expected = np.array(_kept(seed, p, 100)) * dtype(1 / (1 - p))
    np.testing.assert_array_equal(y.ravel(), expected)
    assert y.dtype == dtype


@FACES
def test_the_rest_is_scaled_and_the_dropped_are_zero_whatever_they_were(op):
    x = np.array([np.nan, np.inf, -np.inf, -3.0] * 16)
    y = op(x, 0.75, seed=7)
    kept = np.array(_kept(7, 0.75, 64))
    assert 0 < kept.sum() < 64
    np.testing.assert_array_equal(y[kept], 4 * x[kept])
    np.testing.assert_array_equal(y[~kept], 0)


@FACES
def test_gradient_passes_where_x_did(op):
    x, gy = np.arange(1.0, 41.0), np.arange(41.0, 81.0)
    y, saved = op.forward(x, 0.5, seed=3)
    assert saved._fields == ("plan",)
    (gx,) = op.backward(saved, gy)
    np.testing.assert_array_equal(gx, gy * y / x)


@FACES
def test_scaled_in_inference_instead(op):
    x = np.arange(1.0, 65.0)
    kept = np.array(_kept(7, 0.75, 64))
    np.testing.assert_array_equal(op(x, 0.75, seed=7, inverted=False), np.where(kept, x, 0))
    y, saved = op.forward(x, 0.75, training=False, inverted=False)
    np.testing.assert_array_equal(y, x / 4)
    np.testing.assert_array_equal(op.backward(saved, x)[0], x / 4)


@FACES
@pytest.mark.parametrize("inverted", [True, False])
def test_p_one_drops_all(op, inverted):
    y = op(np.array([1.0, np.nan, np.inf]), 1.0, seed=0, inverted=inverted)
    np.testing.assert_array_equal(y, 0)
    y = op(np.array([1.0, 2.0]), 1.0, training=False, inverted=inverted)
    np.testing.assert_array_equal(y, [1, 2] if inverted else [0, 0])


@FACES
def test_inference_and_p_zero_copy(op):
    x = np.array([1.5, np.nan, -np.inf])
    for y in (op(x, 0.9, training=False), op(x, 0.0, seed=5), op(x, training=False, seed=5)):
        np.testing.assert_array_equal(y, x)
        assert not np.shares_memory(y, x)


@FACES
@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_the_share_that_is_dropped(op, p):
    # 4 standard deviations of a binomial; and the mean of y stays that of x
    y = op(np.ones(1 << 16, np.float32), p, seed=11)
    slack = 4 * np.sqrt(p * (1 - p) / y.size)
    assert abs(np.mean(y == 0) - p) < slack
    assert abs(y.mean(dtype=float) - 1) < slack / (1 - p)


def test_neighbours_and_seeds_are_independent():
    masks = np.array([ns.dropout(np.ones(1 << 14), 0.5, seed=s) - 1 for s in range(8)])  # -1 or 1
    slack = 4 / np.sqrt(masks.shape[1])
    correlations = np.corrcoef(masks) - np.eye(8)
    assert np.abs(correlations).max() < slack
    for lag in (1, 2, 64, 128):
        assert np.abs((masks[:, lag:] * masks[:, :-lag]).mean(1)).max() < slack


def test_the_number_of_threads_changes_no_bit():
    x = np.random.default_rng(0).normal(size=70_001)
    expected = ns.dropout.reference(x, 0.3, seed=9)
    for threads in (1, 2, 3):
        with ns.num_threads(threads):
            np.testing.assert_array_equal(ns.dropout(x, 0.3, seed=9), expected)


@FACES
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_channels_and_images_are_dropped_as_a_whole(op, dtype):
    """Units are numbered as numbers are: image by image, and channel by channel."""
    x = np.arange(1, 6 * 4 * 3 * 2 + 1, dtype=dtype).reshape(6, 4, 3, 2)
    for unit, count in (("channel", 24), ("image", 6)):
        kept = np.array(_kept(11, 0.5, count))
        assert 0 < kept.sum() < count
        y, saved = op.forward(x, 0.5, seed=11, unit=unit)
        expected = np.where(kept[:, None], 2 * x.reshape(count, -1), 0)
        np.testing.assert_array_equal(y.reshape(count, -1), expected)
        (gx,) = op.backward(saved, x)
        np.testing.assert_array_equal(gx, y)
        np.testing.assert_array_equal(op(x, 0.5, training=False, unit=unit), x)
    # of an image that is one number, and one without any
    np.testing.assert_array_equal(op(x[:, 0, 0, 0], seed=11, unit="image"), y[:, 0, 0, 0])
    assert op(x[:, :0], seed=11, unit="image").shape == (6, 0, 3, 2)
