"""MobileNetV2 and V3, and the segmentation networks on V3."""

from __future__ import annotations

import re

import pytest
import whole

import numseg as ns
from numseg import nets
from numseg.graph import Graph, digest
from numseg.nets import blocks
from numseg.nets.backbones import mobilenet_v2, mobilenet_v3


def test_totals():
    assert whole.learned(nets.mobilenet_v2()) == 3_504_872
    assert whole.learned(nets.mobilenet_v3_large()) == 5_483_032
    assert whole.learned(nets.deeplabv3_mobilenet_v3_large(aux=True)) == 11_029_328
    assert whole.learned(nets.lraspp_mobilenet_v3_large()) == 3_221_538


def test_channels_are_multiples():
    """By hand: 12 > 16 (halves go up), 11 > 8 is less than 0.9 * 11, so 16."""
    assert [blocks.divisible(c) for c in (1, 8, 11, 12, 19, 20, 24, 100)] == [
        8, 8, 16, 16, 24, 24, 24, 104,
    ]  # fmt: skip


def test_the_papers_sizes():
    shapes = nets.mobilenet_v2().shapes((1, 3, 224, 224))  # table 2
    sizes = {0: (32, 112), 1: (16, 112), 3: (24, 56), 6: (32, 28), 10: (64, 14), 13: (96, 14)}
    for number, (channels, side) in {**sizes, 16: (160, 7), 17: (320, 7)}.items():
        ends = [n for n in shapes if n.startswith(f"features.{number}.")]
        assert shapes[ends[-1]] == (1, channels, side, side)
    shapes = nets.mobilenet_v3_large().shapes((1, 3, 224, 224))  # table 1
    sizes = {1: (16, 112), 3: (24, 56), 6: (40, 28), 7: (80, 14), 12: (112, 14), 15: (160, 7)}
    for number, (channels, side) in sizes.items():
        ends = [n for n in shapes if n.startswith(f"features.{number}.")]
        assert shapes[ends[-1]] == (1, channels, side, side)


def dilations(graph, pattern):
    found = {node.name: dict(node.attributes) for node in graph.nodes}
    return [
        (a["stride"], a["dilation"])
        for name, a in found.items()
        if re.fullmatch(pattern, name) and a.get("groups", 1) > 1
    ]


def test_strides_become_dilations():
    """V2 by DeepLab's rule, a convolution is dilated by what is gone before it; V3 by torchvision's
    own, which dilates the one that has lost its stride too."""
    v2 = dilations(nets.mobilenet_v2(width=0.1, output_stride=8), r"features\.\d+\.conv\.\d\.0")
    assert v2[:6] == [(1, 1), (2, 1), (1, 1), (2, 1), (1, 1), (1, 1)]  # features 1 to 6
    assert v2[6:] == [(1, 1)] + [(1, 2)] * 7 + [(1, 4)] * 3
    pattern = r"features\.1[345]\.block\.1\.0"
    v3 = nets.mobilenet_v3_large(width=0.1)
    assert dilations(v3, pattern) == [(2, 1), (1, 1), (1, 1)]
    v3 = nets.mobilenet_v3_large(width=0.1, output_stride=16)
    assert dilations(v3, pattern) == [(1, 2)] * 3


def test_a_stride_that_is_gone_adds_no_residual():
    """At this width, the strided blocks have as many channels as what goes in."""
    for make in (nets.mobilenet_v2, nets.mobilenet_v3_large):
        usual, dilated = make(width=0.1), make(width=0.1, output_stride=16)
        assert [node.name for node in usual.nodes] == [node.name for node in dilated.nodes]


def test_stages():
    for features, count in ((mobilenet_v2.features, 19), (mobilenet_v3.features, 17)):
        net = Graph.build()
        x = blocks.Stage(blocks.image(net, 3), 3)
        stages = features(net, x, width=0.1, name="backbone")
        assert len(stages) == count
        plans = net.output(*(stage.value for stage in stages)).shapes((1, 3, 32, 32))
        for stage in stages:
            assert plans[stage.value.source][1] == stage.channels


def test_the_auxiliary_head_vanishes():
    both = nets.deeplabv3_mobilenet_v3_large(aux=True, width=0.1)
    assert digest(both.at("out")) == digest(nets.deeplabv3_mobilenet_v3_large(width=0.1))


def test_wrong_arguments():
    for call, message in (
        (lambda: nets.mobilenet_v2(width=0.0), "width must be"),
        (lambda: nets.mobilenet_v2(output_stride=2), "output_stride must be 4, 8, 16 or 32, got 2"),
        (lambda: nets.mobilenet_v3_large(output_stride=8), "output_stride must be 16 or 32, got 8"),
        (lambda: nets.lraspp_mobilenet_v3_large(3, 0), "classes must be at least 1, got 0"),
    ):
        with pytest.raises(ns.ArgumentError, match=re.escape(message)):
            call()


@pytest.mark.parametrize("size", [32, 96, 256])
def test_every_pixel_of_lraspp_reads_the_whole_image(size: int):
    """By its gates, and what layers read beyond the borders."""
    graph = nets.lraspp_mobilenet_v3_large(width=0.05)
    field = graph.receptive_field("out", (1, 3, size, size))
    assert field.size == (size + 659, size + 659)
    assert field.rows.shape == (size, 2)
    assert field.rows[:, 0].max() < 0
    assert field.rows[:, 1].min() >= size


SMALL = {
    "mobilenet_v2": lambda: nets.mobilenet_v2(3, 5, width=0.1, dropout=0.0),
    "mobilenet_v3_large": lambda: nets.mobilenet_v3_large(3, 5, width=0.05, dropout=0.0),
    "deeplabv3": lambda: nets.deeplabv3_mobilenet_v3_large(3, 4, aux=True, width=0.02),
    "lraspp": lambda: nets.lraspp_mobilenet_v3_large(3, 4, width=0.05),
}


@pytest.mark.parametrize("which", SMALL)
def test_definitions_agree(which: str):
    whole.check_reference(SMALL[which](), whole.image((33, 35)))
