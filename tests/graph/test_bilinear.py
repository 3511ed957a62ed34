"""FCN's filter: values by hand, and what it interpolates."""

from __future__ import annotations

import doctest

import numpy as np
import pytest

import numseg as ns
from numseg.graph import Graph, bilinear, bilinear_filter, bilinear_weights, init

X = np.random.default_rng(0).normal(size=(2, 3, 5, 4))


@pytest.mark.parametrize(
    ("k", "expected"),
    [
        (1, [1]),
        (2, [0.5, 0.5]),
        (3, [0.5, 1, 0.5]),
        (4, [0.25, 0.75, 0.75, 0.25]),
        (5, [1 / 3, 2 / 3, 1, 2 / 3, 1 / 3]),
        (6, [1 / 6, 1 / 2, 5 / 6, 5 / 6, 1 / 2, 1 / 6]),
    ],
)
def test_by_hand(k, expected):
    np.testing.assert_allclose(bilinear_filter((1, k))[0], expected, rtol=1e-15)
    np.testing.assert_allclose(bilinear_filter(k), np.outer(expected, expected), rtol=1e-15)
    assert bilinear_filter(k, np.float32).dtype == np.float32


def test_the_example():
    assert doctest.testmod(init).failed == 0


@pytest.mark.parametrize("f", [1, 2, 3, 4, 5, 8, 32])
def test_is_half_pixel_but_at_the_borders(f):
    w = bilinear_weights(3, 2 * f - f % 2)
    y = ns.conv_transpose2d(X, w, stride=f, padding=f // 2)
    wanted = ns.upsample_bilinear2d(X, scale_factor=f)
    assert y.shape == wanted.shape
    inner = (..., slice(f // 2, y.shape[2] - f // 2), slice(f // 2, y.shape[3] - f // 2))
    np.testing.assert_allclose(y[inner], wanted[inner], rtol=1e-13, atol=1e-13)
    if f > 1:
        assert (abs(y - wanted)[..., 0] > 1e-6).any()


@pytest.mark.parametrize("f", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("groups", [1, 3])
def test_is_align_corners_everywhere(f, groups):
    w = bilinear_weights(3, 2 * f - 1, groups)
    assert w.shape == (3, 3 // groups, 2 * f - 1, 2 * f - 1)
    y = ns.conv_transpose2d(X, w, stride=f, padding=f - 1, groups=groups)
    size = f * 4 + 1, f * 3 + 1
    wanted = ns.upsample_bilinear2d(X, size, align_corners=True)
    np.testing.assert_allclose(y, wanted, rtol=1e-13, atol=1e-13)


def test_as_the_start_value_of_a_parameter():
    net = Graph.build()
    x = net.input("x")
    w = net.param("up.weight", (3, 3, 3, 3), bilinear)
    graph = net.output(net.add(ns.conv_transpose2d, x, w, stride=2, padding=1))
    params = graph.init(dtype=np.float64)
    np.testing.assert_array_equal(params["up.weight"], bilinear_weights(3, 3))
    with pytest.raises(ns.ArgumentError, match=r"shape \(4, 3, 3, 3\) is not"):
        bilinear((4, 3, 3, 3), np.random.default_rng(0))


def test_refusals():
    with pytest.raises(ns.ArgumentError, match="kernel_size must be at least 1, got 0"):
        bilinear_filter(0)
    with pytest.raises(ns.ArgumentError, match="groups = 2 does not divide 3 channels"):
        bilinear_weights(3, 4, groups=2)
