"""Receptive fields: by hand, and against what gradients say."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

import numseg as ns
from numseg.graph import Builder, Graph, Value, ones


def conv(net: Builder, x: Value, name: str, kernel: int = 3, **attributes: object) -> Value:
    """One channel, weights of one."""
    weight = net.param(f"{name}.weight", (1, 1, kernel, kernel), ones)
    return net.add(ns.conv2d, x, weight, name=name, **attributes)


def up(net: Builder, x: Value, name: str, kernel: int = 2) -> Value:
    """Twice the rows and columns."""
    weight = net.param(f"{name}.weight", (1, 1, kernel, kernel), ones)
    return net.add(ns.conv_transpose2d, x, weight, stride=2, name=name)


def test_a_chain_by_hand():
    # sizes 1 + 2 = 3; the pool's two pixels: 4 at stride 2; 3x3 at stride 2: 4 + 2 * 2 = 8;
    # dilation 2 at stride 2: 8 + 4 * 2 = 16
    net = Graph.build()
    h = conv(net, net.input("x"), "a")
    h = net.add(ns.max_pool2d, h, 2, name="pool")
    h = conv(net, h, "b")
    graph = net.output(conv(net, h, "c", dilation=2))
    size = {n.name: graph.receptive_field(n.name, (1, 1, 40, 30)).size for n in graph.nodes}
    assert size == {"a": (3, 3), "pool": (4, 4), "b": (8, 8), "c": (16, 16)}
    field = graph.receptive_field("pool", (1, 1, 40, 30))
    assert field.stride == (2, 2)
    np.testing.assert_array_equal(field.rows[:2], [[0, 3], [2, 5]])
    assert field.rows.shape == (19, 2)
    assert field.columns.shape == (14, 2)


def test_padding_counts_as_pixels():
    net = Graph.build()
    graph = net.output(conv(net, net.input("x"), "a", padding=(1, 0)))
    field = graph.receptive_field("a", (1, 1, 3, 3))
    np.testing.assert_array_equal(field.rows, [[-1, 1], [0, 2], [1, 3]])
    np.testing.assert_array_equal(field.columns, [[0, 2]])


def test_rows_and_columns_are_apart():
    net = Graph.build()
    graph = net.output(net.add(ns.max_pool2d, net.input("x"), (2, 3), stride=(1, 3)))
    field = graph.receptive_field("max_pool2d1", (1, 1, 6, 6))
    assert field.size == (2, 3)
    assert field.stride == (1, 3)


def test_paths_are_united():
    # a window of five pixels from o to o + 4, and its middle pixel o + 2, cropped
    net = Graph.build()
    x = net.input("x")
    a = conv(net, x, "a", kernel=5)
    b = net.add(ns.center_crop, x, a.size, name="crop")
    graph = net.output(net.add(ns.add, a, b, name="sum"), b)
    np.testing.assert_array_equal(
        graph.receptive_field("crop", (1, 1, 6, 6)).rows, [[2, 2], [3, 3]]
    )
    np.testing.assert_array_equal(graph.receptive_field("sum", (1, 1, 6, 6)).rows, [[0, 4], [1, 5]])


@pytest.mark.parametrize("first", [2, -2])
def test_neither_path_holds_the_other(first: int):
    # shifted down and right by two: reads o - 2; up and left by two: reads o + 2
    net = Graph.build()
    x = net.input("x")
    shifted = [net.add(ns.pad, x, (s, -s, s, -s)) for s in (first, -first)]
    graph = net.output(net.add(ns.concat, shifted))
    field = graph.receptive_field("concat1", (1, 1, 2, 2))
    np.testing.assert_array_equal(field.rows, [[-2, 2], [-1, 3]])
    np.testing.assert_array_equal(field.columns, [[-2, 2], [-1, 3]])


def test_an_upsampled_pixel_by_hand():
    # pool by 2, 2x2 transposed convolution: pixel o reads the two pixels of cell o // 2
    net = Graph.build()
    graph = net.output(up(net, net.add(ns.max_pool2d, net.input("x"), 2), "up"))
    field = graph.receptive_field("up", (1, 1, 4, 4))
    np.testing.assert_array_equal(field.rows, [[0, 1], [0, 1], [2, 3], [2, 3]])
    assert field.stride == (1, 1)
    net = Graph.build()
    graph = net.output(up(net, net.input("x"), "up"))
    assert graph.receptive_field("up", (1, 1, 4, 4)).stride == (Fraction(1, 2), Fraction(1, 2))


def test_a_pixel_may_read_nothing():
    # a 1x1 kernel at stride 2 writes every other pixel
    net = Graph.build()
    graph = net.output(up(net, net.input("x"), "up", kernel=1))
    field = graph.receptive_field("up", (1, 1, 2, 2))
    np.testing.assert_array_equal(field.rows, [[0, 0], [0, -1], [1, 1]])
    assert field.size == (1, 1)
    # what reads only such pixels reads nothing either; what reads their neighbours too does
    net = Graph.build()
    h = up(net, net.input("x"), "up", kernel=1)
    graph = net.output(net.add(ns.max_pool2d, h, (3, 1), stride=(2, 1)))
    field = graph.receptive_field("max_pool2d1", (1, 1, 2, 2))
    np.testing.assert_array_equal(field.rows, [[0, 1]])
    np.testing.assert_array_equal(field.columns, [[0, 0], [0, -1], [1, 1]])


def test_a_path_that_reads_nothing_adds_nothing():
    # every other pixel of the first path, beside the pixel o + 2 of the second
    net = Graph.build()
    x = net.input("x")
    paths = [up(net, x, "up", kernel=1), net.add(ns.pad, x, (-2, 4, -2, 4))]
    field = net.output(net.add(ns.concat, paths)).receptive_field("concat1", (1, 1, 3, 3))
    np.testing.assert_array_equal(field.rows, [[0, 2], [3, 3], [1, 4], [5, 5], [2, 6]])


def test_paths_of_different_strides():
    # a pool of the whole image has one pixel of size 4, which a crop of one pixel joins
    net = Graph.build()
    x = net.input("x")
    pool = net.add(ns.max_pool2d, x, 4)
    graph = net.output(net.add(ns.concat, [pool, net.add(ns.center_crop, x, 1)]))
    field = graph.receptive_field("concat1", (1, 1, 4, 4))
    np.testing.assert_array_equal(field.rows, [[0, 3]])
    assert field.stride is None


def test_what_reads_everything_has_no_field():
    net = Graph.build()
    x = net.input("x")
    params = [net.param(name, (2,), ones) for name in ("mean", "var")]
    # by statistics of the batch, whatever the run: every pixel reads all of them
    h = net.add(ns.batch_norm, net.add(ns.relu, x), *params, training=True)
    graph = net.output(net.add(ns.add, net.add(ns.relu, h), x, name="sum"))
    assert graph.receptive_field("relu1", (2, 2, 4, 4)).size == (1, 1)
    assert graph.receptive_field("batch_norm1", (2, 2, 4, 4)) is None
    assert graph.receptive_field("relu2", (2, 2, 4, 4)) is None
    assert graph.receptive_field("sum", (2, 2, 4, 4)) is None  # though one path is a pixel wide


def test_what_is_no_image_has_no_field():
    net = Graph.build()
    graph = net.output(net.add(ns.relu, net.input("x")))
    assert graph.receptive_field("relu1", (2, 3)) is None


@pytest.mark.parametrize("kernel", [2, 3, 4])
def test_gradients_are_where_the_field_says(kernel: int):
    """Weights of one and no padding: the gradient of an output pixel is positive exactly there."""
    net = Graph.build()
    a = conv(net, net.input("x"), "a")
    h = conv(net, conv(net, a, "b", kernel=2, stride=2), "c")
    h = conv(net, up(net, h, "up", kernel), "d", kernel=2)
    h = net.add(ns.add, h, net.add(ns.center_crop, a, h.size))
    graph = net.output(conv(net, h, "e", stride=2))
    params, x = graph.init(dtype=np.float64), np.ones((1, 1, 22, 18))
    field = graph.receptive_field("e", x.shape)
    y, tape = graph.forward(params, x)
    inside = 0
    for p, q in np.ndindex(y.shape[2:]):
        (top, bottom), (left, right) = field.rows[p], field.columns[q]
        if top < 0 or left < 0 or bottom >= 22 or right >= 18:
            continue  # a transposed convolution whose kernel overlaps reads beyond its input
        inside += 1
        grad_y = np.zeros_like(y)
        grad_y[0, 0, p, q] = 1
        rows, columns = np.nonzero(graph.backward(tape, grad_y, needs=["x"])["x"][0, 0])
        assert (rows.min(), rows.max()) == (top, bottom)
        assert (columns.min(), columns.max()) == (left, right)
    assert inside >= 6
