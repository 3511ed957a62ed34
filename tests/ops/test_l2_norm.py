"""l2_norm against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

FACES = pytest.mark.parametrize("op", [ns.l2_norm, ns.l2_norm.reference], ids=["cpu", "ref"])
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@FACES
@DTYPES
def test_each_pixel_is_divided_by_its_norm(op, dtype):
    # pixels (3, 4) and (5, 12): norms 5 and 13
    x = np.array([[[3.0, 5.0], [4.0, 12.0]]], dtype)
    y = op(x, np.array([10.0, 20.0], dtype))
    assert y.dtype == dtype
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(y, [[[6, 50 / 13], [16, 240 / 13]]], rtol=2 * eps)


@FACES
@pytest.mark.parametrize(
    ("rule", "eps", "d"),
    [
        ("max", 4.0, 5), ("max", 8.0, 8), ("inside", 144.0, 13), ("outside", 3.0, 8),
        ("max", 0.0, 5), ("inside", 0.0, 5), ("outside", 0.0, 5),
    ],
)  # fmt: skip
def test_where_eps_is(op, rule, eps, d):
    x = np.array([[3.0, 4.0]])
    np.testing.assert_allclose(op(x, eps=eps, eps_rule=rule), x / d, rtol=1e-15)


@FACES
def test_other_normalisations_in_its_terms(op):
    x, w = np.array([[[3.0, 0.0], [0.0, 4.0]]]), np.array([2.0, 10.0])
    # Caffe's across_spatial: one norm for an image, 5
    whole = op(x.reshape(1, -1), eps_rule="inside", eps=0.0).reshape(x.shape) * w[:, None]
    np.testing.assert_allclose(whole, [[[6 / 5, 0], [0, 8]]], rtol=1e-15)
    # its channel_shared: the same number for each channel
    np.testing.assert_allclose(op(x, np.full(2, 7.0)), 7 * op(x), rtol=1e-15)
    # TensorFlow: x / sqrt(max(norm**2, epsilon)), and epsilon 100 is more than 9 and 16
    np.testing.assert_allclose(op(x, eps=100**0.5), x / 10, rtol=1e-15)


@FACES
@pytest.mark.parametrize("rule", ["max", "inside", "outside"])
def test_a_pixel_of_zeros_is_zero_and_its_gradient_is_divided_by_eps(op, rule):
    x = np.zeros((1, 2, 3))
    y, saved = op.forward(x, np.array([1.0, 3.0]), eps=0.25, eps_rule=rule)
    np.testing.assert_array_equal(y, 0)
    gx, gw = op.backward(saved, np.ones((1, 2, 3)))
    d = 0.5 if rule == "inside" else 0.25
    np.testing.assert_array_equal(gx[0, :, 0], [1 / d, 3 / d])
    np.testing.assert_array_equal(gw, 0)


@FACES
@pytest.mark.parametrize("rule", ["max", "inside", "outside"])
def test_without_eps_a_pixel_of_zeros_is_zero_and_so_is_its_gradient(op, rule):
    y, saved = op.forward(np.zeros((1, 2)), eps=0.0, eps_rule=rule)
    np.testing.assert_array_equal(y, 0)
    np.testing.assert_array_equal(op.backward(saved, np.ones((1, 2)))[0], 0)


@FACES
@pytest.mark.parametrize(
    ("rule", "eps", "expected"),
    [
        # x = (3, 4), gy = (50, 0), <x, gy> = 150, norm 5. gy / d - x 150 d' / (5 d**2):
        ("max", 1.0, (50 / 5 - 3 * 150 / 125, -4 * 150 / 125)),  # d = 5, d' = 1
        ("max", 5.0, (50 / 5 - 3 * 150 / 125, -4 * 150 / 125)),  # at norm == eps the norm counts
        ("max", 10.0, (50 / 10, 0)),  # d' = 0
        ("inside", 75.0, (50 / 10 - 3 * 150 / 1000, -4 * 150 / 1000)),  # d = 10, d' = 5 / 10
        ("outside", 5.0, (50 / 10 - 3 * 150 / 500, -4 * 150 / 500)),  # d = 10, d' = 1
    ],
)
def test_gradient_through_the_norm(op, rule, eps, expected):
    _, saved = op.forward(np.array([[3.0, 4.0]]), eps=eps, eps_rule=rule)
    gx, gw = op.backward(saved, np.array([[50.0, 0.0]]))
    np.testing.assert_allclose(gx, [expected], rtol=1e-14)
    assert gw is None


@FACES
def test_gradient_of_the_weight_is_summed_over_images_and_pixels(op):
    x = np.zeros((2, 2, 2))
    x[..., 0] = [[3, 4], [-3, -4]]
    x[..., 1] = [[5, 12], [5, 12]]
    _, saved = op.forward(x, np.ones(2))
    gy = np.array([[[5.0, 13.0], [5.0, 13.0]], [[10.0, 26.0], [10.0, 26.0]]])
    _, gw = op.backward(saved, gy)
    np.testing.assert_allclose(gw, [3 + 5 - 6 + 10, 4 + 12 - 8 + 24], rtol=1e-15)


@FACES
def test_nan_and_infinity_stay_in_their_pixel(op):
    x = np.array([[[np.nan, np.inf, 3.0], [1.0, 1.0, 4.0]]])
    y = op(x)
    np.testing.assert_array_equal(y[0, :, 0], np.nan)
    np.testing.assert_array_equal(y[0, :, 1], [np.nan, 0])
    np.testing.assert_allclose(y[0, :, 2], [0.6, 0.8], rtol=1e-15)


def test_float32_neither_overflows_nor_vanishes():
    x = np.array([[[3e30, 3e-30], [4e30, 4e-30]]], np.float32)
    y = ns.l2_norm(x, eps=0.0)
    np.testing.assert_allclose(y[0], [[0.6, 0.6], [0.8, 0.8]], rtol=1e-7)


def test_blocks_and_threads_change_no_bit():
    x = np.random.default_rng(0).normal(size=(2, 5, 37, 41)).astype(np.float32)
    w = np.linspace(1, 2, 5, dtype=np.float32)
    results = []
    for threads in (1, 2, 3):
        with ns.num_threads(threads):
            y, saved = ns.l2_norm.forward(x, w)
            results.append((y, *ns.l2_norm.backward(saved, x)))
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)
    exact = ns.l2_norm.reference(x.astype(float), w.astype(float))
    np.testing.assert_allclose(results[0][0], exact, rtol=2**-24 * 1.01)
