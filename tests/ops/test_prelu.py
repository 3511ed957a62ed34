"""prelu: values by hand."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

both = pytest.mark.parametrize("op", [ns.prelu, ns.prelu.reference], ids=["cpu", "ref"])
dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@both
@dtypes
def test_a_slope_for_each_channel(op, dtype):
    x = np.array([[[-2, 4, 0, -0.0], [-2, 4, np.nan, -np.inf]]], dtype)
    y = op(x, np.array([0.5, -3], dtype))
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, [[[-1, 4, 0, 0], [6, 4, np.nan, np.inf]]])
    assert np.signbit(y[0, 0]).tolist() == [True, False, False, True]


@both
@pytest.mark.parametrize("shape", [(), (1,)])
def test_one_slope_for_all(op, shape):
    weight = np.full(shape, 0.25)
    for x in (np.array(-4.0), np.array([-4.0, 8]), np.full((1, 2, 3), -4.0)):
        np.testing.assert_array_equal(op(x, weight), np.where(x > 0, x, x / 4))


@both
@dtypes
def test_gradients(op, dtype):
    # two images, two channels, two pixels
    x = np.array([[[-2, 3], [0, -1]], [[5, -4], [-0.0, 6]]], dtype)
    weight, gy = np.array([10, 100], dtype), 2.0 ** np.arange(8).reshape(2, 2, 2).astype(dtype)
    _, saved = op.forward(x, weight)
    gx, gweight = op.backward(saved, gy)
    assert gx.tolist() == [[[10, 2], [400, 800]], [[16, 320], [6400, 128]]]
    # -2 * 1 - 4 * 32, and 0 * 4 - 1 * 8 - 0 * 64
    assert gweight.tolist() == [-130, -8]


@both
def test_the_gradient_of_one_slope_is_a_sum_over_all(op):
    x = np.array([[-1.0, 2, -3]])
    for shape in ((), (1,)):
        _, saved = op.forward(x, np.full(shape, 0.5))
        gweight = op.backward(saved, np.array([[1.0, 10, 100]]))[1]
        assert gweight.shape == shape
        assert gweight.item() == -301


@both
def test_no_image_and_no_channel(op):
    for x, weight in (((0, 3, 2), (3,)), ((2, 0, 2), (0,)), ((0,), (1,))):
        y, saved = op.forward(np.zeros(x), np.ones(weight))
        assert y.shape == x
        assert op.backward(saved, y)[1].tolist() == [0] * weight[0]


@both
def test_second_derivatives_along_both(op):
    _, saved = op.forward(np.array([[-3.0, 3.0]]), np.array([0.5, 0.5]))
    along = {"x": np.array([[1.0, 2.0]]), "weight": np.array([4.0, 8.0])}
    grads = op.double_backward(saved, np.array([[10.0, 100.0]]), along)
    # where x < 0: along x 10 * 4, along weight 10 * 1, along grad_y 0.5 * 1 - 3 * 4
    assert [g.tolist() for g in grads] == [[[40, 0]], [10, 0], [[-11.5, 2]]]


def test_onnx_slopes_broadcast():
    from numseg.conventions import Unsupported, to_call, to_node

    x, weight = np.zeros((2, 3, 4, 5)), np.arange(3.0)
    node = to_node(ns.prelu, "PRelu", {"x": x, "weight": weight})
    assert node.inputs["weight"].shape == (3, 1, 1)
    for slopes in (weight[:, None, None], weight[None, :, None, None]):
        for image in (x, object()):
            call = to_call(ns.prelu, "PRelu", [image, slopes], {}, 13)
            assert call["weight"].tolist() == [0, 1, 2]
    with pytest.raises(Unsupported, match=r"slope has shape \(4, 1\), expected one for"):
        to_call(ns.prelu, "PRelu", [x, np.zeros((4, 1))], {}, 13)
    with pytest.raises(Unsupported, match="its input slope must be a constant"):
        to_call(ns.prelu, "PRelu", [x, object()], {}, 13)
