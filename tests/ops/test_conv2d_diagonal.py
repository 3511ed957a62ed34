"""Weights that join a channel with its own filter alone are taken as depthwise ones."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns
from numseg.graph import bilinear_weights
from numseg.kernels.reductions.all_finite import BLOCK
from numseg.ops.conv2d import cpu
from numseg.ops.conv2d.diagonal import depthwise


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def diagonal(rng: np.random.Generator, channels: int, kernel: int, dtype: type) -> np.ndarray:
    w = np.zeros((channels, channels, kernel, kernel), dtype)
    for c in range(channels):
        w[c, c] = rng.standard_normal((kernel, kernel))
    return w


def calls(x, w, stride, padding):
    """Both operators, forward, and their gradients of x."""
    out = []
    for op in (ns.conv2d, ns.conv_transpose2d):
        y, saved = op.forward(x, w, stride=stride, padding=padding)
        out += [y, op.backward(saved, y, needs=("x",))[0]]
    return out


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (4, 2), (16, 8), (32, 16)])
def test_the_values_are_those_of_the_whole_sum(kernel, stride, dtype, monkeypatch):
    rng = np.random.default_rng(kernel)
    w = diagonal(rng, 5, kernel, dtype)
    x = rng.standard_normal((2, 5, kernel + 3, kernel + 1)).astype(dtype)
    got = calls(x, w, stride, 1)
    monkeypatch.setattr(cpu, "depthwise", lambda w, g, numbers: (w, g))
    for thin, whole in zip(got, calls(x, w, stride, 1), strict=True):
        np.testing.assert_array_equal(thin, whole)


def test_which_weights_are_diagonal(rng):
    x, w = np.ones((1, 3, 4, 4)), diagonal(rng, 3, 3, np.float64)

    def groups(w, x=x, **params):
        return depthwise(w, ns.conv2d.plan(x, w, **params).geometry, x)[1].groups

    assert groups(w) == 3
    assert groups(np.zeros_like(w)) == 3
    for place in ((0, 1, 0, 0), (2, 0, 2, 2), (1, 2, 1, 0)):
        near = w.copy()
        near[place] = np.finfo(np.float64).tiny
        assert groups(near) == 1
        near[place] = np.nan
        assert groups(near) == 1
    assert groups(w[:2]) == 1  # not square
    for number in (np.nan, np.inf, -np.inf):
        bad = x.copy()
        bad[0, 2, 3, 3] = number
        assert groups(w, bad) == 1
    large = np.full((1, 3, 1, BLOCK), np.finfo(np.float64).max)
    assert groups(w, large, padding=1) == 3
    large[0, 2, 0, BLOCK - 1] = -np.inf
    assert groups(w, large, padding=1) == 1


@pytest.mark.parametrize("op", [ns.conv2d, ns.conv_transpose2d])
@pytest.mark.parametrize("number", [np.inf, np.nan])
def test_what_is_not_finite_spoils_every_filter(op, number):
    x, w = np.ones((1, 3, 5, 5), np.float32), bilinear_weights(3, 3, dtype=np.float32)
    x[0, 1, 2, 2] = number
    got, want = op(x, w), op.reference(x, w)
    np.testing.assert_array_equal(got, want)
    assert np.isnan(got[:, [0, 2]]).any((2, 3)).all()


def test_weights_may_be_written_to_between_calls(rng):
    x, w = rng.integers(-4, 5, (1, 3, 5, 5)).astype(float), diagonal(rng, 3, 3, np.float64).round()
    ns.conv2d(x, w)
    w[2, 1, 1, 1] = 3
    np.testing.assert_array_equal(ns.conv2d(x, w), ns.conv2d.reference(x, w))
