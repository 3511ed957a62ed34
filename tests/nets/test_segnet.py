"""SegNet: totals, names, sizes that round up, gradients."""

from __future__ import annotations

import re

import numpy as np
import pytest
import whole

import numseg as ns
from numseg.nets import segnet


def test_total():
    graph = segnet()
    assert whole.learned(graph) == whole.total(graph) == 29_449_355
    norms = [name for name in graph.trainable if "_bn." in name]
    assert sum(param.size for param in graph.params if param.name in norms) == 15_872


def test_names():
    shapes = {param.name: param.shape for param in segnet().params}
    assert shapes["conv1_1.weight"] == (64, 3, 3, 3)
    assert shapes["conv5_3_bn.running_var"] == (512,)
    assert shapes["conv4_1_D.weight"] == (256, 512, 3, 3)
    assert shapes["conv4_1_D_bn.bias"] == (256,)
    assert shapes["conv1_1_D.weight"] == (11, 64, 3, 3)
    assert "conv1_1_D_bn.weight" not in shapes


def test_the_authors_sizes():
    shapes = segnet().shapes((1, 3, 360, 480))
    sides = [(360, 480), (180, 240), (90, 120), (45, 60), (23, 30), (12, 15)]
    for level in range(1, 6):
        assert shapes[f"pool{level}"][2:] == sides[level]
        assert shapes[f"upsample{level}"][2:] == sides[level - 1]
    channels = {5: 512, 4: 512, 3: 256, 2: 128, 1: 64}
    assert {level: shapes[f"upsample{level}"][1] for level in channels} == channels
    assert shapes["conv1_1_D"] == (1, 11, 360, 480)


def test_any_size_from_17_on():
    graph = segnet(1, 2, width=1)
    for h, w in np.random.default_rng(0).integers(1, 300, (20, 2)).tolist():
        assert graph.shapes((1, 1, h, w))["conv1_1_D"] == (1, 2, h, w)
    assert graph.shapes((1, 1, 1, 1))["conv1_1_D"] == (1, 2, 1, 1)


def test_values_go_back_to_where_they_were():
    """The unpooling is given the indices of its own pooling: what is not a maximum stays 0."""
    graph = segnet(1, 2, width=1).at("relu1_2", "pool1", "upsample1")
    params = {p.name: whole.parameters(segnet(1, 2, width=1))[p.name] for p in graph.params}
    before, pooled, after = graph.run(params, whole.image((18, 21), channels=1))
    largest = np.zeros(before.shape)
    for n, _, r, c in np.ndindex(pooled.shape):
        window = before[n, 0, 2 * r : 2 * r + 2, 2 * c : 2 * c + 2]
        i, j = np.unravel_index(window.argmax(), window.shape)
        largest[n, 0, 2 * r + i, 2 * c + j] = 1
    assert after.any()
    assert not after[largest == 0].any()


def test_wrong_arguments():
    for call, message in (
        (lambda: segnet(0), "in_channels must be at least 1, got 0"),
        (lambda: segnet(3, 0), "classes must be at least 1, got 0"),
        (lambda: segnet(width=0), "width must be at least 1, got 0"),
        (lambda: segnet(width=1).shapes((1, 2, 20, 20)), "x has 2 channels, but this network"),
        (
            lambda: segnet(width=1).shapes((1, 3, 17, 0)),
            "x has 0 columns, but this network takes 1 at least",
        ),
    ):
        with pytest.raises(ns.ArgumentError, match=re.escape(message)):
            call()


def test_definitions_agree():
    whole.check_reference(segnet(3, 2, width=1), whole.image((33, 50)))
