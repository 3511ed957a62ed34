"""DeepLab v3: totals, the paper's rates, torchvision's, gradients."""

from __future__ import annotations

import re

import pytest
import whole

import numseg as ns
from numseg import nets
from numseg.graph import digest


def test_totals():
    assert whole.learned(nets.deeplabv3_resnet50(aux=True)) == 42_004_074
    assert whole.learned(nets.deeplabv3_resnet50()) == 39_638_869
    assert whole.learned(nets.deeplabv3_resnet101(aux=True)) == 60_996_202
    # the paper's has no 3 x 3 convolution after the pyramid, its norm neither
    paper = whole.learned(nets.deeplabv3_resnet50(variant="paper"))
    assert paper == 39_638_869 - 9 * 256 * 256 - 2 * 256


def rates(graph):
    """The dilations of all 3 x 3 convolutions in layer4 and in the pyramid."""
    found = {node.name: dict(node.attributes).get("dilation") for node in graph.nodes}
    layer4 = [r for n, r in found.items() if re.fullmatch(r"backbone\.layer4\.\d\.conv2", n)]
    pyramid = [r for n, r in found.items() if re.fullmatch(r"classifier\.0\.convs\.[123]\.0", n)]
    return layer4, pyramid


def test_rates():
    assert rates(nets.deeplabv3_resnet50(width=1)) == ([2, 4, 4], [12, 24, 36])
    paper = nets.deeplabv3_resnet50(width=1, variant="paper")
    assert rates(paper) == ([2, 4, 8], [6, 12, 18])  # sections 4.2.2 and 4.2.3
    dense = nets.deeplabv3_resnet50(width=1, variant="paper", output_stride=8)
    assert rates(dense) == ([4, 8, 16], [12, 24, 36])  # table 5
    own = nets.deeplabv3_resnet50(width=1, rates=(2, 3, 4), multi_grid=(1, 1, 3))
    assert rates(own) == ([2, 4, 12], [2, 3, 4])


def test_sizes():
    shapes = nets.deeplabv3_resnet50(variant="paper").shapes((1, 3, 513, 513))
    assert shapes["classifier.0.convs.4.0"] == (1, 2048, 1, 1)
    assert shapes["classifier.0.concat"] == (1, 1280, 33, 33)
    assert shapes["classifier.1"] == (1, 21, 33, 33)
    assert shapes["out"] == (1, 21, 513, 513)
    shapes = nets.deeplabv3_resnet50().shapes((1, 3, 65, 97))
    assert shapes["classifier.4"] == (1, 21, 9, 13)


def test_the_auxiliary_head_vanishes():
    both, one = nets.deeplabv3_resnet50(aux=True, width=2), nets.deeplabv3_resnet50(width=2)
    assert digest(both.at("out")) == digest(one)


def test_dropout():
    def found(**arguments):
        graph = nets.deeplabv3_resnet50(aux=True, width=1, **arguments)
        attributes = {node.name: dict(node.attributes) for node in graph.nodes}
        return {name: a["p"] for name, a in attributes.items() if "p" in a}

    main, aux = "classifier.0.project.3", "aux_classifier.3"
    assert found() == {main: 0.5, aux: 0.1}
    assert found(variant="paper") == {aux: 0.1}
    assert found(dropout=0.25) == {main: 0.25, aux: 0.25}


def test_wrong_arguments():
    for arguments, message in (
        ({"variant": "v3"}, "variant must be one of 'torchvision', 'paper', got 'v3'"),
        ({"output_stride": 6}, "output_stride must be 4, 8, 16 or 32, got 6"),
        ({"rates": (6, 0)}, "rates[1] must be at least 1, got 0"),
        ({"aux": 1}, "aux must be True or False, got 1"),
        ({"classes": 0}, "classes must be at least 1, got 0"),
    ):
        with pytest.raises(ns.ArgumentError, match=re.escape(message)):
            nets.deeplabv3_resnet50(**{"width": 1, **arguments})


@pytest.mark.parametrize("variant", ["torchvision", "paper"])
def test_definitions_agree(variant: str):
    graph = nets.deeplabv3_resnet50(3, 4, aux=True, width=1, variant=variant)
    whole.check_reference(graph, whole.image((17, 19), batch=3))
