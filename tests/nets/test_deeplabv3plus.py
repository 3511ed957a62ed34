"""Xception-65 and DeepLab v3+: totals, names, sizes, where strides became dilations, gradients."""

from __future__ import annotations

import re

import pytest
import whole

import numseg as ns
from numseg import nets
from numseg.nets import deeplabv3plus_xception65, xception65


def separable(c: int, f: int) -> int:
    """3 x 3 of each channel, 1 x 1, and the scales and shifts of two norms."""
    return 9 * c + 2 * c + c * f + 2 * f


def conv(c: int, f: int, kernel: int = 1) -> int:
    return kernel**2 * c * f + 2 * f


def test_totals_by_hand():
    entry = conv(3, 32, 3) + conv(32, 64, 3)
    for c, f in ((64, 128), (128, 256), (256, 728)):
        entry += separable(c, f) + 2 * separable(f, f) + conv(c, f)
    middle = 16 * 3 * separable(728, 728)
    leaving = separable(728, 728) + separable(728, 1024) + separable(1024, 1024) + conv(728, 1024)
    leaving += separable(1024, 1536) + separable(1536, 1536) + separable(1536, 2048)
    features = entry + middle + leaving
    assert whole.learned(xception65()) == features + 2048 * 1000 + 1000 == 39_916_312
    pyramid = 2 * conv(2048, 256) + 3 * separable(2048, 256) + conv(5 * 256, 256)
    decoder = conv(256, 48) + separable(304, 256) + separable(256, 256) + 256 * 21 + 21
    graph = deeplabv3plus_xception65()
    assert whole.learned(graph) == features + pyramid + decoder == 41_055_413
    # what keras-deeplab-v3-plus counts of the authors' network, with its running statistics
    assert sum(param.size for param in graph.params) == 41_258_213


def test_names():
    shapes = {param.name: param.shape for param in deeplabv3plus_xception65().params}
    assert shapes["entry_flow.conv1_1.weight"] == (32, 3, 3, 3)
    assert shapes["entry_flow.conv1_1.norm.running_var"] == (32,)
    assert shapes["entry_flow.block3.separable_conv3.depthwise.weight"] == (728, 1, 3, 3)
    assert shapes["entry_flow.block1.shortcut.weight"] == (128, 64, 1, 1)
    assert shapes["middle_flow.unit16.separable_conv3.pointwise.norm.bias"] == (728,)
    assert shapes["exit_flow.block2.separable_conv3.pointwise.weight"] == (2048, 1536, 1, 1)
    assert "exit_flow.block2.shortcut.weight" not in shapes
    assert shapes["aspp3.depthwise.weight"] == (2048, 1, 3, 3)
    assert shapes["image_pooling.weight"] == (256, 2048, 1, 1)
    assert shapes["concat_projection.weight"] == (256, 1280, 1, 1)
    assert shapes["decoder.feature_projection0.weight"] == (48, 256, 1, 1)
    assert shapes["decoder.decoder_conv0.pointwise.weight"] == (256, 304, 1, 1)
    biases = {name for name in shapes if name.endswith(".bias") and ".norm." not in name}
    assert biases == {"logits.bias"}  # a norm takes the others away


@pytest.mark.parametrize(("stride", "side"), [(32, 17), (16, 33), (8, 65), (4, 129)])
def test_sizes(stride: int, side: int):
    shapes = deeplabv3plus_xception65(width=1, middle=1, output_stride=stride).shapes(
        (1, 3, 513, 513)
    )
    assert shapes["entry_flow.block2.separable_conv2.pointwise"][2:] == (129, 129)
    assert shapes["concat_projection"] == (1, 8, side, side)
    assert shapes["decoder.concat"][2:] == (129, 129)
    assert shapes["upscore"] == (1, 21, 513, 513)


def test_any_size():
    graph = deeplabv3plus_xception65(1, 2, width=1, middle=1)
    for size in ((1, 1), (7, 30), (64, 65), (100, 17)):
        assert graph.shapes((1, 1, *size))["upscore"] == (1, 2, *size)


def geometry(graph, name: str):
    found = {node.name: dict(node.attributes) for node in graph.nodes}
    return [
        (found[f"{name}.separable_conv{j}.depthwise"]["stride"],
         found[f"{name}.separable_conv{j}.depthwise"]["dilation"]) for j in (1, 2, 3)
    ]  # fmt: skip


def test_strides_become_dilations():
    """By the authors' rule: a stride that is gone dilates what comes after its block."""
    plain, strided, last = [(1, 1)] * 3, [(1, 1), (1, 1), (2, 1)], "exit_flow.block2"
    graph = xception65(width=1, middle=1)
    assert geometry(graph, "entry_flow.block3") == geometry(graph, "exit_flow.block1") == strided
    assert geometry(graph, last) == plain
    graph = xception65(width=1, middle=1, output_stride=16)
    assert geometry(graph, "entry_flow.block3") == strided
    assert geometry(graph, "exit_flow.block1") == plain
    assert geometry(graph, last) == [(1, 2)] * 3
    graph = xception65(width=1, middle=1, output_stride=8, multi_grid=(1, 2, 4))
    assert geometry(graph, "entry_flow.block2") == strided
    assert geometry(graph, "entry_flow.block3") == plain
    assert geometry(graph, "middle_flow.unit1") == [(1, 2)] * 3
    assert geometry(graph, "exit_flow.block1") == [(1, 2)] * 3
    assert geometry(graph, last) == [(1, 4), (1, 8), (1, 16)]


@pytest.mark.parametrize(
    ("stride", "rates"), [(32, [3, 6, 9]), (16, [6, 12, 18]), (8, [12, 24, 36])]
)
def test_rates_of_the_pyramid(stride: int, rates: list[int]):
    graph = deeplabv3plus_xception65(width=1, middle=1, output_stride=stride)
    found = {node.name: dict(node.attributes) for node in graph.nodes}
    assert [found[f"aspp{j}.depthwise"]["dilation"] for j in (1, 2, 3)] == rates


def test_the_last_block_has_its_relus_inside():
    """And no skip; others have one before each separable convolution, and none inside."""
    names = [node.name for node in xception65(width=1, middle=1).nodes]
    relus = [name for name in names if name.startswith("exit_flow.block2") and "relu" in name]
    places = [f"separable_conv{j}.{part}" for j in (1, 2, 3) for part in ("depthwise", "pointwise")]
    assert relus == [f"exit_flow.block2.{place}.relu" for place in places]
    relus = [name for name in names if name.startswith("middle_flow") and "relu" in name]
    assert relus == [f"middle_flow.unit1.relu{j}" for j in (1, 2, 3)]


def test_wrong_arguments():
    for call, message in (
        (lambda: xception65(0), "in_channels must be at least 1, got 0"),
        (lambda: xception65(3, 0), "classes must be at least 1, got 0"),
        (lambda: xception65(output_stride=2), "output_stride must be 4, 8, 16 or 32, got 2"),
        (lambda: xception65(multi_grid=(1, 2)), "multi_grid holds 2 factors, expected 3"),
        (lambda: xception65(multi_grid=(1, 0, 2)), "multi_grid[1] must be at least 1, got 0"),
        (lambda: xception65(middle=0), "middle must be at least 1, got 0"),
        (lambda: nets.deeplabv3plus_xception65(rates=()), "rates must hold at least one dilation"),
        (lambda: nets.deeplabv3plus_xception65(rates=[0]), "rates[0] must be at least 1, got 0"),
        (lambda: nets.deeplabv3plus_xception65(width=0), "width must be at least 1, got 0"),
    ):
        with pytest.raises(ns.ArgumentError, match=re.escape(message)):
            call()


def test_definitions_agree():
    graph = deeplabv3plus_xception65(3, 2, width=1, middle=1, rates=(1, 2))
    whole.check_reference(graph, whole.image((33, 18)))
    whole.check_reference(xception65(3, 2, width=1, middle=1), whole.image((33, 18)))
