"""Classifiers that slide: the heat map is the classifier on every window of a larger image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numseg as ns
from numseg.graph import Builder, Graph, Value, he_normal, ones, zeros
from numseg.nets import blocks

rng = np.random.default_rng(0)


def linear(net: Builder, name: str, x: Value, inputs: int, outputs: int) -> Value:
    weight = net.param(f"{name}.weight", (outputs, inputs), he_normal)
    bias = net.param(f"{name}.bias", (outputs,), zeros)
    return net.add(ns.linear, x, weight, bias, name=name)


def stem(net: Builder, padding: int = 0) -> Value:
    """Stride 2; without padding 12 x 16 pixels become 5 x 7, 13 x 17 too."""
    x = blocks.conv(net, "conv1", net.input("x"), 2, 3, 3, padding, activation="relu")
    x = net.add(ns.max_pool2d, x, 2, name="pool1")
    return x


def head(net: Builder, x: Value, inputs: int) -> Value:
    x = net.add(ns.flatten, x, name="flat")
    x = net.add(ns.dropout, x, 0.5, seed=net.seed, training=net.training, name="drop")
    x = net.add(ns.relu, linear(net, "fc6", x, inputs, 5), name="relu6")
    return linear(net, "fc7", x, 5, 4)


def alexnet(net: Builder, padding: int = 0) -> Value:
    """Flattened as it is: the kernel is the whole map."""
    return head(net, stem(net, padding), 3 * (5 * 7 if padding == 0 else 6 * 8))


def vgg(net: Builder) -> Value:
    """An adaptive pooling to the size that is there."""
    return head(net, net.add(ns.adaptive_avg_pool2d, stem(net), (5, 7), name="bins"), 3 * 35)


def resnet(net: Builder) -> Value:
    return head(net, net.add(ns.global_avg_pool2d, stem(net), name="mean"), 3)


def brightest(net: Builder) -> Value:
    x = net.add(ns.global_max_pool2d, stem(net), name="max")
    return head(net, net.add(ns.hard_swish, x, name="swish"), 3)


def pyramid(net: Builder) -> Value:
    """2 x 3 bins of 2 x 2 pixels: windows whose pixels are 2 apart."""
    x = blocks.conv(net, "conv2", stem(net), 3, 3, 2)
    return head(net, net.add(ns.adaptive_max_pool2d, x, (2, 3), name="bins"), 3 * 6)


def reshaped(net: Builder) -> Value:
    x = net.add(ns.reshape, stem(net), (1, -1), name="flat")
    return linear(net, "fc", x, 3 * 35, 2)


def branches(net: Builder) -> Value:
    """What else reads vectors: sums, stacks, normalisations and softmax of their numbers."""
    x = net.add(ns.flatten, stem(net), name="flat")
    a, b = linear(net, "a", x, 105, 3), linear(net, "b", x, 105, 3)
    y = net.add(ns.concat, [net.add(ns.add, a, b, name="sum"), b], name="both")
    y = blocks.normalise(net, "norm", y, 6, ("batch_norm", {"eps": 0.0}))
    return net.add(ns.maximum, y, net.add(ns.relu, y), name="largest")


CLASSIFIERS: dict[str, Callable[[Builder], Value]] = {
    f.__name__: f for f in (alexnet, vgg, resnet, brightest, pyramid, reshaped, branches)
}


def made(make: Callable[..., Value], **how: Any) -> Graph:
    net = Graph.build()
    return net.output(make(net, **how))


def integers(graph: Graph) -> dict[str, np.ndarray]:
    """Parameters with which float64 rounds nothing; means are of 35 or of 4 pixels."""
    params = {n: rng.integers(-3, 4, p.shape).astype(float) for n, p in graph.init().items()}
    return params | {n: np.full(p.shape, 4.0) for n, p in params.items() if n.endswith("var")}


def slid(graph: Graph, params: Any, x: np.ndarray, size: tuple[int, int], stride: int = 2) -> Any:
    """The classifier on every window of the image."""
    h, w = size
    rows, columns = ((n - s) // stride + 1 for n, s in zip(x.shape[2:], size, strict=True))
    return np.stack([
        np.stack([
            graph.run(params, x[:, :, p : p + h, q : q + w])
            for q in range(0, stride * columns, stride)
        ], -1)
        for p in range(0, stride * rows, stride)
    ], -2)  # fmt: skip


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_the_heat_map_is_the_classifier_on_every_window(name: str):
    graph = made(CLASSIFIERS[name])
    size = (12, 16)
    sliding, weights = graph.convolutional(params := integers(graph), (1, 2, *size))
    x = 35.0 * rng.integers(-4, 5, (1, 2, 21, 23))  # so that means are whole
    expected = slid(graph, params, x, size)
    assert expected.shape[-2:] == (5, 4)
    np.testing.assert_array_equal(sliding.run(weights, x), expected)
    once = x[:, :, :12, :16]
    np.testing.assert_array_equal(sliding.run(weights, once)[..., 0, 0], graph.run(params, once))


def test_names_stay_and_weights_are_views():
    graph = made(vgg)
    params = graph.init()
    sliding, weights = graph.convolutional(params, (1, 2, 12, 16))
    assert [node.name for node in sliding.nodes] == [
        "conv1", "conv1.relu", "pool1", "drop", "fc6", "relu6", "fc7"
    ]  # fmt: skip
    assert list(weights) == list(params)
    assert weights["fc6.weight"].shape == (5, 3, 5, 7)
    assert weights["fc7.weight"].shape == (4, 5, 1, 1)
    assert np.shares_memory(weights["fc6.weight"], params["fc6.weight"])
    assert sliding.init()["fc6.weight"].shape == (5, 3, 5, 7)
    assert params["fc6.weight"].shape == (5, 105)
    # the number of a weight: channel, row and column of the map that was flattened
    np.testing.assert_array_equal(
        weights["fc6.weight"][2, 1, 3], params["fc6.weight"][2, 35 + 21 : 35 + 28]
    )


def test_bins_become_windows_of_the_size_that_they_have():
    graph = made(pyramid)
    sliding, weights = graph.convolutional(graph.init(), (1, 2, 12, 16))
    nodes = {node.name: node for node in sliding.nodes}
    assert nodes["bins"].operator is ns.max_pool2d
    assert dict(nodes["bins"].attributes) == {"kernel_size": (2, 2), "stride": 1}
    assert dict(nodes["fc6"].attributes) == {"dilation": (2, 2)}
    assert weights["fc6.weight"].shape == (5, 3, 2, 3)
    mean = {
        n.name: n for n in made(resnet).convolutional(made(resnet).init(), (1, 2, 12, 16))[0].nodes
    }
    assert dict(mean["mean"].attributes) == {"kernel_size": (5, 7), "stride": 1}


def test_real_numbers_differ_by_the_order_of_sums():
    graph = made(alexnet)
    params = {name: p.astype(np.float64) for name, p in graph.init().items()}
    sliding, weights = graph.convolutional(params, (1, 2, 12, 16))
    x = rng.normal(size=(2, 2, 14, 18))
    found, expected = sliding.run(weights, x), slid(graph, params, x, (12, 16))
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-13)
    y, tape = sliding.forward(weights, x)  # it trains, too
    assert set(sliding.backward(tape, y)) == {*params, "x"}


def test_padding_makes_a_difference_where_windows_end():
    """Where the classifier sees zeros beyond its window, the network that slides sees what is
    there."""
    graph = made(alexnet, padding=1)
    params = integers(graph)
    sliding, weights = graph.convolutional(params, (1, 2, 12, 16))
    window = rng.integers(1, 5, (1, 2, 12, 16)).astype(float)
    alone = graph.run(params, window)
    np.testing.assert_array_equal(sliding.run(weights, window)[..., 0, 0], alone)
    x = np.zeros((1, 2, 16, 20))
    x[:, :, 2:14, 2:18] = window  # surrounded by zeros
    np.testing.assert_array_equal(sliding.run(weights, x)[..., 1, 1], alone)
    x[:, :, 1] = 1
    assert (sliding.run(weights, x)[..., 1, 1] != alone).any()


def test_a_graph_that_slides_takes_every_size():
    graph = made(alexnet)
    params = graph.init()
    with pytest.raises(ns.ArgumentError, match="fc6: linear: x has 144 inputs"):
        graph.run(params, np.zeros((1, 2, 14, 18), np.float32))
    sliding, _ = graph.convolutional(params, (1, 2, 12, 16))
    found = sliding.legal_inputs()
    assert (found.rows.smallest, found.rows.step) == (12, 1)
    assert (found.columns.smallest, found.columns.step) == (16, 1)
    field = sliding.receptive_fields()["fc7"]
    assert (field.size, field.stride) == ((12, 16), (2, 2))


# -- what does not slide --------------------------------------------------------------------------


def refused(make: Callable[[Builder], Value], message: str) -> None:
    graph = made(make)
    with pytest.raises(ns.ArgumentError, match=message):
        graph.convolutional(graph.init(), (1, 2, 12, 16))


def test_what_does_not_slide_is_refused():
    def bins(net: Builder) -> Value:
        return head(net, net.add(ns.adaptive_avg_pool2d, stem(net), (2, 2), name="bins"), 12)

    def softmax_of_all(net: Builder) -> Value:
        x = net.add(ns.softmax, net.add(ns.flatten, stem(net)), name="softmax")
        return linear(net, "fc", x, 105, 2)

    def softmax_from_the_end(net: Builder) -> Value:
        return net.add(ns.softmax, alexnet(net), -1, name="softmax")

    def a_row(net: Builder) -> Value:
        return net.add(ns.add, alexnet(net), net.param("row", (4,), ones), name="sum")

    def shared(net: Builder) -> Value:
        x = stem(net)
        w = net.param("w", (105, 105), ones)
        y = net.add(ns.linear, net.add(ns.flatten, x), w, name="one")
        return net.add(ns.linear, y, w, name="two")

    def computed(net: Builder) -> Value:
        w = net.add(ns.relu, net.param("w", (2, 105), ones))
        return net.add(ns.linear, net.add(ns.flatten, stem(net)), w, name="fc")

    refused(bins, "bins: 2 x 2 bins of an image of 5 x 7 pixels are not all of one size")
    refused(softmax_of_all, "softmax: softmax is no convolution of windows of 5 x 7")
    refused(softmax_from_the_end, r"softmax: on an image of vectors \(1, 4\), which are channels")
    refused(
        a_row, r"sum: on an image of vectors \(1, 4\), which are channels, it gives \(1, 4, 1, 4\)"
    )
    refused(shared, "two: weight is no parameter, or one that is used in two ways")
    refused(computed, "fc: weight is no parameter")
    refused(stem, "no node of the graph makes a vector of an image")
    with pytest.raises(ns.ArgumentError, match="missing parameter"):
        made(alexnet).convolutional({}, (1, 2, 12, 16))


def test_a_softmax_over_classes_slides():
    graph = made(lambda net: net.add(ns.softmax, alexnet(net), name="softmax"))
    params = graph.init(dtype=np.float64)
    sliding, weights = graph.convolutional(params, (1, 2, 12, 16))
    x = rng.normal(size=(1, 2, 14, 16))
    np.testing.assert_allclose(
        sliding.run(weights, x), slid(graph, params, x, (12, 16)), rtol=1e-12
    )


def test_a_pooling_that_gates_stays_what_it_is():
    """Squeeze-and-excitation sees the whole image, whatever its size: no vector is made of it."""

    def make(net: Builder) -> Value:
        x = stem(net)
        gate = net.add(ns.sigmoid, net.add(ns.global_avg_pool2d, x, name="squeeze"))
        return head(net, net.add(ns.multiply, x, gate), 105)

    graph = made(make)
    sliding, _ = graph.convolutional(graph.init(), (1, 2, 12, 16))
    assert {n.name: n for n in sliding.nodes}["squeeze"].operator is ns.global_avg_pool2d


def test_vgg_is_its_published_convolutional_form():
    """Weights and all: the pooling to 7 x 7 goes, and the classifier is fc6, fc7, fc8 of FCN."""
    graph = ns.nets.vgg16(3, 4, width=1)
    published = ns.nets.vgg16(3, 4, width=1, fully_convolutional=True)
    sliding, weights = graph.convolutional(graph.init(), (1, 3, 224, 224))
    published.check(weights)
    assert [node.name for node in sliding.nodes] == [node.name for node in published.nodes]
    x = rng.random((1, 3, 256, 230), np.float32)
    y = sliding.run(weights, x)
    assert y.shape == (1, 4, 2, 1)
    np.testing.assert_array_equal(y, published.run(weights, x))
