"""A dense CRF behind networks: nodes, start values, gradients of all that it learns, DeepLab's."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns
from numseg import crf, nets
from numseg.graph import Graph
from numseg.nets import blocks
from numseg.nets.crf import crf_rnn, with_crf

HOW = {"colour_unit": 1 / 255, "iterations": 3}


def tiny(classes: int = 3) -> Graph:
    net = Graph.build()
    y = blocks.conv(net, "conv", net.input("x"), 3, classes, 3, padding=1)
    return net.output(y)


@pytest.mark.parametrize("compat", ["number", "labels", "matrix"])
def test_it_is_dense_crf_of_the_negative_scores(compat):
    graph = with_crf(tiny(), 3, 3, compat=compat, iterations=4)
    params = graph.init(seed=1)
    image = np.random.default_rng(0).uniform(0, 255, (2, 3, 5, 6)).astype(np.float32)
    scores = tiny().run({n: params[n] for n in ("conv.weight", "conv.bias")}, image)
    how = crf.settings("crf-as-rnn").arguments(image)
    wanted = ns.dense_crf(-scores, **{**how, "iterations": 4, "output": "logits"})
    np.testing.assert_allclose(graph.run(params, image), wanted, rtol=2e-5, atol=2e-5)


def test_start_values():
    graph = with_crf(tiny(), 3, 3, settings="deeplab-v2-vgg", colour_unit=0.5)
    params = graph.init()
    np.testing.assert_array_equal(params["crf.compat1"], -2 * np.eye(3))
    np.testing.assert_array_equal(params["crf.compat2"], -4 * np.eye(3))
    np.testing.assert_array_equal(params["crf.width1"], [2, 2])
    np.testing.assert_array_equal(params["crf.width2"], [65, 65, 3, 3, 3])
    assert params["crf.scale"] == 2
    learned = {name for name in graph.trainable if name.startswith("crf.")}
    assert learned == {"crf.compat1", "crf.width1", "crf.compat2", "crf.width2"}
    frozen = with_crf(tiny(), 3, 3, trainable=False)
    assert set(frozen.trainable) == {"conv.weight", "conv.bias"}


@pytest.mark.parametrize("compat", ["number", "labels", "matrix"])
def test_gradients_through_the_graph_are_the_derivative(compat):
    """Of compatibilities, widths and the network before it, in float64, within simplices."""
    terms = (crf.Term(1.5, 2.3), crf.Term(2.5, 3.1, 40.0))
    graph = with_crf(tiny(), 3, 3, settings=crf.Settings(terms), compat=compat, **HOW)
    rng = np.random.default_rng(3)
    params = {n: p + 0.05 * rng.normal(size=p.shape) for n, p in graph.init(0, np.float64).items()}
    params |= {"crf.sign": np.array(-1.0), "crf.scale": np.array(255.0)}
    image = rng.uniform(size=(2, 3, 4, 5))
    y, tape = graph.forward(params, image)
    grad_y = rng.normal(size=y.shape)
    grads = graph.backward(tape, grad_y)
    assert {"crf.compat1", "crf.compat2", "crf.width1", "crf.width2", "conv.weight", "x"} <= set(
        grads
    )
    h = 1e-6
    for name in (*graph.trainable, "x"):
        at = {**params, "x": image}
        direction = rng.normal(size=at[name].shape) * np.abs(at[name]).max() ** (
            name[:5] == "crf.w"
        )
        ends = []
        for sign in (1, -1):
            moved = {**at, name: at[name] + sign * h * direction}
            x = moved.pop("x")
            ends.append((graph.run(moved, x) * grad_y).sum())
        slope = (ends[0] - ends[1]) / (2 * h)
        np.testing.assert_allclose((grads[name] * direction).sum(), slope, rtol=2e-5, atol=1e-7)


DEEPLABS = {
    "deeplabv1_vgg16": ("deeplab-v1-largefov", {}),
    "deeplabv2_vgg16": ("deeplab-v2-vgg", {}),
    "deeplabv2_resnet101": ("deeplab-v2-resnet101", {"units": (1, 1, 1, 1)}),
}


@pytest.mark.parametrize("name", DEEPLABS)
def test_deeplabs_have_that_of_their_papers(name):
    settings, small = DEEPLABS[name]
    plain = getattr(nets, name)(classes=2, width=1, **small)
    graph = getattr(nets, name)(classes=2, width=1, crf=True, **small)
    assert graph.trainable == plain.trainable
    params = graph.init()
    for number, term in enumerate(crf.settings(settings).terms, 1):
        assert params[f"crf.compat{number}"] == term.compat
        np.testing.assert_array_equal(params[f"crf.width{number}"], term.widths(3))
    smallest = graph.smallest_input()
    assert smallest == plain.smallest_input()
    image = np.random.default_rng(0).uniform(-100, 100, smallest).astype(np.float32)
    scores = plain.run({n: params[n] for n in plain.names if n in params}, image)
    how = crf.settings(settings).arguments(image)
    wanted = ns.dense_crf(-scores, **how, output="logits")
    np.testing.assert_allclose(graph.run(params, image), wanted, rtol=1e-5, atol=1e-5)


def test_refusals():
    with pytest.raises(ns.ArgumentError, match="crf is True, but upsample False"):
        nets.deeplabv1_vgg16(upsample=False, crf=True)
    with pytest.raises(ns.ArgumentError, match="crf must be True or False, got 'yes'"):
        nets.deeplabv2_vgg16(crf="yes")
    net = Graph.build()
    x = net.input("x")
    for arguments, words in (
        ({"settings": "mine"}, "name must be one of 'crf-as-rnn'"),
        ({"settings": 3}, "settings must be a name or Settings, got 3"),
        ({"compat": "scalar"}, "compat must be one of 'matrix', 'labels', 'number'|compat must be"),
        ({"colour_unit": 0}, "colour_unit must be"),
    ):
        with pytest.raises(ns.ArgumentError, match=words):
            crf_rnn(net, "crf", x, x, 3, 3, **arguments)
    graph = with_crf(tiny(), 3, 3)
    params = graph.init()
    params["crf.width1"] = np.array([1, -1], np.float32)
    with pytest.raises(ns.ArgumentError, match=r"crf.features1: .*width\[1\] is -1"):
        graph.run(params, np.zeros((1, 3, 4, 4), np.float32))
