"""An argument for all nodes of an operator, and what a faster network costs."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns
from numseg.graph import Graph, he_normal, ones

rng = np.random.default_rng(0)


def attributes(graph: Graph) -> dict[str, dict[str, object]]:
    return {node.name: dict(node.attributes) for node in graph.nodes}


def test_winograd_where_it_can_be():
    graph = ns.nets.unet(3, 2, width=4, depth=1)
    fast = graph.using(ns.conv2d, algorithm="winograd4")
    left = graph.refusals(ns.conv2d, algorithm="winograd4")
    assert list(left) == ["head"]
    assert left["head"].startswith(
        "conv2d: algorithm 'winograd4' takes kernel (3, 3), stride (1, 1), dilation (1, 1), got "
    )
    for node in fast.nodes:
        chosen = node.operator is ns.conv2d and node.name != "head"
        assert (attributes(fast)[node.name].get("algorithm") == "winograd4") == chosen
    assert not any("algorithm" in given for given in attributes(graph).values())
    assert fast.params == graph.params
    assert list(fast.refusals(ns.conv2d, algorithm="winograd2")) == ["head"]
    # what was said about a node stays, but for what is said now
    assert attributes(fast)["mid.conv1"] == attributes(graph)["mid.conv1"] | {
        "algorithm": "winograd4"
    }
    again = fast.using(ns.conv2d, algorithm="direct")
    assert attributes(again)["mid.conv1"]["algorithm"] == "direct"


def test_any_operator_and_argument():
    graph = ns.nets.unet(1, 2, width=2, depth=1, padding="same", norm=True, dropout=0.5)
    assert all(
        attributes(graph.using(ns.batch_norm, eps=1e-3))[f"{part}.norm1"]["eps"] == 1e-3
        for part in ("enc1", "mid", "dec1")
    )
    drop = graph.using(ns.dropout, p=0.1)
    given = attributes(drop)["mid.dropout"]
    assert given == attributes(graph)["mid.dropout"] | {"p": 0.1}


def test_a_graph_of_another_size_or_of_several_inputs():
    net = Graph.build()
    x, y, w = net.input("x"), net.input("y"), net.param("w", (2, 2, 3, 3), he_normal)
    sums = net.add(ns.add, net.add(ns.conv2d, x, w, stride=2), net.add(ns.conv2d, y, w))
    graph = net.output(sums)
    shapes = (1, 2, 9, 9), (1, 2, 6, 6)
    fast = graph.using(ns.conv2d, *shapes, algorithm="winograd2")
    assert [given.get("algorithm") for given in attributes(fast).values()] == [
        None, "winograd2", None
    ]  # fmt: skip
    with pytest.raises(ns.ArgumentError, match="the graph takes x, y, but pictures are all"):
        graph.using(ns.conv2d, algorithm="winograd2")


def test_what_no_node_takes_is_an_error():
    graph = ns.nets.unet(1, 2, width=2, depth=1)
    for operator, given, message in (
        (ns.conv2d, {"algorithm": "winograd9"}, "no node takes it; enc1.conv1: conv2d: algorithm"),
        (
            ns.conv2d,
            {"algorithms": "direct"},
            "conv2d takes stride, padding, .* and not algorithms",
        ),
        (ns.conv2d, {"weight": 1}, "and not weight"),
        (ns.relu, {"algorithm": 1}, "relu takes no arguments"),
        (ns.softmax, {"dim": 1}, "no node of the graph is a softmax"),
        ("conv2d", {}, "operator must be a numseg operator, got 'conv2d'"),
        (
            ns.conv2d,
            {"padding": 3},
            "crop1: center_crop: output_size is 42",
        ),  # the graph does not fit together then
    ):
        with pytest.raises(ns.ArgumentError, match=message):
            graph.using(operator, **given)


def test_deviation_by_hand():
    net = Graph.build()
    x, w = net.input("x"), net.param("w", (1,), ones)
    y = net.add(ns.multiply, x, w)
    graph = net.output(y, net.add(ns.relu, y))
    x = np.array([[1.0, -8.0]])
    one, other = {"w": np.array([1.0])}, {"w": np.array([1.25])}
    assert graph.deviation(one, graph, one, x) == (0, 0)
    found = graph.deviation(one, graph, other, x)
    assert found == (2, 0.25)
    assert str(found) == "2 at most, 0.25 of the largest output"
    with pytest.raises(ns.ArgumentError, match="the graph has 2 outputs, the other 1 output"):
        graph.deviation(one, graph.at("relu1"), one, x)


def test_a_fast_unet_in_one_line_and_what_it_costs():
    graph = ns.nets.unet(3, 4, width=4, depth=2, padding="same", norm=True)
    params, x = graph.init(), rng.random((1, 3, 16, 20), np.float32)
    folded, weights = graph.folded(params)
    fast = folded.using(ns.conv2d, algorithm="winograd4")
    found = graph.deviation(params, fast, weights, x)
    assert 0 < found.relative < 1e-4
    np.testing.assert_allclose(
        found.largest, abs(fast.run(weights, x) - graph.run(params, x)).max()
    )
