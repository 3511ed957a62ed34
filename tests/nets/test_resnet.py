"""ResNet: totals, sizes, where strides and dilations are, gradients."""

from __future__ import annotations

import re

import pytest
import whole

import numseg as ns
from numseg import nets
from numseg.graph import Graph
from numseg.nets import blocks
from numseg.nets.backbones import resnet

TOTALS = {
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
}


@pytest.mark.parametrize(("name", "total"), TOTALS.items())
def test_totals(name: str, total: int):
    graph = getattr(nets, name)()
    assert whole.learned(graph) == total
    assert graph.shapes((1, 3, 224, 224))["fc"] == (1, 1000)


def test_the_paper_s_sizes():
    """Table 1 of the paper."""
    shapes = nets.resnet50().shapes((1, 3, 224, 224))
    sizes = {"relu": 112, "maxpool": 56, "layer1.2": 56, "layer2.3": 28, "layer3.5": 14}
    for name, size in sizes.items():
        node = name if name in shapes else f"{name}.relu"
        assert shapes[node][2:] == (size, size)
    assert shapes["layer4.2.relu"] == (1, 2048, 7, 7)
    assert shapes["layer2.0.conv1"] == (1, 128, 56, 56)  # the stride is on the 3 x 3
    assert nets.resnet50(variant="paper").shapes((1, 3, 224, 224))["layer2.0.conv1"][2:] == (28, 28)


def dilations(graph, layer):
    """(stride, dilation) of the 3 x 3 convolution of each unit."""
    found = {node.name: dict(node.attributes) for node in graph.nodes}
    convs = [a for n, a in found.items() if re.fullmatch(rf"{layer}\.\d+\.conv2", n)]
    return [(a["stride"], a["dilation"]) for a in convs]


def test_strides_become_dilations():
    """Values from reading torchvision's rule by hand: replace_stride_with_dilation=[0, 1, 1]."""
    graph = nets.resnet50(width=2, output_stride=8)
    assert dilations(graph, "layer2") == [(2, 1), (1, 1), (1, 1), (1, 1)]
    assert dilations(graph, "layer3") == [(1, 1)] + [(1, 2)] * 5
    assert dilations(graph, "layer4") == [(1, 2), (1, 4), (1, 4)]
    graph = nets.resnet50(width=2, output_stride=16)
    assert dilations(graph, "layer3") == [(2, 1)] + [(1, 1)] * 5
    assert dilations(graph, "layer4") == [(1, 1), (1, 2), (1, 2)]
    # DeepLab v3, section 4.2.2: rates 2 * (1, 2, 4), the stride before the first 3 x 3
    graph = nets.resnet50(width=2, output_stride=16, multi_grid=(1, 2, 4), variant="paper")
    assert dilations(graph, "layer4") == [(1, 2), (1, 4), (1, 8)]
    for stride, side in ((32, 3), (16, 5), (8, 9), (4, 17)):
        graph = nets.resnet50(width=2, output_stride=stride)
        assert graph.shapes((1, 3, 65, 65))["layer4.2.relu"][2:] == (side, side)


def test_dilation_reads_the_same_pixels():
    """Every second pixel of a dilated network is a pixel of the other one, but at the borders,
    where there are more zeros; here, without padding's reach, in the middle."""
    for variant in ("torchvision", "paper"):
        wide = nets.resnet50(width=2, output_stride=32, variant=variant)
        dense = nets.resnet50(width=2, output_stride=8, variant=variant)
        shape = (1, 3, 1024, 64)
        fields = [g.receptive_field("layer4.2.conv3", shape).rows for g in (wide, dense)]
        middle = slice(12, 20)
        assert (fields[0][middle] == fields[1][::4][middle]).all()


def test_names_are_torchvision_s():
    graph = nets.resnet18(width=2)
    names = {param.name for param in graph.params}
    assert {"conv1.weight", "bn1.running_var", "layer2.0.downsample.1.bias", "fc.bias"} <= names
    assert "layer1.0.downsample.0.weight" not in names
    assert "layer1.0.downsample.0.weight" in {param.name for param in nets.resnet50().params}


def test_features_give_every_stage():
    net = Graph.build()
    x = blocks.Stage(blocks.image(net, 2), 2)
    stages = resnet.features(net, x, resnet.bottleneck(), (1, 1, 1, 1), width=4, prefix="backbone.")
    assert {name: stage.channels for name, stage in stages.items()} == {
        "relu": 4, "maxpool": 4, "layer1": 16, "layer2": 32, "layer3": 64, "layer4": 128,
    }  # fmt: skip
    shapes = net.output(*(stage.value for stage in stages.values())).shapes((1, 2, 64, 96))
    assert shapes["backbone.relu"] == (1, 4, 32, 48)
    assert shapes["backbone.layer3.0.relu"] == (1, 64, 4, 6)


def test_wrong_arguments():
    for call, message in (
        (lambda: nets.resnet50(output_stride=12), "output_stride must be 4, 8, 16 or 32, got 12"),
        (
            lambda: nets.resnet50(multi_grid=(1, 2)),
            "multi_grid holds 2 factors, but layer4 has 3 units",
        ),
        (lambda: nets.resnet50(multi_grid=(1, 0, 2)), "multi_grid[1] must be at least 1, got 0"),
        (lambda: nets.resnet50(variant="v1"), "variant must be one of 'torchvision', 'paper'"),
        (lambda: nets.resnet18(width=0), "width must be at least 1, got 0"),
        (lambda: nets.resnet18(0), "in_channels must be at least 1, got 0"),
        (lambda: nets.resnet18(3, 0), "classes must be at least 1, got 0"),
        (
            lambda: nets.resnet18(width=1).shapes((1, 1, 8, 8)),
            "x has 1 channels, but this network takes 3",
        ),
        (
            lambda: nets.resnet18(width=1).shapes((1, 3, 8, 0)),
            "x has 0 columns, but this network takes 1 at least",
        ),
        (
            lambda: resnet.classifier(
                resnet.basic(), (1, 1, 1, 1), 3, 2, width=1, output_stride=16
            ),
            "a basic block is not dilated: output_stride must be 32",
        ),
    ):
        with pytest.raises(ns.ArgumentError, match=re.escape(message)):
            call()


SMALL = {
    "basic": lambda: nets.resnet18(3, 5, width=2),
    "torchvision": lambda: resnet.classifier(resnet.bottleneck(), (1, 2, 1, 1), 3, 5, width=2),
    "paper": lambda: resnet.classifier(
        resnet.bottleneck("paper"), (1, 1, 1, 2), 3, 5, width=2, output_stride=8, multi_grid=(1, 2)
    ),
}


@pytest.mark.parametrize("which", SMALL)
def test_gradients_agree_with_differences(which: str):
    whole.check_gradients(SMALL[which](), whole.image((33, 35)))


@pytest.mark.parametrize("which", SMALL)
def test_definitions_agree(which: str):
    whole.check_reference(SMALL[which](), whole.image((33, 35)))
