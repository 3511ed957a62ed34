"""FRRN-A and B: totals, names, sizes, streams, gradients."""

from __future__ import annotations

import re

import pytest
import whole

import numseg as ns
from numseg.nets import frrn_a, frrn_b
from numseg.nets.frrn import Level, _frrn

NETS = {"a": (frrn_a, 17_746_803, 16), "b": (frrn_b, 24_755_699, 32)}


@pytest.mark.parametrize("which", NETS)
def test_totals(which: str):
    function, total, _ = NETS[which]
    assert whole.learned(function()) == whole.total(function()) == total


def test_names_and_biases():
    shapes = {param.name: param.shape for param in frrn_a().params}
    assert shapes["conv.weight"] == (48, 3, 5, 5)
    assert shapes["split.weight"] == (32, 48, 1, 1)
    assert shapes["down2.frru1.conv1.weight"] == (96, 48 + 32, 3, 3)
    assert shapes["down4.frru4.conv1.weight"] == (192, 192 + 32, 3, 3)
    assert shapes["down16.frru2.back.weight"] == (32, 384, 1, 1)
    assert shapes["up8.frru1.conv1.weight"] == (192, 384 + 32, 3, 3)
    assert shapes["ru4.conv1.weight"] == (48, 96 + 32, 3, 3)
    assert shapes["ru4.skip.weight"] == (48, 96 + 32, 1, 1)
    assert shapes["score.weight"] == (19, 48, 1, 1)
    biases = {n.removesuffix(".bias") for n in shapes if n.endswith(".bias") and ".norm" not in n}
    units = {f"down{s}.frru{j}" for s, count in ((2, 3), (4, 4), (8, 2), (16, 2))
             for j in range(1, count + 1)}  # fmt: skip
    units |= {f"up{s}.frru{j}" for s in (8, 4, 2) for j in (1, 2)}
    assert biases == {f"{unit}.back" for unit in units} | {"score"}


@pytest.mark.parametrize("which", NETS)
def test_sizes(which: str):
    function, _, step = NETS[which]
    graph = function(1, 2, width=1, lanes=1)
    for h, w in ((1, 1), (3, 2), (2, 5)):
        shapes = graph.shapes((1, 1, step * h, step * w))
        assert shapes["score"] == (1, 2, step * h, step * w)
        assert shapes[f"down{step}.frru1.conv1"] == (1, 8, h, w)
    message = (
        f"x has {step + 1} rows; the nearest that this network takes are {step} and {2 * step}"
    )
    with pytest.raises(ns.ArgumentError, match=message):
        graph.shapes((1, 1, step + 1, step))
    with pytest.raises(ns.ArgumentError, match=f"x has 8 columns, but this network takes {step}"):
        graph.shapes((1, 1, step, 8))


def test_the_residual_stream_is_only_added_to():
    """From where it splits off to where it joins: one sum for each unit, at full resolution."""
    graph = frrn_a(1, 2, width=1, lanes=3)
    shapes = graph.shapes((1, 1, 32, 48))
    sums = [node for node in graph.nodes if re.fullmatch(r"(down|up)\d+\.frru\d\.add", node.name)]
    assert len(sums) == 3 + 4 + 2 + 2 + 2 + 2 + 2
    before = "split.norm"
    for node in sums:
        assert node.inputs[0].source == before
        assert node.inputs[1].source == node.name.replace(".add", ".unpool")
        assert shapes[node.name] == (1, 3, 32, 48)
        before = node.name
    joined = next(node for node in graph.nodes if node.name == "concat")
    assert [value.source for value in joined.inputs[0]] == ["double1", before]


def test_wrong_arguments():
    for call, message in (
        (lambda: frrn_a(0), "in_channels must be at least 1, got 0"),
        (lambda: frrn_a(3, 0), "classes must be at least 1, got 0"),
        (lambda: frrn_b(width=0), "width must be at least 1, got 0"),
        (lambda: frrn_b(lanes=0), "lanes must be at least 1, got 0"),
    ):
        with pytest.raises(ns.ArgumentError, match=re.escape(message)):
            call()


def test_gradients_and_definitions():
    graph = _frrn(3, 2, 2, 2, (Level(1, 2), Level(2, 4)), (Level(2, 2),))
    whole.check_gradients(graph, whole.image((8, 12)))
    whole.check_reference(graph, whole.image((8, 12)))


@pytest.mark.parametrize("which", NETS)
def test_definitions_of_the_whole_agree(which: str):
    function, _, step = NETS[which]
    whole.check_reference(function(1, 2, width=1, lanes=1), whole.image(step, channels=1))
