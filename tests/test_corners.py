"""Calls at the edge of what can be called, each of which went wrong once."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

import numseg as ns
from numseg import pointwise
from numseg.kernels.machine import threads
from numseg.ops.registry import OPERATORS

inf, nan = np.inf, np.nan


# -- infinities ------------------------------------------------------------------------------------


def _infinite_corner(dtype):
    weight = np.ones((1, 1, 3, 3), dtype)
    weight[0, 0, 0, 0] = inf
    return weight


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("width", [7, 8, 16, 40])
def test_beyond_the_border_an_infinite_weight_is_nan(dtype, width):
    x = np.ones((1, 1, 4, width), dtype)
    y = ns.conv2d(x, _infinite_corner(dtype), padding=1)[0, 0]
    expected = np.full((4, width), inf)
    expected[0], expected[:, 0] = nan, nan  # where the first tap is off the image
    np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [5, 6, 21])
def test_an_infinite_weight_reaches_the_pixels_it_met(dtype, size):
    x = np.ones((1, 1, size, size), dtype)
    y, saved = ns.conv2d.forward(x, _infinite_corner(dtype))
    (gx, *_) = ns.conv2d.backward(saved, np.ones_like(y))
    finite = np.isfinite(gx[0, 0])
    expected = np.zeros((size, size), bool)
    expected[size - 2 :], expected[:, size - 2 :] = True, True  # the first tap never came here
    np.testing.assert_array_equal(finite, expected)
    assert gx[0, 0, 0, size - 2] == 2


def test_an_infinite_weight_does_not_reach_pixels_that_no_window_read():
    x, weight = np.ones((1, 1, 1, 2)), np.full((1, 1, 1, 1), inf)
    y, saved = ns.conv2d.forward(x, weight, stride=2)
    np.testing.assert_array_equal(ns.conv2d.backward(saved, np.ones_like(y))[0], [[[[inf, 0]]]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_infinite_gradient_meets_the_zeros_beyond_the_border(dtype):
    x, weight = np.ones((1, 1, 4, 4), dtype), np.ones((2, 1, 3, 3), dtype)
    y, saved = ns.conv2d.forward(x, weight, padding=1)
    gy = np.ones_like(y)
    gy[0, 1, 0, 0] = inf  # row 0 and column 0 of the kernel are off the image there
    gw = ns.conv2d.backward(saved, gy)[1]
    expected = np.full((3, 3), inf)
    expected[0], expected[:, 0] = nan, nan
    np.testing.assert_array_equal(gw[1, 0], expected)
    assert np.isfinite(gw[0]).all()


def test_diagonal_weights_times_infinity_beside_negative_numbers():
    x = np.full((1, 2, 25, 25), -1, np.float32)
    x[0, 0, 3, 3] = inf
    weight = np.eye(2, dtype=np.float32)[:, :, None, None]
    assert np.isnan(ns.conv2d(x, weight)[0, 1, 3, 3])  # 0 * inf


def test_a_sample_on_the_last_pixel_reads_zero_times_what_is_after_it():
    x = np.zeros((1, 1, 4, 4))
    x[0, 0, 3, 3] = inf
    boxes = np.array([[0, 3.0, 3.0, 3.0, 3.0]])
    for op in (ns.roi_align, ns.roi_align.reference):
        y = op(x, boxes, 1, sampling_ratio=1)  # at 3.5
        np.testing.assert_array_equal(y, [[[[nan]]]])


def test_statistics_that_are_given_do_not_bring_an_infinite_x_into_the_gradient():
    x, mean, var = np.array([[1.0], [inf]]), np.zeros(1), np.ones(1)
    y, saved = ns.batch_norm.forward(x, mean, var, training=False, eps=0.0)
    np.testing.assert_array_equal(ns.batch_norm.backward(saved, np.ones_like(y))[0], [[1], [1]])


def test_focal_loss_of_infinity_that_alpha_leaves_out():
    for op in (ns.sigmoid_focal_loss, ns.sigmoid_focal_loss.reference):
        y = op(np.array([inf]), np.array([0.0]), alpha=1)  # 0 * inf
        np.testing.assert_array_equal(y, nan)


# -- gradients -------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(), (1,), (2, 3)])
def test_label_smoothing_whose_weights_add_up_to_zero(size):
    # loss = sum over c of weight[c] / 3 * -log(softmax[c]); the weights' sum, 0, times softmax is 0
    x = np.broadcast_to(np.arange(3.0).reshape(1, 3, *(1 for _ in size)), (1, 3, *size))
    labels, weight = np.zeros((1, *size), int), np.array([0.0, -1, 1])
    how = {"weight": weight, "label_smoothing": 1.0, "reduction": "sum"}
    for op in (ns.cross_entropy, ns.cross_entropy.reference):
        _, saved = op.forward(x, labels, **how)
        (gx,) = op.backward(saved, np.ones(()))
        for c, expected in enumerate([0, 1 / 3, -1 / 3]):
            np.testing.assert_allclose(gx[:, c], expected, atol=1e-15)


def test_the_transpose_of_a_gradient_that_is_no_transpose():
    x, indices = np.array([[[[1.0, 2]]]]), np.array([[[[0, 0]]]])
    for op in (ns.max_unpool2d, ns.max_unpool2d.reference):
        _, saved = op.forward(x, indices, 1, output_size=(1, 2), duplicates="torch")
        v, g = np.array([[[[3.0, 5]]]]), np.array([[[[10.0, 20]]]])
        (gx,), last = op.backward(saved, g), op.double_backward(saved, g, {"x": v})[-1]
        np.testing.assert_array_equal(gx, [[[[10, 10]]]])
        np.testing.assert_array_equal(last, [[[[8, 0]]]])


@pytest.mark.parametrize(
    ("op", "how"),
    [
        (ns.adaptive_max_pool2d, (2,)),
        (ns.global_max_pool2d, ()),
        (ns.spatial_pyramid_pool2d, ((1, 2),)),
        (ns.max_pool2d, (2,)),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_tangents_of_no_images(op, how):
    x = np.zeros((0, 1, 4, 4))
    y, tangent = op.jvp(x, *how, tangents={"x": x})
    assert tangent.shape == y.shape


# -- refusals: one line, and numseg's own ----------------------------------------------------------

X = np.ones((1, 1, 3, 3))
REFUSED = [
    (
        lambda: ns.leaky_relu(X, 10**400),
        "leaky_relu: negative_slope is too large for a float",
    ),
    (
        lambda: ns.leaky_relu(X, 10**5000),
        "leaky_relu: negative_slope is too large for a float",
    ),
    (
        lambda: ns.max_pool2d(X, 10**5000),
        "max_pool2d: kernel_size must be at most 2147483647",
    ),
    (
        lambda: ns.max_pool2d(X, np.zeros((20, 20))),
        "max_pool2d: kernel_size must be one integer",
    ),
    (lambda: ns.relu(X, self=1), "relu: got an unexpected keyword argument 'self'"),
    (lambda: ns.relu.forward(X, self=1), "relu: got an unexpected keyword argument 'self'"),
    (lambda: ns.relu.plan([[1, 2], [1, 2]]), "relu: x's shape must be an integer, got [1, 2]"),
    (
        lambda: ns.concat.output_shape([(1, 2), None]),
        "concat: xs must be a sequence of shapes",
    ),
    (lambda: ns.concat.output_shape((1, 2)), "concat: xs[0] must be a shape, got 1"),
]


@pytest.mark.parametrize(("call", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_refusals(call, message):
    with pytest.raises(ns.ArgumentError) as caught:
        call()
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


# -- nothing of NumPy's reaches the caller (warnings are errors here) ------------------------------


def test_no_warnings():
    with pytest.raises(ns.ArgumentError, match="indices"):
        ns.max_unpool2d(np.ones((1, 1, 2, 1)), np.zeros((1, 1, 2, 1), int), 1, padding=(1, 0, 0, 1))
    large = np.full((2, 2, 40, 40), 0.5e305)  # what 3200 pixels add up to is too large, not a part
    large[:, 1] *= -1
    assert ns.cross_entropy(large, np.ones((2, 40, 40), int), reduction="sum") == inf
    empty = np.zeros((2, 0, 3, 3))
    assert ns.group_norm.jvp(empty, 1, tangents={"x": empty})[1].shape == empty.shape
    for op in (ns.roi_align, ns.roi_pool):
        with pytest.raises(ns.ArgumentError, match="boxes"):
            op(X, np.array([[0, 0, 0, inf, 3.0]]), 2, spatial_scale=0)


# -- work and memory follow what is read and written -----------------------------------------------


@pytest.mark.parametrize("op", [ns.softmax, ns.log_softmax])
def test_rows_that_are_empty_take_no_time(op):
    y, saved = op.forward(np.zeros((2**31, 0)))
    assert op.backward(saved, y)[0].shape == (2**31, 0)


def test_a_stride_takes_no_memory():
    x = np.arange(16, dtype=np.float32).reshape(1, 1, 1, 16)
    how = {"stride": 10**8, "ceil_mode": True, "ceil_rule": "caffe"}
    ns.max_pool2d(x, (1, 7), stride=2)  # compile
    tracemalloc.start()
    y = ns.max_pool2d(x, (1, 7), **how)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 2**20
    np.testing.assert_array_equal(y, ns.max_pool2d.reference(x, (1, 7), **how))


# -- NaN's sign ------------------------------------------------------------------------------------

UNARY = [op for op in OPERATORS.values() if op.facts.family is pointwise and len(op.inputs) == 1]


@pytest.mark.parametrize("op", UNARY, ids=lambda op: op.__name__)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_nan_has_the_same_bits_in_vectors_and_in_tails(op, dtype, monkeypatch):
    """Threads cut an array elsewhere: a number lies in a vector of one, in the tail of another."""
    monkeypatch.setattr(threads, "SERIAL_WORK", 0)
    rng = np.random.default_rng(0)
    special = np.array([nan, -nan, inf, -inf, 0.0, -0.0], dtype)
    for size in (5, 37, 64):
        x = np.where(rng.random(size) < 0.5, rng.choice(special, size), rng.normal(size=size))
        x = x.astype(dtype)
        seen = []
        for count in (1, 2, 3, 5):
            with ns.num_threads(count):
                y, saved = op.forward(x)
                seen.append(y.tobytes() + op.backward(saved, np.ones_like(y))[0].tobytes())
        assert len(set(seen)) == 1
