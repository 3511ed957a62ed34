"""Blocks: what they add, by which names, and published networks in small made of them."""

from __future__ import annotations

import math

import numpy as np
import pytest

import numseg as ns
from numseg.data import Dataset, Sample
from numseg.graph import Graph, digest, he_normal, initialiser
from numseg.graph.init import INITS
from numseg.nets import blocks
from numseg.training import Recipe, Sampling, predict, train

RNG = np.random.default_rng(0)


def _built(block, *args, **kwargs):
    net = Graph.build()
    return net.output(block(net, "b", net.input("x"), *args, **kwargs))


def _params(graph):
    return {param.name: param.shape for param in graph.params}


# -- one block ------------------------------------------------------------------------------------


def test_a_convolution_with_all_it_may_have():
    graph = _built(
        blocks.conv, 6, 4, (3, 5), 2, stride=2, dilation=(1, 2), groups=2,
        norm=("batch_norm", {"eps": 1e-3}), activation=("leaky_relu", {"negative_slope": 0.25}),
    )  # fmt: skip
    assert [node.name for node in graph.nodes] == ["b", "b.norm", "b.leaky_relu"]
    assert _params(graph) == {
        "b.weight": (4, 3, 3, 5),
        **{f"b.norm.{n}": (4,) for n in ("running_mean", "running_var", "weight", "bias")},
    }
    params = graph.init(1, np.float64)
    x = RNG.standard_normal((2, 6, 8, 9))
    y = ns.conv2d(x, params["b.weight"], None, 2, 2, (1, 2), 2)
    statistics = (params[f"b.norm.{n}"] for n in ("running_mean", "running_var", "weight", "bias"))
    y = ns.leaky_relu(ns.batch_norm(y, *statistics, eps=1e-3), 0.25)
    np.testing.assert_array_equal(graph.run(params, x), y)


def test_a_bias_is_there_unless_a_normalisation_takes_it_away():
    assert "b.bias" in _params(_built(blocks.conv, 3, 4))
    assert "b.bias" not in _params(_built(blocks.conv, 3, 4, norm="batch_norm"))
    assert "b.bias" in _params(_built(blocks.conv, 3, 4, norm="batch_norm", bias=True))
    assert "b.bias" not in _params(_built(blocks.conv, 3, 4, bias=False))
    graph = _built(blocks.conv, 3, 4, bias=("constant", {"value": -4.6}))
    np.testing.assert_array_equal(graph.init()["b.bias"], np.full(4, np.float32(-4.6)))


@pytest.mark.parametrize("norm", [("group_norm", {"num_groups": 2}), "own"])
def test_other_normalisations(norm):
    def own(net, name, x, channels):
        return net.add(ns.group_norm, x, 2, name=name)

    graph = _built(blocks.conv, 3, 4, 1, norm=own if norm == "own" else norm)
    names = [] if norm == "own" else ["b.norm.weight", "b.norm.bias"]
    assert list(_params(graph)) == ["b.weight", *names]
    params, x = graph.init(2), RNG.standard_normal((1, 3, 5, 5)).astype(np.float32)
    expected = ns.group_norm(ns.conv2d(x, params["b.weight"]), 2)
    np.testing.assert_allclose(graph.run(params, x), expected, rtol=1e-6, atol=1e-6)


def test_activations_are_operators_or_their_names():
    graphs = [_built(blocks.conv, 3, 4, activation=a) for a in ("silu", ns.silu, (ns.silu, {}))]
    assert len({digest(graph) for graph in graphs}) == 1
    assert graphs[0].nodes[-1].operator is ns.silu


def test_a_depthwise_separable_convolution_is_the_operators():
    graph = _built(blocks.separable, 3, 5, padding=1, stride=2)
    assert _params(graph) == {
        "b.depthwise.weight": (3, 1, 3, 3), "b.depthwise.bias": (3,),
        "b.pointwise.weight": (5, 3, 1, 1), "b.pointwise.bias": (5,),
    }  # fmt: skip
    params, x = graph.init(4), RNG.standard_normal((2, 3, 7, 7)).astype(np.float32)
    h = ns.conv2d(x, params["b.depthwise.weight"], None, 2, 1, groups=3)
    np.testing.assert_array_equal(graph.run(params, x), ns.conv2d(h, params["b.pointwise.weight"]))
    assert _params(_built(blocks.depthwise, 3, 5, multiplier=2))["b.weight"] == (6, 1, 5, 5)


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_a_bilinear_transposed_convolution_interpolates_at_first(factor):
    graph = _built(
        blocks.conv_transpose, 3, 3, 2 * factor, factor, factor // 2, init="bilinear", bias=False
    )
    x = RNG.standard_normal((1, 3, 5, 6))
    y = graph.run(graph.init(0, np.float64), x)
    expected = ns.upsample_bilinear2d(x, scale_factor=factor)
    inside = (..., slice(factor, -factor), slice(factor, -factor))  # zeros lie beyond the border
    np.testing.assert_allclose(y[inside], expected[inside], rtol=1e-12, atol=1e-12)


def test_transposed_convolutions_in_groups():
    graph = _built(blocks.conv_transpose, 4, 6, 3, 2, 1, output_padding=1, groups=2)
    assert _params(graph) == {"b.weight": (4, 3, 3, 3), "b.bias": (6,)}
    assert graph.shapes((1, 4, 5, 5))["b"] == (1, 6, 10, 10)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: _built(blocks.conv, 3, 4, groups=2), "groups = 2 does not divide 3 channels"),
        (
            lambda: _built(blocks.conv_transpose, 4, 3, groups=2),
            "groups = 2 does not divide 3 filters",
        ),
        (lambda: _built(blocks.conv, 3, 4, init="lucky"), "init must be one of 'zeros', .*'lucky'"),
        (lambda: _built(blocks.conv, 3, 4, norm="layer"), "norm must be one of 'batch_norm', "),
        (
            lambda: _built(blocks.conv, 3, 4, activation="swish"),
            "activation: numseg has no operator 'swish'",
        ),
        (lambda: _built(blocks.conv, 3, 4, 0), "kernel must be at least 1, got 0"),
    ],
)
def test_blocks_that_cannot_be(make, message):
    with pytest.raises(ns.ArgumentError, match=message):
        make()


# -- start values ---------------------------------------------------------------------------------

SHAPE = (64, 48, 3, 3)
FAN_IN, FAN_OUT = 48 * 9, 64 * 9


@pytest.mark.parametrize(
    ("init", "variance", "bound"),
    [
        ("he_normal", 2 / FAN_IN, None),
        (("kaiming_normal", {"mode": "fan_out"}), 2 / FAN_OUT, None),
        ("kaiming_uniform", 2 / FAN_IN, math.sqrt(6 / FAN_IN)),
        (("he_uniform", {"a": math.sqrt(5)}), 1 / 3 / FAN_IN, math.sqrt(1 / FAN_IN)),
        ("torch_uniform", 1 / 3 / FAN_IN, math.sqrt(1 / FAN_IN)),
        ("xavier_normal", 2 / (FAN_IN + FAN_OUT), None),
        ("glorot_uniform", 2 / (FAN_IN + FAN_OUT), math.sqrt(6 / (FAN_IN + FAN_OUT))),
        (("normal", {"std": 0.5}), 0.25, None),
    ],
)
def test_start_values_have_the_variance_of_their_papers(init, variance, bound):
    """27,648 numbers: the variance of so many is off by a hundredth or so."""
    array = initialiser(init)(SHAPE, np.random.default_rng(1))
    assert array.shape == SHAPE
    assert array.mean() == pytest.approx(0, abs=4 * math.sqrt(variance / array.size))
    assert array.var() == pytest.approx(variance, rel=0.05)
    if bound is not None:
        assert 0.99 * bound < np.abs(array).max() <= bound


def test_start_values_by_name_and_by_function():
    assert initialiser("he_normal") is he_normal is initialiser(he_normal)
    for name in INITS:
        arguments = {"value": 3.0} if name == "constant" else {}
        array = initialiser((name, arguments), fan_in=2)((4, 4, 3, 3), np.random.default_rng(0))
        assert array.shape == (4, 4, 3, 3)
    wide = initialiser("he_normal", fan_in=8)((2, 2), np.random.default_rng(0))
    np.testing.assert_array_equal(wide, he_normal((2, 2), np.random.default_rng(0), fan_in=8))


# -- torchvision's and what classifiers have -------------------------------------------------------


def test_names_of_their_own():
    graph = _built(
        blocks.conv,
        3,
        4,
        norm="batch_norm",
        norm_name="bn",
        activation="relu",
        activation_name="act",
    )
    assert [node.name for node in graph.nodes] == ["b", "bn", "act"]
    assert "bn.running_var" in _params(graph)
    graph = _built(blocks.linear, 3, 4, activation="relu", activation_name="act")
    assert [node.name for node in graph.nodes] == ["b", "act"]
    assert _params(graph) == {"b.weight": (4, 3), "b.bias": (4,)}
    assert _params(_built(blocks.linear, 3, 4, False)) == {"b.weight": (4, 3)}


@pytest.mark.parametrize(("kernel", "dilation"), [(1, 1), (3, 1), (3, 4), (5, 2)])
def test_conv_norm_act_keeps_the_size(kernel: int, dilation: int):
    graph = _built(blocks.conv_norm_act, 3, 4, kernel, dilation=dilation)
    assert [node.name for node in graph.nodes] == ["b.0", "b.1", "b.2"]
    assert graph.shapes((1, 3, 7, 10))["b.2"] == (1, 4, 7, 10)
    half = _built(blocks.conv_norm_act, 3, 4, kernel, stride=2, activation=None)
    assert [node.name for node in half.nodes] == ["b.0", "b.1"]
    assert half.shapes((1, 3, 7, 10))["b.1"] == (1, 4, 4, 5)


def test_squeeze_and_excitation_by_hand():
    """Means 2 and 4: fc1 gives 2 * 1 + 4 * -1 + 3 = 1, fc2 gives 1 * (1, -2) + (0, 3)."""
    graph = _built(blocks.squeeze_excitation, 2, 1, scale_activation="relu")
    assert [node.name for node in graph.nodes] == [
        "b.avgpool", "b.fc1", "b.activation", "b.fc2", "b.scale_activation", "b.scale",
    ]  # fmt: skip
    params = {
        "b.fc1.weight": np.array([1.0, -1.0]).reshape(1, 2, 1, 1),
        "b.fc1.bias": np.array([3.0]),
        "b.fc2.weight": np.array([1.0, -2.0]).reshape(2, 1, 1, 1),
        "b.fc2.bias": np.array([0.0, 3.0]),
    }
    x = np.array([[[[1.0, 3.0]], [[4.0, 4.0]]]])
    np.testing.assert_array_equal(graph.run(params, x), [[[[1.0, 3.0]], [[4.0, 4.0]]]])
    params["b.fc1.bias"] = np.array([4.0])  # 2, so (2, -4) + (0, 3), of which relu leaves (2, 0)
    np.testing.assert_array_equal(graph.run(params, x), [[[[2.0, 6.0]], [[0.0, 0.0]]]])


def test_means_are_rows():
    net = Graph.build()
    graph = net.output(blocks.means(net, net.input("x")))
    x = np.array([[[[1.0, 3.0]], [[4.0, 8.0]]]])
    np.testing.assert_array_equal(graph.run({}, x), [[2.0, 6.0]])


def test_dropout_of_images():
    net = Graph.build()
    graph = net.output(blocks.dropout(net, "drop", net.input("x"), 0.5, "image"))
    x = np.ones((64, 2, 3, 3), np.float32)
    y, _ = graph.forward({}, x, seed=1)
    assert set(map(tuple, y.reshape(64, -1))) == {(0.0,) * 18, (2.0,) * 18}
    np.testing.assert_array_equal(graph.run({}, x), x)


def test_strides_become_dilations():
    """Strides 2, 2, 1, 2, 2, as by hand: at output stride 4 the last two are gone."""
    for output_stride, expected in (
        (16, [(2, 1, 1), (2, 1, 1), (1, 1, 1), (2, 1, 1), (2, 1, 1)]),
        (8, [(2, 1, 1), (2, 1, 1), (1, 1, 1), (2, 1, 1), (1, 1, 2)]),
        (4, [(2, 1, 1), (2, 1, 1), (1, 1, 1), (1, 1, 2), (1, 2, 4)]),
    ):
        dilated = blocks.Dilated(output_stride)
        assert [tuple(dilated.step(stride)) for stride in (2, 2, 1, 2, 2)] == expected
    with pytest.raises(ns.ArgumentError, match="output_stride must be 4, 8, 16 or 32, got 5"):
        blocks.Dilated(5)


def test_images_are_checked_before_any_work():
    net = Graph.build()
    graph = net.output(net.add(ns.relu, blocks.image(net, 3, 4, largest=9), name="y"))
    assert graph.shapes((1, 3, 4, 9))["y"] == (1, 3, 4, 9)
    for shape, message in (
        ((1, 2, 4, 9), "x has 2 channels, but this network takes 3"),
        ((1, 3, 3, 9), "x has 3 rows, but this network takes 4 at least"),
        ((1, 3, 4, 10), "x has 10 columns, but this network takes 9 at most"),
        ((3, 4, 4), "x has shape"),
    ):
        with pytest.raises(ns.ArgumentError, match=message):
            graph.shapes(shape)


# -- networks -------------------------------------------------------------------------------------


def resnet_like(in_channels, classes):
    """A stem, two residual blocks, the second at half the size by a projection; and back up."""
    net = Graph.build()
    usual = {"norm": "batch_norm", "init": ("kaiming_normal", {"mode": "fan_out"})}

    def residual(name, x, channels, filters, stride):
        h = blocks.conv(
            net, f"{name}.conv1", x, channels, filters, 3, 1, stride=stride,
            activation="relu", **usual,
        )  # fmt: skip
        h = blocks.conv(net, f"{name}.conv2", h, filters, filters, 3, 1, **usual)
        if stride > 1 or channels != filters:
            x = blocks.conv(
                net, f"{name}.downsample", x, channels, filters, 1, stride=stride, **usual
            )
        return blocks.activate(net, f"{name}.relu", net.add(ns.add, h, x, name=f"{name}.add"))

    x = net.input("x")
    h = blocks.conv(net, "stem", x, in_channels, 4, 7, 3, stride=2, activation="relu", **usual)
    h = net.add(ns.max_pool2d, h, 3, 2, 1, name="pool")
    h = residual("layer1", h, 4, 4, 1)
    h = residual("layer2", h, 4, 8, 2)
    h = blocks.conv(net, "score", h, 8, classes, 1)
    up = {"init": "bilinear", "bias": False, "groups": classes}
    return net.output(blocks.conv_transpose(net, "up", h, classes, classes, 16, 8, 4, **up))


def mobilenet_like(in_channels, classes):
    """V1's separable block, V2's inverted residual, and a dilated one."""
    net = Graph.build()
    usual = {"norm": "batch_norm", "activation": "hard_swish"}
    linear = {"norm": "batch_norm"}
    h = blocks.conv(net, "stem", net.input("x"), in_channels, 4, 3, 1, stride=2, **usual)
    h = blocks.separable(net, "block1", h, 4, 6, 3, 1, **usual)
    wide = blocks.conv(net, "block2.expand", h, 6, 12, 1, **usual)
    wide = blocks.depthwise(net, "block2.depthwise", wide, 12, 3, padding=1, **usual)
    narrow = blocks.conv(net, "block2.project", wide, 12, 6, 1, **linear)
    h = net.add(ns.add, h, narrow, name="block2.add")
    h = blocks.separable(net, "block3", h, 6, 8, 3, "same", dilation=2, **usual)
    h = blocks.conv(net, "head", h, 8, classes, 1)
    return net.output(net.add(ns.upsample_bilinear2d, h, scale_factor=2, name="up"))


NETWORKS = {"resnet": (resnet_like, 16), "mobilenet": (mobilenet_like, 12)}
each_network = pytest.mark.parametrize(("make", "size"), NETWORKS.values(), ids=NETWORKS)


@each_network
def test_networks_of_blocks_run_and_have_gradients(make, size):
    graph = make(3, 5)
    params = graph.init(1, np.float64)
    x = np.random.default_rng(2).normal(size=(2, 3, size, size))
    assert graph.run(params, x).shape == (2, 5, size, size)
    names = graph.trainable

    def forward(*arrays):
        return graph.forward(params | dict(zip(names, arrays, strict=True)), x)

    def backward(tape, grad_y):
        grads = graph.backward(tape, grad_y, needs=names)
        return [grads[name] for name in names]

    report = ns.gradcheck(
        (forward, backward), [params[name] for name in names], directions=2, jacobian=0
    )
    assert report, report


@each_network
def test_networks_of_blocks_learn(make, size):
    labels = np.zeros((size, size), np.uint8)
    labels[:, size // 2 :] = 1
    samples = [Sample(labels[None] * np.uint8(200) + np.uint8(20), labels, "halves")]
    halves = Dataset(samples, ("left", "right"))
    sampling = Sampling(crop=size, batch=4, repeat=40, flip=False)
    trained = train(make(1, 2), halves, halves, Recipe(epochs=2, lr=2e-2, sampling=sampling))
    assert trained.history[1]["loss"] < trained.history[0]["loss"]
    assert trained.history[-1]["mean_iou"] > 0.9
    assert predict(make(1, 2), trained.params, samples[0].image).shape == (size, size)


def test_a_folded_network_of_blocks():
    graph = mobilenet_like(3, 5)
    params = graph.init(1)
    folded, arrays = graph.folded(params)
    assert not any(node.operator is ns.batch_norm for node in folded.nodes)
    x = np.random.default_rng(2).standard_normal((1, 3, 12, 12)).astype(np.float32)
    np.testing.assert_allclose(folded.run(arrays, x), graph.run(params, x), rtol=1e-4, atol=1e-5)
