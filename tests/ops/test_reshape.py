"""reshape and flatten: values by hand, and whose memory a result is."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

X = np.arange(24.0).reshape(2, 3, 4)


@pytest.mark.parametrize("op", [ns.reshape, ns.reshape.reference])
def test_numbers_keep_their_order(op):
    x = np.array([[[1.0, 2], [3, 4]], [[5, 6], [7, np.nan]]], np.float32)
    y = op(x, (4, 2))
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y, [[1, 2], [3, 4], [5, 6], [7, np.nan]])
    assert op(x, (2, 1, -1))[1, 0, :3].tolist() == [5, 6, 7]
    assert op(x[0, 0, :1], ()).shape == ()
    assert op(x[:0], (3, 0, 5)).shape == (3, 0, 5)


@pytest.mark.parametrize("op", [ns.flatten, ns.flatten.reference])
@pytest.mark.parametrize(
    ("axes", "shape"),
    [
        ((), (2, 12)),
        ((0,), (24,)),
        ((0, 1), (6, 4)),
        ((-2, -1), (2, 12)),
        ((1, 1), (2, 3, 4)),
        ((-1,), (2, 3, 4)),
    ],
)
def test_axes_become_one(op, axes, shape):
    y = op(X, *axes)
    assert y.shape == shape
    assert y.ravel().tolist() == list(range(24))


def test_a_number_without_axes_becomes_an_array_of_one():
    assert ns.flatten(np.array(3.0), 0).tolist() == [3.0]
    with pytest.raises(ns.ArgumentError, match="start_dim is 1, but x has 1 axes"):
        ns.flatten(np.array(3.0))


def test_channels_count_before_rows_before_columns():
    x = np.array([[[[111.0, 112], [121, 122]], [[211, 212], [221, 222]]]])
    assert ns.flatten(x).tolist() == [[111, 112, 121, 122, 211, 212, 221, 222]]


@pytest.mark.parametrize(("op", "arguments"), [(ns.flatten, ()), (ns.reshape, ((4, 6),))])
def test_results_and_gradients_are_views_that_cannot_be_written_to(op, arguments):
    x = X.copy()
    y, saved = op.forward(x, *arguments)
    assert np.shares_memory(x, y)
    with pytest.raises(ValueError, match="read-only"):
        y[0] = 0
    x[0, 0, 0] = 7  # x stays its owner's, and y sees it
    assert y[0, 0] == 7
    grad = np.ones_like(y)
    (gx,) = op.backward(saved, grad)
    assert gx.shape == x.shape
    assert np.shares_memory(gx, grad)
    with pytest.raises(ValueError, match="read-only"):
        gx += 1


def test_the_definition_and_another_layout_are_copies():
    assert not np.shares_memory(ns.flatten.reference(X), X)
    x = X[:, :, ::2]
    y = ns.flatten(x)
    assert not np.shares_memory(x, y)
    assert y.tolist() == [[0, 2, 4, 6, 8, 10], [12, 14, 16, 18, 20, 22]]


def test_a_view_is_an_input_like_any_other():
    x, weight = X[:, :, :2].copy(), np.eye(6)
    y = ns.linear(ns.flatten(x), weight)
    assert y.tolist() == x.reshape(2, 6).tolist()
    assert not np.shares_memory(x, ns.relu(ns.flatten(x)))


def test_a_network_with_views_has_the_gradients_of_one_without():
    rng = np.random.default_rng(0)
    net = ns.Graph.build()
    x = net.input("x")
    h = net.add(ns.relu, x)
    back = net.add(ns.reshape, net.add(ns.flatten, h), (-1, 3, 2, 2))
    graph = net.output(net.add(ns.add, back, h))  # h has two readers, one of them through views
    image, grad = rng.normal(size=(2, 3, 2, 2)), rng.normal(size=(2, 3, 2, 2))
    kept = image.copy(), grad.copy()
    y, tape = graph.forward({}, image)
    grads = graph.backward(tape, grad)
    np.testing.assert_array_equal(graph.run({}, image), y)
    np.testing.assert_array_equal(y, 2 * np.maximum(image, 0))
    np.testing.assert_array_equal(grads["x"], 2 * grad * (image > 0))
    np.testing.assert_array_equal(image, kept[0])
    np.testing.assert_array_equal(grad, kept[1])
