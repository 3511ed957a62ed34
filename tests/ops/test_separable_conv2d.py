"""separable_conv2d against values worked out by hand, and against the two convolutions it is."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

FACES = pytest.mark.parametrize(
    "op", [ns.separable_conv2d, ns.separable_conv2d.reference], ids=["cpu", "ref"]
)
X = np.array([[[[1.0, 2.0, 3.0]], [[10.0, 20.0, 30.0]]]])  # two channels of one row
SUM = np.ones((2, 1, 1, 2))  # of neighbours, in each channel


@FACES
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_channels_are_filtered_and_then_mixed(op, dtype):
    mix = np.array([[1.0, 0.0], [2.0, -1.0]]).reshape(2, 2, 1, 1)
    y = op(X.astype(dtype), SUM.astype(dtype), mix.astype(dtype))
    assert y.dtype == dtype
    np.testing.assert_array_equal(y[0, :, 0], [[3, 5], [6 - 30, 10 - 50]])


@FACES
def test_filters_of_a_channel_lie_side_by_side(op):
    # channel 0 has the filters 1 and 2, channel 1 has 3 and 4; each hidden channel a place of y
    filters = np.array([1.0, 2.0, 3.0, 4.0]).reshape(4, 1, 1, 1)
    mix = np.eye(4).reshape(4, 4, 1, 1)
    np.testing.assert_array_equal(op(X, filters, mix)[0, :, 0, 0], [1, 2, 30, 40])


@FACES
def test_stride_padding_and_dilation_are_the_depthwise_convolutions(op):
    mix = np.ones((1, 2, 1, 1))
    # pixels -1 and 1, then 1 and 3 (off the image), of 11 22 33
    y = op(X, SUM, mix, stride=(1, 2), padding=(0, 1), dilation=(1, 2))
    np.testing.assert_array_equal(y, [[[[22, 22]]]])
    y = op(X, SUM, mix, padding="same")
    np.testing.assert_array_equal(y, [[[[33, 55, 33]]]])
    y = op(X, SUM, mix, padding="same_lower")
    np.testing.assert_array_equal(y, [[[[11, 33, 55]]]])


@FACES
def test_the_biases(op):
    mix = np.array([[2.0, 3.0]]).reshape(1, 2, 1, 1)
    inner, outer = np.array([100.0, 1000.0]), np.array([0.5])
    y = op(X, SUM, mix, outer, depthwise_bias=inner)
    np.testing.assert_array_equal(y, [[[[6 + 90 + 3200.5, 10 + 150 + 3200.5]]]])
    # on padding alone, too
    y = op(X, SUM, mix, outer, padding=(1, 0, 0, 0), depthwise_bias=inner)
    np.testing.assert_array_equal(y[0, 0, 0], [3200.5, 3200.5])


@FACES
def test_gradients_by_hand(op):
    mix = np.array([[2.0, 3.0]]).reshape(1, 2, 1, 1)
    _, saved = op.forward(X, SUM, mix, np.zeros(1), depthwise_bias=np.array([100.0, 1000.0]))
    assert saved._fields == ("x", "depthwise_weight", "pointwise_weight", "depthwise_bias", "plan")
    gx, gdepthwise_weight, gpointwise_weight, gb, gdepthwise_bias = op.backward(
        saved, np.array([1.0, 10.0]).reshape(1, 1, 1, 2)
    )
    # grad_z is (2, 20) and (3, 30)
    np.testing.assert_array_equal(gx[0, :, 0], [[2, 22, 20], [3, 33, 30]])
    np.testing.assert_array_equal(gdepthwise_weight[:, 0, 0], [[42, 64], [630, 960]])
    np.testing.assert_array_equal(gpointwise_weight.ravel(), [103 + 1050, 1030 + 10500])
    assert gb.tolist() == [11]
    assert gdepthwise_bias.tolist() == [22, 33]


@FACES
def test_without_channels_the_bias_is_left(op):
    x, filters, mix = np.zeros((1, 0, 3, 3)), np.zeros((0, 1, 2, 2)), np.zeros((2, 0, 1, 1))
    y, saved = op.forward(x, filters, mix, np.array([1.0, 2.0]))
    np.testing.assert_array_equal(y, np.broadcast_to([[[1.0]], [[2.0]]], (1, 2, 2, 2)))
    assert [g.shape for g in op.backward(saved, y)[:3]] == [
        (1, 0, 3, 3),
        (0, 1, 2, 2),
        (2, 0, 1, 1),
    ]


def test_nan_stays_in_its_window():
    x = np.zeros((1, 2, 1, 5))
    x[0, 1, 0, 4] = np.nan
    y = ns.separable_conv2d(x, SUM, np.ones((3, 2, 1, 1)))
    assert np.isnan(y[0, :, 0]).tolist() == [[False, False, False, True]] * 3


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_it_has_the_bits_of_two_convolutions(dtype):
    rng = np.random.default_rng(0)
    x, inner, outer = (rng.normal(size=s).astype(dtype) for s in ((2, 9, 11, 12), (18,), (20,)))
    filters, mix = (rng.normal(size=s).astype(dtype) for s in ((18, 1, 3, 3), (20, 18, 1, 1)))
    how = {"stride": 2, "padding": "same", "dilation": (2, 1)}
    y, saved = ns.separable_conv2d.forward(x, filters, mix, outer, **how, depthwise_bias=inner)
    z, depthwise = ns.conv2d.forward(x, filters, inner, **how, groups=9)
    wanted, pointwise = ns.conv2d.forward(z, mix, outer)
    np.testing.assert_array_equal(y, wanted)
    gy = rng.normal(size=y.shape).astype(dtype)
    gz, gmix, gouter = ns.conv2d.backward(pointwise, gy)
    gx, gfilters, ginner = ns.conv2d.backward(depthwise, gz)
    gradients = ns.separable_conv2d.backward(saved, gy)
    for got, by_conv in zip(gradients, (gx, gfilters, gmix, gouter, ginner), strict=True):
        np.testing.assert_array_equal(got, by_conv)


def test_the_linear_operator_is_the_matrix():
    rng = np.random.default_rng(0)
    filters, mix = rng.integers(-4, 5, (4, 1, 2, 2)), rng.integers(-4, 5, (3, 4, 1, 1))
    arguments = (1, 2, 4, 5), filters.astype(float), mix.astype(float)
    a = ns.separable_conv2d.linear_operator(*arguments, padding=1)
    m = ns.separable_conv2d.matrix(*arguments, padding=1)
    x = rng.integers(-4, 5, a.shape[1]).astype(float)
    np.testing.assert_array_equal(a @ x, m @ x)


def test_kerass_kernels():
    """(KH, KW, C, M) and (1, 1, C * M, F), as the formula of Keras sums them."""
    rng = np.random.default_rng(0)
    d, p = rng.integers(-4, 5, (2, 2, 3, 2)), rng.integers(-4, 5, (1, 1, 6, 4))
    x = rng.integers(-4, 5, (1, 3, 2, 2)).astype(float)  # one window
    hidden = [np.sum(d[:, :, c, m] * x[0, c]) for c in range(3) for m in range(2)]
    y = ns.separable_conv2d(
        x,
        d.transpose(2, 3, 0, 1).reshape(-1, 1, 2, 2).astype(float),
        p.transpose(3, 2, 0, 1).astype(float),
    )
    np.testing.assert_array_equal(y.ravel(), hidden @ p[0, 0])
