"""DeconvNet: totals, names, sizes, windows, gradients."""

from __future__ import annotations

import re

import numpy as np
import pytest
import whole

import numseg as ns
from numseg.graph import Graph, ones
from numseg.nets import deconvnet
from numseg.nets.deconvnet import over_windows


def test_total():
    graph = deconvnet()
    assert whole.learned(graph) == whole.total(graph) == 251_805_653
    sizes = {param.name: param.size for param in graph.params}
    norms = [n for n in graph.trainable if n.startswith(("bn", "debn", "fc6-deconv-bn"))]
    assert sum(sizes[name] for name in norms) == 33_408


def test_names():
    shapes = {param.name: param.shape for param in deconvnet().params}
    assert shapes["bn1_1.weight"] == (64,)
    assert shapes["fc6.weight"] == (4096, 512, 7, 7)
    assert shapes["bnfc7.running_var"] == (4096,)
    assert shapes["fc6-deconv.weight"] == (4096, 512, 7, 7)
    assert shapes["deconv4_3.weight"] == (512, 256, 3, 3)
    assert shapes["debn1_2.bias"] == (64,)
    assert shapes["seg-score-voc.weight"] == (21, 64, 1, 1)


def test_the_paper_s_sizes():
    """Table 2 of the paper."""
    shapes = deconvnet().shapes((1, 3, 224, 224))
    for level, side in enumerate((112, 56, 28, 14, 7), 1):
        assert shapes[f"pool{level}"][2:] == (side, side)
        assert shapes[f"unpool{level}"][2:] == (2 * side, 2 * side)
    assert shapes["fc6"] == (1, 4096, 1, 1)
    channels = {"fc6-deconv": 512, "deconv5_3": 512, "deconv4_3": 256, "deconv3_3": 128,
                "deconv2_2": 64, "deconv1_2": 64}  # fmt: skip
    assert {name: shapes[name][1] for name in channels} == channels
    assert shapes["seg-score-voc"] == (1, 21, 224, 224)


def test_sizes_from_193_on():
    graph = deconvnet(1, 2, width=1)
    for h, w in [(193, 193), *np.random.default_rng(0).integers(193, 500, (20, 2)).tolist()]:
        assert graph.shapes((1, 1, h, w))["seg-score-voc"] == (1, 2, h, w)
    with pytest.raises(ns.ArgumentError, match="x has 192 rows, but this network takes 193 at"):
        graph.shapes((1, 1, 192, 224))


def test_wrong_arguments():
    for call, message in (
        (lambda: deconvnet(0), "in_channels must be at least 1, got 0"),
        (lambda: deconvnet(3, 0), "classes must be at least 1, got 0"),
        (lambda: deconvnet(width=0), "width must be at least 1, got 0"),
    ):
        with pytest.raises(ns.ArgumentError, match=re.escape(message)):
            call()


def test_definitions_agree():
    x = whole.image((193, 194), batch=1, channels=1)
    whole.check_reference(deconvnet(1, 2, width=1), x, training=False)  # no variance of one value


# -- windows ----------------------------------------------------------------------------------


def doubled() -> Graph:
    """Scores of two classes: twice the image and twice its negative."""
    net = Graph.build()
    weight = net.param("weight", (2, 1, 1, 1), ones)
    return net.output(net.add(ns.conv2d, net.input("x"), weight))


WEIGHT = {"weight": np.array([2.0, -2.0]).reshape(2, 1, 1, 1)}


def test_the_largest_score_of_all_windows():
    """Two windows of the size they are resized to, so that nothing is interpolated. Where neither
    lies, and where a score is negative, there is 0."""
    image = np.array([[[1.0, -2.0, 3.0], [4.0, 5.0, -6.0]]])
    y = over_windows(doubled(), WEIGHT, image, np.array([[0, 0, 2, 2], [1, 0, 3, 2]]), side=2)
    np.testing.assert_array_equal(y, [[[2, 0, 6], [8, 10, 0]], [[0, 4, 0], [0, 0, 12]]])
    y = over_windows(doubled(), WEIGHT, image, np.array([[0, 0, 2, 2]]), side=2)
    np.testing.assert_array_equal(y, [[[2, 0, 0], [8, 10, 0]], [[0, 4, 0], [0, 0, 0]]])


def test_windows_compete():
    """A score that depends on its window: the image, less the window's mean."""
    net = Graph.build()
    x = net.input("x")
    mean = net.add(ns.global_avg_pool2d, x)
    graph = net.output(net.add(ns.subtract, x, mean))
    image = np.array([[[4.0, 2.0, 0.0, 8.0]]])
    boxes = np.array([[0, 0, 2, 1], [0, 0, 4, 1]])  # means 3 and, at 2 x 2 pixels, 3.5
    y = over_windows(graph, {}, image, boxes[:1], side=2)
    np.testing.assert_array_equal(y, [[[1, 0, 0, 0]]])
    # the second window is 3, 4 at half the size: -0.5, 0.5; back again -0.5, -0.25, 0.25, 0.5
    y = over_windows(graph, {}, image, boxes, side=2)
    np.testing.assert_array_equal(y, [[[1, 0, 0.25, 0.5]]])


def test_a_window_may_reach_beyond_the_picture():
    image = np.array([[[1.0, -2.0], [4.0, 5.0]]], np.float32)
    params = {"weight": WEIGHT["weight"].astype(np.float32)}
    for box in ([-1, -1, 1, 1], [0, 0, 2, 2], [5, 5, 7, 7]):
        y = over_windows(doubled(), params, image, np.array([box]), side=2)
        expected = np.zeros((2, 2, 2), np.float32)
        inside = tuple(slice(max(low, 0), max(high, 0)) for low, high in (box[1::2], box[::2]))
        expected[:, *inside] = np.maximum(np.stack([2 * image[0], -2 * image[0]]), 0)[:, *inside]
        np.testing.assert_array_equal(y, expected)
        assert y.dtype == np.float32


def test_wrong_windows():
    image, box = np.zeros((1, 4, 4)), np.array([[0, 0, 2, 2]])
    for given, message in (
        ((image[0], box), "image has shape (4, 4), expected 3 axes (c, h, w)"),
        ((image.astype(int), box), "image has dtype int64, expected float32 or float64"),
        ((image, box[0]), "boxes has shape (4,), expected (K, 4), K at least 1"),
        ((image, box[:0]), "boxes has shape (0, 4), expected (K, 4), K at least 1"),
        ((image, box.astype(float)), "boxes has dtype float64, expected an integer dtype"),
        ((image, np.array([[1, 0, 1, 3]])), "boxes[0] is 1, 0, 1, 3: it has no pixels"),
    ):
        with pytest.raises(ns.ArgumentError, match=re.escape(message)):
            over_windows(doubled(), WEIGHT, *given)
