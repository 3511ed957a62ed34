"""FCN on ResNet: totals, sizes, the auxiliary head, gradients."""

from __future__ import annotations

import pytest
import whole

import numseg as ns
from numseg import nets
from numseg.graph import digest


def test_totals():
    assert whole.learned(nets.fcn_resnet50(aux=True)) == 35_322_218
    assert whole.learned(nets.fcn_resnet50()) == 32_957_013
    assert whole.learned(nets.fcn_resnet101(aux=True)) == 54_314_346


def test_the_auxiliary_head_vanishes():
    """What is left is the network without; its parameters have the same names."""
    both, one = nets.fcn_resnet50(aux=True, width=2), nets.fcn_resnet50(width=2)
    assert digest(both.at("out")) == digest(one)
    shapes = both.shapes((1, 3, 33, 48))
    assert shapes["aux"] == shapes["out"] == (1, 21, 33, 48)
    assert shapes["classifier.0"] == (1, 16, 5, 6)  # stride 8, a quarter of 8 * 2 * 4 channels
    assert shapes["aux_classifier.0"] == (1, 8, 5, 6)
    params = both.init()
    x = whole.image(33, batch=1, dtype="float32")
    y = one.run({param.name: params[param.name] for param in one.params}, x)
    assert y.shape == (1, 21, 33, 33)


def test_any_size_is_taken():
    graph = nets.fcn_resnet50(2, 4, width=1)
    for size in ((1, 1), (2, 31), (63, 40)):
        assert graph.shapes((1, 2, *size))["out"] == (1, 4, *size)
    with pytest.raises(ns.ArgumentError, match="x has 3 channels, but this network takes 2"):
        graph.shapes((1, 3, 8, 8))


def test_definitions_agree():
    whole.check_reference(nets.fcn_resnet50(3, 4, aux=True, width=1), whole.image((17, 19)))
