"""FCN-32s, 16s and 8s: totals, names, crops, constants, sizes, gradients."""

from __future__ import annotations

import re

import numpy as np
import pytest
import whole

import numseg as ns
from numseg import nets
from numseg.data import scenes
from numseg.graph import bilinear_weights
from numseg.training import Recipe, Sampling, train

TOTALS = {"fcn32s": 136_152_917, "fcn16s": 134_815_994, "fcn8s": 134_489_759}
NETS = {
    "fcn32s": nets.fcn32s,
    "fcn16s": nets.fcn16s,
    "fcn8s": nets.fcn8s,
    "at once": lambda *a, **o: nets.fcn8s(*a, at_once=True, **o),
}
SHAPE = (1, 3, 75, 100)


@pytest.mark.parametrize(("name", "total"), TOTALS.items())
def test_totals(name: str, total: int):
    graph = NETS[name]()
    assert whole.total(graph) == total
    constants = sum(21 * 21 * (2 * s) ** 2 for s in UPS[name].values())
    assert whole.learned(graph) == total - constants


UPS = {
    "fcn32s": {"upscore": 32},
    "fcn16s": {"upscore2": 2, "upscore16": 16},
    "fcn8s": {"upscore2": 2, "upscore_pool4": 2, "upscore8": 8},
}


def test_names_are_those_of_the_authors_models():
    shapes = {param.name: param.shape for param in nets.fcn8s().params}
    convs = [f"conv{j}_{k}" for j, count in enumerate((2, 2, 3, 3, 3), 1)
             for k in range(1, count + 1)]  # fmt: skip
    scores = ["fc6", "fc7", "score_fr", "score_pool4", "score_pool3"]
    layers = {f"{layer}.{part}" for layer in convs + scores for part in ("weight", "bias")}
    assert set(shapes) == layers | {f"{up}.weight" for up in UPS["fcn8s"]}
    assert shapes["fc6.weight"] == (4096, 512, 7, 7)
    assert shapes["upscore8.weight"] == (21, 21, 16, 16)
    at_once = {param.name: param.shape for param in nets.fcn8s(at_once=True).params}
    more = {name: shape for name, shape in at_once.items() if name not in shapes}
    assert more == {"scale_pool4.weight": (512,), "scale_pool3.weight": (256,)}


def test_a_stage_has_the_parameters_of_the_one_before():
    """But for its last deconvolution; new are those of a pooling's scores."""
    names = [{param.name for param in NETS[name](width=1).params} for name in TOTALS]
    assert names[0] - names[1] == {"upscore.weight"}
    assert names[1] - names[0] >= {"score_pool4.weight", "score_pool4.bias", "upscore2.weight"}
    assert names[1] - names[2] == {"upscore16.weight"}
    assert names[2] - names[1] >= {"score_pool3.weight", "score_pool3.bias"}


@pytest.mark.parametrize("name", TOTALS)
def test_deconvolutions_are_constants(name: str):
    graph = NETS[name](3, 4, width=1)
    params = graph.init()
    for up, stride in UPS[name].items():
        assert f"{up}.weight" not in graph.trainable
        expected = bilinear_weights(4, 2 * stride, dtype=np.float32)
        np.testing.assert_array_equal(params[f"{up}.weight"], expected)


def test_scales_of_the_network_trained_at_once():
    params = NETS["at once"](3, 4, width=1).init()
    assert np.unique(params["scale_pool4.weight"]) == np.float32(0.01)
    assert np.unique(params["scale_pool3.weight"]) == np.float32(0.0001)
    assert not {n for n in NETS["at once"](width=1).trainable if n.startswith("scale")}


@pytest.mark.parametrize("name", NETS)
def test_crops_are_where_pixels_lie_on_each_other(name: str):
    """19; 5, 27; 5, 9, 31: what the geometry gives is what the network has."""
    graph = NETS[name](width=1)
    crops = {n.name: dict(n.attributes)["offset"] for n in graph.nodes if n.operator is ns.crop}
    last = {"fcn32s": ("upscore", 19), "fcn16s": ("upscore16", 27)}.get(name, ("upscore8", 31))
    found = graph.crop_offset(last[0], "x", SHAPE)
    assert found == (last[1], last[1])
    assert crops["score"] == last[1]
    for pool, up in (("pool4", "upscore2"), ("pool3", "upscore_pool4")):
        if f"score_{pool}c" in crops:
            offset = crops[f"score_{pool}c"]
            assert graph.crop_offset(f"score_{pool}", up, SHAPE) == (offset, offset)
    assert list(crops.values()) == {"fcn32s": [19], "fcn16s": [5, 27]}.get(name, [5, 9, 31])


@pytest.mark.parametrize("name", NETS)
def test_the_output_is_as_large_as_the_image(name: str):
    graph = NETS[name](1, 2, width=1)
    for h, w in np.random.default_rng(0).integers(1, 700, (20, 2)).tolist():
        assert graph.shapes((1, 1, h, w))["score"] == (1, 2, h, w)
    assert graph.shapes((1, 1, 1, 1))["score"] == (1, 2, 1, 1)


def test_poolings_round_up():
    shapes = nets.fcn32s(width=1).shapes((1, 3, 500, 334))
    sizes = [shapes[f"pool{level}"][2:] for level in range(1, 6)]
    assert sizes == [(349, 266), (175, 133), (88, 67), (44, 34), (22, 17)]
    assert shapes["fc6"] == (1, 64, 16, 11)


def test_wrong_arguments():
    for call, message in (
        (lambda: nets.fcn32s(0), "in_channels must be at least 1, got 0"),
        (lambda: nets.fcn16s(3, 0), "classes must be at least 1, got 0"),
        (lambda: nets.fcn8s(width=0), "width must be at least 1, got 0"),
        (lambda: nets.fcn8s(at_once=2), "at_once must be True or False, got 2"),
        (lambda: nets.fcn8s(width=1).shapes((1, 1, 5, 5)), "x has 1 channels"),
    ):
        with pytest.raises(ns.ArgumentError, match=re.escape(message)):
            call()


@pytest.mark.parametrize("name", ["fcn32s", "at once"])  # the others are part of the second
def test_gradients_and_definitions(name: str):
    graph = NETS[name](1, 2, width=1)
    if name == "at once":
        whole.check_gradients(graph, whole.image((9, 12), batch=1, channels=1))
    whole.check_reference(graph, whole.image((9, 12), batch=1, channels=1), training=False)


def test_training_leaves_constants_alone():
    data = scenes(2, size=16, seed=0)
    net = {"name": "fcn8s", "in_channels": 3, "classes": 8, "width": 1, "at_once": True}
    recipe = Recipe(epochs=1, sampling=Sampling(crop=16, batch=2))
    trained = train(net, data, data, recipe)
    graph = nets.fcn8s(3, 8, width=1, at_once=True)
    start = graph.init(recipe.sampling.seed)
    for param in graph.params:
        changed = not np.array_equal(trained.params[param.name], start[param.name])
        assert not (changed and not param.trainable), param.name
    assert not np.array_equal(trained.params["score_fr.bias"], start["score_fr.bias"])
