"""VGG-16: totals, names, sizes, the classifier as convolutions, gradients."""

from __future__ import annotations

import re

import numpy as np
import pytest
import whole

import numseg as ns
from numseg import nets
from numseg.graph import Graph
from numseg.nets.backbones import vgg
from numseg.nets.blocks import Stage


@pytest.mark.parametrize("fully_convolutional", [False, True])
def test_totals(fully_convolutional: bool):
    options = {"fully_convolutional": fully_convolutional}
    assert whole.learned(nets.vgg16(**options)) == 138_357_544
    assert whole.learned(nets.vgg16_bn(**options)) == 138_365_992  # and 4,224 scales and shifts


def test_names():
    shapes = {param.name: param.shape for param in nets.vgg16().params}
    places = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)  # of torchvision's convolutions
    layers = [f"features.{place}" for place in places] + [f"classifier.{j}" for j in (0, 3, 6)]
    assert list(shapes) == [f"{layer}.{part}" for layer in layers for part in ("weight", "bias")]
    assert shapes["features.28.weight"] == (512, 512, 3, 3)
    assert shapes["classifier.0.weight"] == (4096, 25088)
    normed = [param.name for param in nets.vgg16_bn(width=1).params]
    assert "features.40.weight" in normed
    assert "features.41.running_mean" in normed


def test_sizes():
    shapes = nets.vgg16().shapes((2, 3, 224, 224))
    for level, side in enumerate((112, 56, 28, 14, 7), 1):
        assert shapes[f"pool{level}"][2:] == (side, side)
    assert shapes["classifier.6"] == (2, 1000)
    maps = nets.vgg16(3, 5, width=1, fully_convolutional=True)
    assert maps.shapes((1, 3, 255, 256))["classifier.6"] == (1, 5, 1, 2)


def test_the_trunk_names_what_it_gives():
    net = Graph.build()
    x = Stage(net.input("x"), 3)

    def conv(place, x, channels, filters):
        return vgg.caffe_conv(net, place, x, channels, filters)

    stages = vgg.trunk(x, 2, conv, lambda name, x: net.add(ns.max_pool2d, x, 2, name=name))
    counts = [(name, stage.channels) for name, stage in stages.items()]
    assert counts[:3] == [("conv1_1", 2), ("conv1_2", 2), ("pool1", 2)]
    assert counts[-4:] == [("conv5_1", 16), ("conv5_2", 16), ("conv5_3", 16), ("pool5", 16)]
    graph = net.output(stages["pool5"].value)
    assert [n.name for n in graph.nodes][:5] == [
        "conv1_1",
        "relu1_1",
        "conv1_2",
        "relu1_2",
        "pool1",
    ]


def test_linear_layers_are_convolutions():
    """At 224 x 224 the two are one classifier; a larger image gives a map."""
    linear = nets.vgg16(1, 4, width=1, dropout=0)
    convolutional = nets.vgg16(1, 4, width=1, dropout=0, fully_convolutional=True)
    params = whole.parameters(linear)
    given = {param.name: params[param.name].reshape(param.shape) for param in convolutional.params}
    x = whole.image((224, 288), batch=1, channels=1)
    y = convolutional.run(given, x[..., :224])
    np.testing.assert_allclose(y[..., 0, 0], linear.run(params, x[..., :224]), rtol=1e-12)
    assert convolutional.run(given, x).shape == (1, 4, 1, 3)


def test_wrong_arguments():
    for call, message in (
        (lambda: nets.vgg16(0), "in_channels must be at least 1, got 0"),
        (lambda: nets.vgg16(3, 0), "classes must be at least 1, got 0"),
        (lambda: nets.vgg16(width=0), "width must be at least 1, got 0"),
        (lambda: nets.vgg16(dropout=2), "dropout must lie in [0, 1), got 2"),
        (lambda: nets.vgg16(fully_convolutional=1), "fully_convolutional must be True or False"),
        (
            lambda: nets.vgg16(width=1).shapes((1, 3, 31, 32)),
            "x has 31 rows, but this network takes 32 at least",
        ),
        (
            lambda: nets.vgg16(width=1, fully_convolutional=True).shapes((1, 3, 224, 200)),
            "x has 200 columns, but this network takes 224 at least",
        ),
    ):
        with pytest.raises(ns.ArgumentError, match=re.escape(message)):
            call()


@pytest.mark.parametrize("norm", [False, True])
def test_definitions_agree(norm: bool):
    graph = (nets.vgg16_bn if norm else nets.vgg16)(3, 5, width=1)
    whole.check_reference(graph, whole.image((33, 64)))
