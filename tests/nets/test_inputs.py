"""What a network expects of colours, in front of it."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from numseg import ArgumentError
from numseg.graph import digest, image_channels
from numseg.nets import unet
from numseg.nets.inputs import normalised
from numseg.training import make_network

NET = {"name": "unet", "in_channels": 3, "classes": 2, "width": 2, "depth": 1, "padding": "same"}


def _first(how):
    graph = normalised(unet(3, 2, width=1, depth=0, padding="same"), how).at("normalise")
    x = np.array([0.0, 0.5, 1.0], np.float32).reshape(1, 3, 1, 1)  # red, green, blue
    return graph.run(graph.init(), x).ravel()


def test_colours_by_hand():
    expected = [(0 - 0.485) / 0.229, (0.5 - 0.456) / 0.224, (1 - 0.406) / 0.225]
    np.testing.assert_allclose(_first("imagenet"), expected, rtol=1e-6)
    expected = [255 - 104.00698793, 127.5 - 116.66876762, 0 - 122.67891434]  # blue comes first
    np.testing.assert_allclose(_first("caffe"), expected, rtol=1e-6)
    np.testing.assert_allclose(_first("tensorflow"), [-1, 0, 1], atol=1e-7)
    own = {"mean": [0.0, 0.5, 0.25], "std": [1, 2, 4], "order": "bgr"}
    np.testing.assert_allclose(_first(own), [1, 0, -0.0625], atol=1e-7)


def test_the_rest_of_the_graph_is_the_graph():
    plain, graph = make_network(NET), make_network(NET | {"normalise": "imagenet"})
    assert graph.trainable == plain.trainable
    assert image_channels(graph) == 3
    params = graph.init(0)
    assert list(params) == ["normalise.weight", "normalise.bias", *plain.init(0)]
    x = np.random.default_rng(0).random((1, 3, 8, 8)).astype(np.float32)
    inner = graph.at("normalise").run({n: params[n] for n in list(params)[:2]}, x)
    rest = {name: params[name] for name in plain.init(0)}
    np.testing.assert_array_equal(graph.run(params, x), plain.run(rest, inner))
    assert graph.shapes((1, 3, 8, 8))["head"] == plain.shapes((1, 3, 8, 8))["head"]
    assert digest(pickle.loads(pickle.dumps(graph))) == digest(graph) != digest(plain)
    with pytest.raises(ArgumentError, match="x has 9 rows"):
        graph.shapes((1, 3, 9, 9))


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("caffee", "normalise must be one of 'imagenet', 'caffe', 'tensorflow', got 'caffee'"),
        ({"mean": [0.5]}, "normalise must be a word or have mean and std"),
        ({"mean": [0.5], "std": [1, 1]}, "normalise has 1 means, but 2 stds"),
        ({"mean": [0.5], "std": [0.0]}, "normalise's std must be positive"),
        ({"mean": [0.5], "std": [1.0], "gamma": 1}, "has mean, std and order, not gamma"),
        (3, "normalise must be a word or have mean and std, got 3"),
    ],
)
def test_normalisations_that_are_none(how, message):
    with pytest.raises(ArgumentError, match=message):
        make_network(NET | {"normalise": how})


def test_one_is_enough():
    graph = make_network(NET | {"normalise": "caffe"})
    with pytest.raises(ArgumentError, match="the graph normalises its input already"):
        normalised(graph)
