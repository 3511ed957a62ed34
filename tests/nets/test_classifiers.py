"""AlexNet, DenseNet, EfficientNet, GoogLeNet, SE-ResNet, a deformable ResNet: totals, the papers'
sizes, refusals, gradients. VGG and ResNet, on which others are built, have files of their own."""

from __future__ import annotations

import re

import numpy as np
import pytest
import whole

import numseg as ns
from numseg import nets
from numseg.graph import Graph, digest
from numseg.nets import blocks
from numseg.nets.backbones import densenet, efficientnet, resnet

TOTALS = {
    "alexnet": 61_100_840,
    "densenet121": 7_978_856,
    "efficientnet_b0": 5_288_548,
    "googlenet": 6_624_904,
    "se_resnet50": 28_088_024,
    # three more convolutions, 3 x 3, of 512 channels, with 18 filters and biases
    "deformable_resnet50": 25_557_032 + 3 * (18 * 512 * 9 + 18),
}


@pytest.mark.parametrize(("name", "total"), TOTALS.items())
def test_totals(name: str, total: int):
    assert whole.learned(getattr(nets, name)()) == total


def test_totals_of_what_is_added():
    # GoogLeNet's heads: 1 x 1 to 128 with a norm, 2048 > 1024 > 1000
    heads = sum(c * 128 + 2 * 128 for c in (512, 528)) + 2 * (2049 * 1024 + 1025 * 1000)
    assert whole.learned(nets.googlenet(aux=True)) == 6_624_904 + heads
    constant = nets.googlenet(transform_input=True)
    assert whole.learned(constant) == 6_624_904
    # v2 in three layers: 4, 6 and 3 units of 128, 256 and 512 channels, 27 numbers for each pixel
    extra = sum(units * 27 * (9 * c + 1) for units, c in ((4, 128), (6, 256), (3, 512)))
    graph = nets.deformable_resnet50(layers=3, modulated=True)
    assert whole.learned(graph) == 25_557_032 + extra
    assert whole.learned(nets.deformable_resnet50(layers=0)) == 25_557_032


def test_totals_of_the_papers():
    assert whole.learned(nets.alexnet(variant="paper")) == 60_965_224
    assert whole.learned(nets.googlenet(variant="paper")) == 6_998_552
    assert whole.learned(nets.googlenet(variant="paper", aux=True)) == 13_378_280


def test_the_papers_variants():
    graph = nets.alexnet(variant="paper")
    shapes = graph.shapes((1, 3, 227, 227))
    # figure 2 of the paper, both GPUs together
    sizes = {"conv1": (96, 55), "conv2": (256, 27), "conv3": (384, 13), "pool5": (256, 6)}
    for node, (channels, side) in sizes.items():
        assert shapes[node] == (1, channels, side, side), node
    assert shapes["fc7"] == (1, 4096)
    groups = {node.name: dict(node.attributes).get("groups") for node in graph.nodes}
    assert [groups[f"conv{j}"] for j in range(1, 6)] == [1, 2, 1, 2, 2]
    names = [node.name for node in graph.nodes]
    assert names[:8] == ["conv1", "relu1", "norm1", "pool1", "conv2", "relu2", "norm2", "pool2"]

    graph = nets.googlenet(variant="paper", aux=True)
    shapes = graph.shapes((1, 3, 224, 224))
    sizes = {
        "pool1/norm1": (64, 56), "conv2/norm2": (192, 56), "inception_3a/output": (256, 28),
        "inception_4e/output": (832, 14), "inception_5b/output": (1024, 7),
        "loss1/ave_pool": (512, 4), "loss2/ave_pool": (528, 4),
    }  # fmt: skip
    for node, (channels, side) in sizes.items():
        assert shapes[node] == (1, channels, side, side), node
    kernels = {p.name: p.shape[2] for p in graph.params if len(p.shape) == 4}
    assert kernels["inception_3a/5x5.weight"] == 5
    assert [v.source for v in graph.outputs] == [f"loss{j}/classifier" for j in (3, 2, 1)]


def test_sizes_of_the_papers_variants():
    """6 x 6 pixels, or 4 x 4 means, are left for linear layers: as many sizes as do that."""
    for make, smallest, largest in (
        (lambda: nets.alexnet(3, 2, width=6, variant="paper"), 199, 230),
        (lambda: nets.googlenet(3, 2, width=0.02, variant="paper", aux=True), 191, 238),
    ):
        graph = make()
        for size, good in (
            (smallest - 1, False), (smallest, True), (largest, True), (largest + 1, False),
        ):  # fmt: skip
            shape = (1, 3, size, largest)
            if good:
                graph.shapes(shape)
                continue
            word = f"{smallest} at least" if size < smallest else f"{largest} at most"
            with pytest.raises(ns.ArgumentError, match=f"x has {size} rows, .* takes {word}"):
                graph.shapes(shape)
            with pytest.raises(ns.ArgumentError):
                whole.plan_unchecked(graph, shape)


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("googlenet", {
            "conv1.relu": (64, 112), "maxpool1": (64, 56), "conv3.relu": (192, 56),
            "maxpool2": (192, 28), "inception3a": (256, 28), "inception3b": (480, 28),
            "maxpool3": (480, 14), "inception4a": (512, 14), "inception4d": (528, 14),
            "inception4e": (832, 14), "maxpool4": (832, 7), "inception5b": (1024, 7),
        }),
        ("densenet121", {
            "features.pool0": (64, 56), "features.denseblock1.denselayer6.concat": (256, 56),
            "features.transition1.pool": (128, 28), "features.transition2.pool": (256, 14),
            "features.transition3.pool": (512, 7), "features.norm5": (1024, 7),
        }),
        ("efficientnet_b0", {
            "features.0.2": (32, 112), "features.1.0.block.2.1": (16, 112),
            "features.2.1.add": (24, 56), "features.3.1.add": (40, 28),
            "features.4.2.add": (80, 14), "features.5.2.add": (112, 14),
            "features.6.3.add": (192, 7), "features.8.2": (1280, 7),
        }),
        ("alexnet", {"features.0": (64, 55), "features.3": (192, 27), "features.12": (256, 6)}),
    ],
)  # fmt: skip
def test_the_papers_sizes(name: str, sizes: dict[str, tuple[int, int]]):
    shapes = getattr(nets, name)().shapes((1, 3, 224, 224))
    for node, (channels, side) in sizes.items():
        assert shapes[node] == (1, channels, side, side), node


def test_smallest_sizes():
    """One pixel less, and a pooling would have no window."""
    for make, smallest in (
        (lambda: nets.alexnet(3, 2, width=1), 63),
        (lambda: nets.densenet121(3, 2, growth_rate=1), 29),
        (lambda: nets.googlenet(3, 2, width=0.02), 15),
        (lambda: nets.googlenet(3, 2, width=0.02, variant="paper"), 31),
        (lambda: nets.efficientnet_b0(3, 2, width=0.1), 1),
    ):
        graph = make()
        (output,) = (value.source for value in graph.outputs)
        assert graph.shapes((1, 3, smallest, smallest + 9))[output] == (1, 2)
        with pytest.raises(ns.ArgumentError):
            whole.plan_unchecked(graph, (1, 3, smallest - 1, smallest))
        message = f"x has {smallest - 1} rows, but this network takes {smallest} at least"
        with pytest.raises(ns.ArgumentError, match=message):
            graph.shapes((1, 3, smallest - 1, smallest))


def test_auxiliary_classifiers_vanish():
    both = nets.googlenet(3, 4, aux=True, width=0.05)
    assert [value.source for value in both.outputs] == ["fc", "aux2.fc2", "aux1.fc2"]
    assert digest(both.at("fc")) == digest(nets.googlenet(3, 4, width=0.05))


def test_googlenet_takes_what_others_are_given():
    """By hand: 0.485 is ImageNet's mean, a grey of 0 after its normalisation; (0.485 - 0.5) / 0.5
    in [-1, 1]. One deviation more is 0.229 / 0.5."""
    graph = nets.googlenet(3, 2, width=0.02, transform_input=True).at("transform_input")
    params = graph.init(dtype=np.float64)
    assert sorted(params) == ["transform_input.bias", "transform_input.weight"]
    assert graph.trainable == ()
    x = np.zeros((1, 3, 31, 31))
    x[0, :, 1, 0] = 1
    y = graph.run(params, x)
    np.testing.assert_allclose(y[0, :, 0, 0], [-0.03, -0.088, -0.188], rtol=1e-12)
    np.testing.assert_allclose(y[0, :, 1, 0] - y[0, :, 0, 0], [0.458, 0.448, 0.45], rtol=1e-12)
    with pytest.raises(ns.ArgumentError, match="transform_input is for images of 3 channels"):
        nets.googlenet(1, 2, transform_input=True)


def test_deformable_at_first_is_a_resnet():
    """Offsets are zero at the start."""
    plain, deformable = (make(3, 4, width=4) for make in (nets.resnet50, nets.deformable_resnet50))
    params, x = deformable.init(1, np.float64), whole.image(40)
    y = plain.run({param.name: params[param.name] for param in plain.params}, x)
    np.testing.assert_allclose(deformable.run(params, x), y, rtol=0, atol=1e-10 * np.abs(y).max())


def test_features_give_every_stage():
    for features, arguments, channels in (
        (densenet.features, {"growth_rate": 2, "layers": (1, 2, 1)}, [6, 7, 5]),
        (efficientnet.features, {"width": 0.25}, [8, 8, 8, 16, 24, 32, 48, 80, 320]),
    ):
        net = Graph.build()
        stages = features(net, blocks.Stage(blocks.image(net, 3), 3), **arguments)
        assert [stage.channels for stage in stages] == channels
        shapes = net.output(*(stage.value for stage in stages)).shapes((1, 3, 64, 64))
        assert [shapes[stage.value.source][1] for stage in stages] == channels


def test_wrong_arguments():
    for call, message in (
        (lambda: nets.alexnet(variant="caffe"), "variant must be one of 'torchvision', 'paper'"),
        (lambda: nets.alexnet(width=0), "width must be at least 1, got 0"),
        (lambda: nets.densenet121(growth_rate=0), "growth_rate must be at least 1, got 0"),
        (lambda: nets.googlenet(aux=2), "aux must be True or False, got 2"),
        (lambda: nets.efficientnet_b0(width=-1.0), "width must be"),
        (lambda: nets.se_resnet50(reduction=0), "reduction must be at least 1, got 0"),
        (lambda: nets.deformable_resnet50(layers=5), "layers must be at most 4, got 5"),
    ):
        with pytest.raises(ns.ArgumentError, match=re.escape(message)):
            call()


def test_stochastic_depth_rises():
    """16 blocks; those whose shape stays can be left out, with 0.2 * (blocks before) / 16."""
    found = {n.name: dict(n.attributes) for n in nets.efficientnet_b0(3, 2).nodes}
    depth = {name: a for name, a in found.items() if name.endswith(".stochastic_depth")}
    assert {a["unit"] for a in depth.values()} == {"image"}
    before = [2, 4, 6, 7, 9, 10, 12, 13, 14]
    assert [a["p"] for a in depth.values()] == pytest.approx([0.2 * j / 16 for j in before])
    none = nets.efficientnet_b0(3, 2, width=0.1, dropout=0.0, stochastic_depth=0.0)
    assert not any("p" in dict(node.attributes) for node in none.nodes)


def deformable(modulated):
    units = resnet.bottleneck(middle=resnet_middle(modulated))
    return resnet.classifier(units, (1, 1, 1, 1), 3, 4, width=2, output_stride=8)


def resnet_middle(modulated):
    from numseg.nets.backbones.deformable_resnet import layer

    return lambda *args, **kwargs: layer(2, modulated, *args, **kwargs)


SMALL = {
    "alexnet": (lambda: nets.alexnet(3, 4, width=4, dropout=0.0), 63),
    "alexnet, paper": (lambda: nets.alexnet(3, 4, width=6, dropout=0.0, variant="paper"), 199),
    "googlenet, paper": (lambda: nets.googlenet(3, 4, width=0.1, variant="paper"), 53),
    "densenet": (lambda: nets.densenet121(3, 4, growth_rate=2), 65),
    "efficientnet": (lambda: nets.efficientnet_b0(3, 4, width=0.1, dropout=0.0), 33),
    "googlenet": (lambda: nets.googlenet(3, 4, aux=True, width=0.05, transform_input=True), 35),
    "se": (lambda: nets.se_resnet50(3, 4, width=2), 33),
    "deformable": (lambda: deformable(False), 20),
    "modulated": (lambda: deformable(True), 20),
}


@pytest.mark.parametrize("which", ["alexnet, paper", "googlenet", "deformable", "modulated"])
def test_gradients_of_variants_agree_with_differences(which: str):
    make, size = SMALL[which]
    whole.check_gradients(make(), whole.image((size, size + 2)))


@pytest.mark.parametrize("which", SMALL)
def test_definitions_agree(which: str):
    make, size = SMALL[which]
    whole.check_reference(make(), whole.image((size, size + 2)))
