"""Batch normalisation that became part of weights: what folds, what does not, and what it costs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numseg as ns
from numseg.graph import Builder, Graph, Value, he_normal, ones, zeros

rng = np.random.default_rng(0)


def norm(net: Builder, name: str, x: Value, channels: int, **attributes: Any) -> Value:
    arrays = ("running_mean", zeros), ("running_var", ones), ("weight", ones), ("bias", zeros)
    given = {part: net.param(f"{name}.{part}", (channels,), init) for part, init in arrays}
    return net.add(ns.batch_norm, x, name=name, **{"training": net.training} | given | attributes)


def drawn(graph: Graph, dtype: type = np.float32) -> dict[str, np.ndarray]:
    """Parameters of no special kind; variances are positive."""
    params = {name: rng.normal(size=p.shape) for name, p in graph.init().items()}
    positive = {name: abs(p) + 0.1 for name, p in params.items() if name.endswith("var")}
    return {name: p.astype(dtype) for name, p in (params | positive).items()}


CONVOLUTIONS: dict[str, tuple[Any, tuple[int, ...], dict[str, Any]]] = {
    "conv2d": (ns.conv2d, (6, 4, 3, 3), {"padding": 1, "stride": 2}),
    "groups": (ns.conv2d, (6, 2, 3, 3), {"groups": 2}),
    "transposed": (ns.conv_transpose2d, (4, 6, 2, 3), {"stride": 2}),
    "transposed groups": (ns.conv_transpose2d, (4, 3, 3, 3), {"stride": 2, "groups": 2}),
    "average": (ns.conv_transpose2d, (4, 6, 3, 3), {"stride": 2, "overlap": "average"}),
}


def normalised(case: str, bias: bool = True, **of_norm: Any) -> Graph:
    """A convolution and its normalisation, to six channels."""
    operator, shape, attributes = CONVOLUTIONS[case]
    net = Graph.build()
    x, w = net.input("x"), net.param("conv.weight", shape, he_normal)
    b = net.param("conv.bias", (6,), zeros) if bias else None
    y = net.add(operator, x, w, b, name="conv", **attributes)
    return net.output(norm(net, "norm", y, 6, **of_norm))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_every_term_is_off_by_half_an_ulp_at_most(case, bias):
    graph = normalised(case, bias)
    params, x = drawn(graph), rng.normal(size=(2, 4, 7, 6))
    folded, weights = graph.folded(params)
    assert [node.name for node in folded.nodes] == ["norm"]
    assert {name: w.dtype for name, w in weights.items()} == dict.fromkeys(
        ("norm.folded_weight", "norm.folded_bias"), np.dtype(np.float32)
    )

    def wide(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {name: array.astype(np.float64) for name, array in arrays.items()}

    exact = graph.run(wide(params), x)
    terms = folded.run(wide({name: abs(w) for name, w in weights.items()}), abs(x))
    error = abs(folded.run(wide(weights), x) - exact)  # that of the rounded weights, and no other
    assert (error <= terms * (2.0**-24 + 1e-12)).all()
    assert (error > terms * 2.0**-30).any()
    # float32 sums of up to 36 terms, each way
    x32 = x.astype(np.float32)
    assert (abs(folded.run(weights, x32) - graph.run(params, x32)) <= terms * 40 * 2.0**-24).all()


@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_what_rounds_nothing_folds_exactly(case):
    graph = normalised(case, eps=0.0)
    params = {name: np.round(3 * p) for name, p in drawn(graph).items()}
    params |= {"norm.running_var": np.float32([1, 4, 16, 1, 4, 16])}
    params |= {"norm.weight": np.float32([1, 2, -4, 8, 0, 4])}
    x = rng.integers(-5, 6, (1, 4, 5, 7)).astype(np.float32)
    if case == "average":
        x *= 4 * 9  # up to four stamps to a pixel, whose number divides this
    folded, weights = graph.folded(params)
    np.testing.assert_array_equal(folded.run(weights, x), graph.run(params, x))


def test_a_deformable_convolution_folds():
    net = Graph.build()
    x, offset = net.input("x"), net.input("offset")
    w = net.param("w", (6, 4, 3, 3), he_normal)
    graph = net.output(norm(net, "norm", net.add(ns.deform_conv2d, x, offset, w, padding=1), 6))
    params, x = drawn(graph, np.float64), rng.normal(size=(1, 4, 5, 5))
    offset = rng.normal(size=(1, 18, 5, 5))
    folded, weights = graph.folded(params)
    assert [node.operator.__name__ for node in folded.nodes] == ["deform_conv2d"]
    np.testing.assert_allclose(
        folded.run(weights, x, offset), graph.run(params, x, offset), rtol=1e-12, atol=1e-12
    )


def test_a_network_keeps_its_names_and_nothing_of_the_norms():
    graph = ns.nets.unet(3, 5, width=4, depth=2, padding="same", norm=True)
    params, x = drawn(graph), rng.normal(size=(1, 3, 16, 16)).astype(np.float32)
    before = {name: p.copy() for name, p in params.items()}
    folded, weights = graph.folded(params)
    assert not any(node.operator is ns.batch_norm for node in folded.nodes)
    assert {node.name for node in graph.nodes} - {node.name for node in folded.nodes} == {
        node.name.replace("norm", "conv") for node in graph.nodes if ".norm" in node.name
    }
    assert set(weights) - set(params) == {
        f"{node.name}.{argument}"
        for node in graph.nodes
        for argument in ("folded_weight", "folded_bias")
        if ".norm" in node.name
    }
    assert weights["up1.weight"] is params["up1.weight"]
    for name, p in before.items():
        np.testing.assert_array_equal(params[name], p)
    y = graph.run(params, x)
    np.testing.assert_allclose(folded.run(weights, x), y, atol=1e-5 * abs(y).max())
    folded.check(folded.init())  # new parameters have start values too


def test_norms_one_after_the_other_all_fold():
    net = Graph.build()
    x, w = net.input("x"), net.param("w", (3, 2, 1, 1), he_normal)
    y = norm(net, "one", net.add(ns.conv2d, x, w), 3)
    graph = net.output(norm(net, "two", y, 3))
    params, x = drawn(graph, np.float64), rng.normal(size=(1, 2, 4, 4))
    folded, weights = graph.folded(params)
    assert list(weights) == ["two.folded_weight", "two.folded_bias"]
    np.testing.assert_allclose(folded.run(weights, x), graph.run(params, x), rtol=1e-12)


def test_shared_weights_are_scaled_for_each_norm():
    net = Graph.build()
    x, w = net.input("x"), net.param("w", (2, 2, 1, 1), he_normal)
    y = norm(net, "one", net.add(ns.conv2d, x, w), 2)
    graph = net.output(norm(net, "two", net.add(ns.conv2d, y, w), 2), y)
    params, x = drawn(graph, np.float64), rng.normal(size=(1, 2, 4, 4))
    folded, weights = graph.folded(params)
    assert sorted(weights) == [
        f"{norm}.folded_{argument}" for norm in ("one", "two") for argument in ("bias", "weight")
    ]
    for found, expected in zip(folded.run(weights, x), graph.run(params, x), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def ones_for(net: Builder) -> tuple[Value, Value]:
    """Running statistics of four channels."""
    return net.param("mean", (4,), zeros), net.param("var", (4,), ones)


def kept(make) -> list[str]:
    """The operators that are left."""
    net = Graph.build()
    x, w = net.input("x"), net.param("w", (4, 4, 3, 3), he_normal)
    graph = net.output(*make(net, x, w))
    folded, weights = graph.folded(drawn(graph))
    folded.check(weights)
    return [node.operator.__name__ for node in folded.nodes]


def test_what_somebody_else_reads_or_what_is_no_constant_does_not_fold():
    def conv(net, x, w):
        return net.add(ns.conv2d, x, w, padding=1)

    def read_twice(net, x, w):
        y = conv(net, x, w)
        return norm(net, "norm", y, 4), y

    def sized(net, x, w):
        y = conv(net, x, w)
        z = norm(net, "norm", y, 4)
        return (net.add(ns.center_crop, z, y.size),)

    def of_the_batch(net, x, w):
        return (norm(net, "norm", conv(net, x, w), 4, training=True),)

    def weights_given(net, x, w):
        y = net.add(ns.conv2d, conv(net, x, w), net.input("given"))
        return (norm(net, "norm", y, 4),)

    def bias_given(net, x, w):
        shift = net.input("given")
        y = net.add(ns.batch_norm, conv(net, x, w), *ones_for(net), bias=shift)
        return (y,)

    def before(net, x, w):
        return (conv(net, norm(net, "norm", x, 4), w),)

    def something_between(net, x, w):
        return (norm(net, "norm", net.add(ns.relu, conv(net, x, w)), 4),)

    def another_axis(net, x, w):
        y = net.add(ns.linear, conv(net, x, w), net.param("v", (4, 4), he_normal))
        return (norm(net, "norm", y, 4),)

    def folds(net, x, w):
        return (norm(net, "norm", conv(net, x, w), 4),)

    pair = ["conv2d", "batch_norm"]
    assert kept(read_twice) == pair
    assert kept(sized) == [*pair, "center_crop"]
    assert kept(of_the_batch) == pair
    assert kept(before) == pair[::-1]
    assert kept(something_between) == ["conv2d", "relu", "batch_norm"]
    assert kept(another_axis) == ["conv2d", "linear", "batch_norm"]
    assert kept(folds) == ["conv2d"]
    assert kept(weights_given) == ["conv2d", *pair]
    assert kept(bias_given) == pair


def test_a_taken_name_and_wrong_parameters_are_refused():
    net = Graph.build()
    x, w = net.input("x"), net.param("norm.folded_weight", (4, 4, 3, 3), he_normal)
    graph = net.output(norm(net, "norm", net.add(ns.conv2d, x, w), 4))
    with pytest.raises(ns.ArgumentError, match=r"^norm: the name 'norm.folded_weight' is taken$"):
        graph.folded(graph.init())
    with pytest.raises(ns.ArgumentError, match=r"missing parameter norm\.folded_weight"):
        graph.folded({})


@pytest.mark.parametrize("op", [ns.conv2d, ns.conv_transpose2d])
@pytest.mark.parametrize("shape", [(), (1,), (4, 1, 1), (1, 4, 1, 1)])
def test_arithmetic_of_channels_folds(op, shape):
    """Of one number, or of one for each channel; numbers for columns stay."""
    for arithmetic in (ns.multiply, ns.add, ns.divide, ns.subtract):
        net = Graph.build()
        x, channels = net.input("x"), (4, 2) if op is ns.conv2d else (2, 4)
        w = net.param("w", (*channels, 3, 3), he_normal)
        c, row = net.param("c", shape, zeros), net.param("row", (5,), zeros)
        y = net.add(arithmetic, net.add(op, x, w, padding=1, name="y"), c, name="end")
        graph = net.output(net.add(arithmetic, y, row, name="rest"))
        params, picture = drawn(graph, np.float64), rng.normal(size=(1, 2, 5, 5))
        params["c"] = rng.uniform(1, 2, shape)
        params["row"] = rng.uniform(1, 2, 5)
        folded, weights = graph.folded(params)
        assert [node.name for node in folded.nodes] == ["end", "rest"]
        expected = graph.run(params, picture)
        np.testing.assert_allclose(folded.run(weights, picture), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("form", ["late", "early", "swapped", "read twice", "another bound"])
def test_arithmetic_that_is_a_hard_swish(form):
    net = Graph.build()
    x = net.input("x")
    three, six = net.param("three", (), zeros), net.param("six", (), zeros)
    most = 5.0 if form == "another bound" else 6.0
    bounded = net.add(ns.clip, net.add(ns.add, x, three), min=0.0, max=most)
    if form == "early":
        y = net.add(ns.multiply, x, net.add(ns.divide, bounded, six), name="y")
    else:
        pair = (bounded, x) if form == "swapped" else (x, bounded)
        y = net.add(ns.divide, net.add(ns.multiply, *pair), six, name="y")
    graph = net.output(y, bounded) if form == "read twice" else net.output(y)
    params = {"three": np.float32(3), "six": np.float32(6)}
    params = {name: np.asarray(array) for name, array in params.items()}
    folded, weights = graph.folded(params)
    one = [node.operator for node in folded.nodes] == [ns.hard_swish]
    assert one == (form in ("late", "early", "swapped"))
    picture = np.linspace(-5, 5, 60, dtype=np.float32).reshape(1, 1, 6, 10)
    found, expected = folded.run(weights, picture), graph.run(params, picture)
    for a, b in zip(*(y if isinstance(y, tuple) else (y,) for y in (found, expected)), strict=True):
        np.testing.assert_allclose(a, b, rtol=3e-7, atol=1e-7)


@pytest.mark.parametrize(
    ("shape", "groups", "padding", "left"),
    [
        ((), 1, 0, ["y"]),
        ((4, 1, 1), 1, 0, ["y"]),
        ((4, 1, 1), 2, (0, 0), ["y"]),
        ((1, 4, 1, 1), 2, 1, ["times", "plus", "y"]),  # padding would be another number than 0
        ((3,), 1, 0, ["times", "plus", "y"]),  # numbers of columns
    ],
)
def test_arithmetic_before_a_convolution_folds(shape, groups, padding, left):
    net = Graph.build()
    x, w = net.input("x"), net.param("w", (6, 4 // groups, 2, 1), he_normal)
    a, b = net.param("a", shape, zeros), net.param("b", shape, zeros)
    y = net.add(ns.add, net.add(ns.multiply, x, a, name="times"), b, name="plus")
    graph = net.output(net.add(ns.conv2d, y, w, padding=padding, groups=groups, name="y"))
    params, picture = drawn(graph, np.float64), rng.normal(size=(1, 4, 5, 3))
    params |= {name: rng.uniform(1, 2, shape) for name in ("a", "b")}
    folded, weights = graph.folded(params)
    assert [node.name for node in folded.nodes] == left
    expected = graph.run(params, picture)
    np.testing.assert_allclose(folded.run(weights, picture), expected, rtol=1e-12, atol=1e-12)


def test_a_scale_alone_passes_padding_and_what_others_read_stays():
    net = Graph.build()
    x, w, a = net.input("x"), net.param("w", (3, 2, 3, 3), he_normal), net.param("a", (), zeros)
    once, twice = (net.add(ns.multiply, x, a, name=name) for name in ("once", "twice"))
    y, z = (net.add(ns.conv2d, h, w, padding=1) for h in (once, twice))
    graph = net.output(y, z, twice)
    params, picture = drawn(graph, np.float64), rng.normal(size=(1, 2, 4, 4))
    folded, weights = graph.folded(params)
    assert [node.name for node in folded.nodes if node.operator is ns.multiply] == ["twice"]
    for a, b in zip(folded.run(weights, picture), graph.run(params, picture), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)
