"""Hypercolumns: totals, names, sizes, the classifier of columns, gradients."""

from __future__ import annotations

import re

import numpy as np
import pytest
import whole

import numseg as ns
from numseg.nets import hypercolumns_vgg16


def test_total():
    features = 14_714_688 + 102_764_544 + 16_781_312  # of VGG-16 without fc8
    assert whole.learned(hypercolumns_vgg16()) == features + (128 + 512 + 4096) * 21 + 21


def test_names():
    shapes = {param.name: param.shape for param in hypercolumns_vgg16(kernel=3).params}
    assert shapes["fc6.weight"] == (4096, 512, 7, 7)
    scores = {name: shape for name, shape in shapes.items() if name.startswith("score")}
    assert scores == {
        "score_pool2.weight": (21, 128, 3, 3), "score_conv4_3.weight": (21, 512, 3, 3),
        "score_fc7.weight": (21, 4096, 3, 3), "score_fc7.bias": (21,),
    }  # fmt: skip


def test_sizes():
    graph = hypercolumns_vgg16(1, 2, width=1)
    shapes = graph.shapes((1, 1, 64, 96))
    assert shapes["score_pool2"][2:] == (16, 24)
    assert shapes["score_conv4_3"][2:] == (8, 12)
    assert shapes["score_fc7"][2:] == (2, 3)
    assert shapes["score"] == (1, 2, 64, 96)
    with pytest.raises(ns.ArgumentError, match=r"x has 65 rows; .* takes are 64 and 96"):
        graph.shapes((1, 1, 65, 96))
    with pytest.raises(ns.ArgumentError, match="x has 31 columns, but this network takes 32 at"):
        graph.shapes((1, 1, 64, 31))


def test_it_is_a_linear_classifier_of_columns():
    """The interpolated layers, stacked, through one 1 x 1 convolution."""
    graph = hypercolumns_vgg16(1, 3, width=1)
    params, x = whole.parameters(graph), whole.image((64, 32), channels=1)
    features = graph.at("pool2", "relu4_3", "drop7")
    layers = features.run({param.name: params[param.name] for param in features.params}, x)
    column = np.concatenate([ns.upsample_bilinear2d(layer, (64, 32)) for layer in layers], axis=1)
    assert column.shape == (2, 2 + 8 + 64, 64, 32)
    names = [f"score_{layer}.weight" for layer in ("pool2", "conv4_3", "fc7")]
    weight = np.concatenate([params[name] for name in names], axis=1)
    expected = ns.conv2d(column, weight, params["score_fc7.bias"])
    np.testing.assert_allclose(graph.run(params, x), expected, rtol=1e-10, atol=1e-12)


def test_other_layers():
    graph = hypercolumns_vgg16(1, 2, width=1, layers=("conv1_2",))
    assert graph.outputs[0].source == "upscore_conv1_2"
    assert not any(param.name.startswith(("conv2", "fc")) for param in graph.params)


def test_wrong_arguments():
    for arguments, message in (
        ({"in_channels": 0}, "in_channels must be at least 1, got 0"),
        ({"classes": 0}, "classes must be at least 1, got 0"),
        ({"width": 0}, "width must be at least 1, got 0"),
        ({"kernel": 2}, "kernel must be odd, got 2"),
        ({"layers": ()}, "layers must be some, each once, got ()"),
        ({"layers": ("pool1", "pool1")}, "layers must be some, each once, got ('pool1', 'pool1')"),
        ({"layers": ("conv9_1",)}, "layers must be one of 'conv1_1'"),
    ):
        with pytest.raises(ns.ArgumentError, match=re.escape(message)):
            hypercolumns_vgg16(**arguments)


def test_gradients_and_definitions():
    graph = hypercolumns_vgg16(3, 2, width=1, kernel=3)
    whole.check_gradients(graph, whole.image((64, 32)))
    whole.check_reference(graph, whole.image((64, 32)))
