"""Chains: nodes that run as one give the bits of one after the other, and nobody misses any."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns
from numseg.graph import Builder, Graph, Value, he_normal, ones, zeros
from numseg.kernels.machine.threads import num_threads

rng = np.random.default_rng(0)

STRANGE = np.array([np.nan, np.inf, -np.inf, -0.0, 0.0, 1e-45, -1e-45, 3e38])


def noise(shape: tuple[int, ...], dtype: type = np.float32, strange: float = 0.0) -> np.ndarray:
    x = rng.normal(size=shape)
    chosen = rng.random(shape) < strange
    x[chosen] = rng.choice(STRANGE, int(chosen.sum()))
    return x.astype(dtype)


def conv(net: Builder, name: str, x: Value, c: int, f: int, k: int = 3, **attributes) -> Value:
    weight = net.param(f"{name}.weight", (f, c // attributes.get("groups", 1), k, k), he_normal)
    bias = net.param(f"{name}.bias", (f,), zeros)
    return net.add(ns.conv2d, x, weight, bias, name=name, **attributes)


def operators(graph: Graph) -> list[str]:
    return [node.operator.__name__ for node in graph.fused.nodes]


def assert_same_bits(y: np.ndarray, z: np.ndarray) -> None:
    """Equal, signs of zeros included; a NaN is a NaN."""
    np.testing.assert_array_equal(y, z)
    there = ~np.isnan(y)
    np.testing.assert_array_equal(np.signbit(y)[there], np.signbit(z)[there])


def residual(swapped: bool = False, rectified: bool = True, **attributes) -> Graph:
    """relu(x + conv(z)), of four channels."""
    net = Graph.build()
    x, z = net.input("x"), net.input("z")
    y = conv(net, "conv", z, 4, 4, **attributes)
    y = net.add(ns.add, *((y, x) if swapped else (x, y)), name="sum")
    return net.output(net.add(ns.relu, y, name="relu") if rectified else y)


# -- bits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [(5, 7), (1, 1), (16, 16), (40, 33)])
@pytest.mark.parametrize(
    "attributes",
    [
        {"padding": 1},
        {"padding": 2, "dilation": 2},
        {"padding": 1, "groups": 4},  # a stencil
        {"padding": 1, "algorithm": "winograd4"},
        {"padding": 1, "algorithm": "winograd2"},
        {"k": 16, "stride": 16, "padding": 8},  # vectors of taps
        {"k": 1},  # a product, with rows of its own choice
    ],
    ids=str,
)
def test_sum_and_relu_in_the_store_are_those_after_it(dtype, size, attributes):
    for swapped, rectified in ((False, True), (True, False)):
        graph = residual(swapped, rectified, **attributes)
        expected = ["conv2d + add + relu"] if rectified else ["conv2d + add"]
        assert operators(graph) == expected
        params = {name: noise(p.shape, dtype) for name, p in graph.init(seed=1).items()}
        params["conv.bias"][1] = -np.inf
        z = noise((2, 4, *size), dtype, strange=0.02)
        x = noise(graph.at("conv").shapes(z)["conv"], dtype, strange=0.02)
        y, _ = graph.forward(params, x, z, training=False)
        for threads in (1, 2):
            with num_threads(threads):
                assert_same_bits(graph.run(params, x, z), y)


@pytest.mark.parametrize("filters", [1, 3, 70, 130])
@pytest.mark.parametrize("stride", [1, 2])
def test_relu_in_the_store_is_relu_after_it(filters, stride):
    net = Graph.build()
    y = conv(net, "conv", net.input("x"), 3, filters, stride=stride, padding=1)
    graph = net.output(net.add(ns.relu, y))
    assert operators(graph) == ["conv2d + relu"]
    params, x = graph.init(), noise((2, 3, 21, 37), strange=0.01)
    y, _ = graph.forward(params, x, training=False)
    assert np.count_nonzero(y == 0) > y.size / 8
    assert_same_bits(graph.run(params, x), y)


def test_minus_zero_becomes_zero():
    # 0 * -1 summed from +0 is +0 + -0 = +0; a bias of -0 and no pixel but -0 * 1 gives -0
    net = Graph.build()
    x, w, b = net.input("x"), net.param("w", (1, 1, 1, 1), ones), net.param("b", (1,), zeros)
    graph = net.output(net.add(ns.relu, net.add(ns.conv2d, x, w, b)))
    params = {"w": np.ones((1, 1, 1, 1)), "b": np.array([-0.0])}
    minus_zero = np.full((1, 1, 1, 8), -0.0)
    assert np.signbit(ns.conv2d(minus_zero, params["w"], params["b"])).all()
    y = graph.run(params, minus_zero)
    assert (y == 0).all()
    assert not np.signbit(y).any()


def test_an_input_is_never_written_to():
    graph = residual(padding=1)
    params, x = graph.init(), noise((1, 4, 6, 6))
    before = x.copy()
    y = graph.run(params, x, x)
    z = y.copy()
    graph.run(params, x + 1, x + 1)
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(y, z)  # nor is what an earlier run returned


# -- what becomes a chain -----------------------------------------------------------------------


def two_branches() -> Graph:
    """A block of a ResNet whose branches both end with a convolution."""
    net = Graph.build()
    x = net.input("x")
    y = net.add(ns.relu, conv(net, "a", x, 4, 6, padding=1), name="a.relu")
    y = conv(net, "b", y, 6, 8, padding=1)
    skip = conv(net, "skip", x, 4, 8, k=1)
    return net.output(net.add(ns.relu, net.add(ns.add, y, skip, name="sum"), name="relu"))


def test_the_later_branch_takes_the_sum():
    graph = two_branches()
    assert [(node.name, node.operator.__name__) for node in graph.fused.nodes] == [
        ("a.relu", "conv2d + relu"),
        ("b", "conv2d"),
        ("relu", "conv2d + add + relu"),
    ]
    params, x = graph.init(), noise((2, 4, 9, 9))
    assert_same_bits(graph.run(params, x), graph.forward(params, x, training=False)[0])


def test_a_result_that_somebody_else_reads_is_kept():
    def graph(reader) -> Graph:
        net = Graph.build()
        y = conv(net, "conv", net.input("x"), 4, 4, padding=1)
        z = net.add(ns.relu, y, name="relu")
        return net.output(*reader(net, y, z))

    for reader in (
        lambda net, y, z: (z, y),  # an output
        lambda net, y, z: (net.add(ns.add, z, y),),
        lambda net, y, z: (net.add(ns.center_crop, net.add(ns.pad, z, 1), y.size),),
    ):
        kept = graph(reader)
        assert operators(kept)[:2] == ["conv2d", "relu"]
        params, x = kept.init(), noise((1, 4, 5, 5))
        y, z = kept.run(params, x), kept.forward(params, x, training=False)[0]
        for a, b in zip(np.atleast_1d(y), np.atleast_1d(z), strict=True):
            np.testing.assert_array_equal(a, b)
    assert operators(graph(lambda net, y, z: (z,))) == ["conv2d + relu"]


def test_the_order_is_the_operators():
    net = Graph.build()
    x = net.input("x")
    y = net.add(ns.relu, conv(net, "conv", x, 4, 4, padding=1))
    graph = net.output(net.add(ns.relu, net.add(ns.relu, net.add(ns.add, y, x))))
    assert operators(graph) == ["conv2d + relu", "add", "relu", "relu"]
    params, x = graph.init(), noise((1, 4, 5, 5))
    assert_same_bits(graph.run(params, x), graph.forward(params, x, training=False)[0])


def test_a_sum_with_what_comes_later_waits():
    net = Graph.build()
    x = net.input("x")
    y = conv(net, "conv", x, 4, 4, padding=1)
    graph = net.output(net.add(ns.add, y, net.add(ns.sigmoid, x)))
    assert operators(graph) == ["conv2d", "sigmoid", "add"]


def test_the_definition_of_an_operator_is_no_kernel():
    net = Graph.build()
    x, w = net.input("x"), net.param("w", (4, 4, 3, 3), he_normal)
    y = net.add(ns.relu, net.add(ns.conv2d.reference, x, w))
    graph = net.output(net.add(ns.relu.reference, net.add(ns.conv2d, y, w)))
    assert operators(graph) == ["conv2d", "relu", "conv2d", "relu"]


# -- the rest of the contract -------------------------------------------------------------------


def test_by_the_definitions_a_chain_runs_one_by_one():
    graph = residual(padding=1)
    params, x = graph.init(), noise((1, 4, 6, 6))
    with ns.use("reference"):
        y = graph.run(params, x, x)
        z, _ = graph.forward(params, x, x, training=False)
    assert_same_bits(y, z)
    assert not np.array_equal(y, graph.run(params, x, x))  # by kernels: other roundings


def test_errors_have_the_names_of_their_nodes():
    net = Graph.build()
    x, other = net.input("x"), net.input("other")
    y = conv(net, "conv", x, 4, 4, padding=1)
    graph = net.output(net.add(ns.relu, net.add(ns.add, y, other, name="sum")))
    params, x = graph.init(), noise((1, 4, 6, 6))
    for inputs, words in (
        ((x[:, :3], x), r"^conv: conv2d: weight takes 4 channels"),
        ((x, x[..., :5]), r"^sum: add: x has shape .* and other \(1, 4, 6, 5\): they do not"),
        ((x, x.astype(np.float64)), r"^sum: add: .*float64"),
    ):
        with pytest.raises(ns.ArgumentError, match=words):
            graph.run(params, *inputs)


def test_what_is_repeated_is_added_in_a_pass_of_its_own():
    net = Graph.build()
    x, other = net.input("x"), net.input("other")
    y = conv(net, "conv", x, 4, 4, padding=1)
    graph = net.output(net.add(ns.relu, net.add(ns.add, y, other)))
    params, x = graph.init(), noise((1, 4, 6, 6))
    plain = ns.conv2d(x, params["conv.weight"], params["conv.bias"], padding=1)
    for terms in (noise((4, 1, 1)), noise((6,)), noise((1, 4, 6, 6)), noise((3, 4, 6, 6))):
        assert_same_bits(graph.run(params, x, terms), ns.relu(ns.add(plain, terms)))


def test_a_profile_has_a_line_for_a_chain():
    graph = two_branches()
    params, x = graph.init(), noise((1, 4, 6, 6))
    profile = graph.profile(params, x, runs=1)
    plans = graph.plans(x)
    last = profile.timings[-1]
    assert last[:2] == ("skip + sum + relu", "conv2d + add + relu")
    assert last.cost.flops == sum(plans[name].flops for name in ("skip", "sum", "relu"))
    # x, its weights and bias, the other branch; and y: numbers of 4 bytes
    assert last.cost.bytes == 4 * (4 * 36 + 8 * 4 + 8 + 8 * 36 + 8 * 36)
    assert "skip + sum + relu" in str(profile)
