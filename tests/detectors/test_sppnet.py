"""SPPNet for detection."""

from __future__ import annotations

import detecting
import numpy as np
import pytest

import numseg as ns
from numseg.detectors import sppnet
from numseg.detectors.sppnet import window

SMALL = {"width": 2, "level": 3, "hidden": 6, "levels": [1, 3], "min_size": None}


def small(**others):
    detector = sppnet(3, 4, **(SMALL | others))
    detector.propose = lambda image: detecting.regions()
    return detector


def test_windows_by_hand():
    edges = np.array([[0.0, 0, 64, 33], [17, 16, 20, 50], [500, 500, 600, 600]])
    found = window(edges, 16, (10, 12))
    # from the pixel after the first corner to that before the last; (17 + 20) / 32 is near 1
    np.testing.assert_array_equal(found, [[1, 1, 3, 2], [1, 2, 1, 3], [11, 9, 11, 9]])


def test_a_region_is_a_pyramid_of_its_window():
    maps = np.random.default_rng(0).normal(size=(2, 3, 12, 14))
    detector = sppnet(3, 4, width=1, hidden=4)  # of the head only the pooling is asked for
    rows = np.array([[0, 16.0, 33, 180, 150], [1, 0, 0, 224, 192]])
    _, windows = detector.of_regions(maps, rows)
    graph = detector.head.at("spp")
    pooled = graph.run({}, maps, windows)
    for (n, x0, y0, x1, y1), vector in zip(windows.astype(int), pooled, strict=True):
        cut = np.ascontiguousarray(maps[n : n + 1, :, y0 : y1 + 1, x0 : x1 + 1])
        np.testing.assert_array_equal(vector, ns.spatial_pyramid_pool2d(cut, (1, 2, 3, 6))[0])
    assert pooled.shape == (2, 3 * 50)


def test_the_published_head():
    detector = sppnet(3, 21)
    shapes = detector.head.shapes((1, 512, 43, 60), (2000, 5))
    assert shapes["spp"] == (2000, 512 * 50)
    assert sum(param.size for param in detector.params) == 136_787_881
    assert set(detector.trainable) == {
        f"{layer}.{kind}"
        for layer in ("fc6", "fc7", "cls_score", "bbox_pred")
        for kind in ("weight", "bias")
    }
    assert set(sppnet(3, 21, finetune="all").trainable) == set(detector.names)


@pytest.mark.parametrize(("finetune", "kind"), [("fc", "softmax"), ("all", "hinge")])
def test_gradients(finetune, kind):
    detecting.check_gradients(
        small(finetune=finetune, kind=kind), [detecting.picture()], [detecting.objects()]
    )


def test_same_bits_and_odd_input():
    detecting.check_same_bits(small(), [detecting.picture()], [detecting.objects()])
    detecting.check_odd_input(small(kind="hinge"))
