"""Selective search."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from numseg.data import Detections, scene_instances
from numseg.detectors.selective_search import (
    Segments,
    hierarchy,
    neighbours,
    remembered,
    selective_search,
)
from numseg.errors import ArgumentError, MissingExtra
from numseg.training import proposal_recall

LABELS = np.array([[0, 0, 1, 1, 2, 2]] * 2)


def stripes(*colours):
    """Three segments of 2 x 2 pixels, of one channel."""
    return np.array(colours)[LABELS][..., None]


def test_likenesses_by_hand():
    of = Segments(stripes(0.1, 0.1, 0.9), LABELS)
    assert of.likeness("c", 0, 1) == 1
    assert of.likeness("c", 1, 2) == 0
    assert of.likeness("s", 0, 1) == 1 - 8 / 12
    assert of.likeness("f", 0, 1) == 1
    assert of.likeness("f", 0, 2) == 1 - (12 - 8) / 12  # the box of both holds the middle
    assert of.likeness("csf", 0, 1) == pytest.approx(1 + 1 / 3 + 1)
    new = of.join(1, 2)
    assert of.boxes[new] == (2, 0, 6, 2)
    assert of.likeness("c", 0, new) == 0.5  # half of it has the colour of 0
    whole = of.join(0, new)
    np.testing.assert_allclose(np.sort(of.colours[whole])[-2:], [1 / 3, 2 / 3])  # by their pixels


def test_the_two_most_alike_become_one():
    boxes = hierarchy(stripes(0.9, 0.1, 0.1), LABELS, "c")
    own = [[0, 0, 2, 2], [2, 0, 4, 2], [4, 0, 6, 2]]
    np.testing.assert_array_equal(boxes, [*own, [2, 0, 6, 2], [0, 0, 6, 2]])
    # alike all: the older pair first
    boxes = hierarchy(stripes(0.5, 0.5, 0.5), LABELS, "c")
    np.testing.assert_array_equal(boxes[3], [0, 0, 4, 2])


def test_neighbours_share_an_edge():
    labels = np.array([[0, 1], [2, 0]])
    np.testing.assert_array_equal(neighbours(labels), [[0, 1], [0, 2]])


def test_things_of_one_colour_are_found():
    pytest.importorskip("skimage")
    image = np.zeros((3, 60, 80))
    image[0, 10:30, 20:50] = 1
    image[1, 35:55, 5:25] = 1
    boxes = selective_search(image, min_segment=20).tolist()
    assert [20, 10, 50, 30] in boxes
    assert [5, 35, 25, 55] in boxes
    assert [0, 0, 80, 60] in boxes
    assert len({tuple(box) for box in boxes}) == len(boxes)


def test_it_is_the_same_each_time_and_whatever_the_images_unit():
    pytest.importorskip("skimage")
    image = scene_instances(1, size=48, seed=3)[0].image
    first = selective_search(image)
    np.testing.assert_array_equal(first, selective_search(image))
    scaled = (image.astype(np.float64) - 100) / 64
    np.testing.assert_array_equal(first, selective_search(scaled))
    other = selective_search(image, seed=1)
    assert not np.array_equal(first, other)
    assert sorted(first.tolist()) == sorted(other.tolist())
    np.testing.assert_array_equal(first[:7], selective_search(image, max_regions=7))
    whole = selective_search(image, order="hierarchy")[0]
    np.testing.assert_array_equal(whole, [0, 0, 48, 48])


def test_it_finds_most_objects_of_generated_scenes():
    pytest.importorskip("skimage")
    data = scene_instances(4, size=64, seed=11)
    found = [
        Detections(boxes, np.ones(len(boxes), int), -np.arange(len(boxes)))
        for boxes in (selective_search(sample.image, min_segment=10) for sample in data)
    ]
    truth = [sample.instances for sample in data]
    recall = proposal_recall(truth, found, (1000,), iou_thresholds=(0.5,)).recall[0, 0]
    assert recall > 0.7


def test_odd_images():
    pytest.importorskip("skimage")
    assert selective_search(np.zeros((1, 1, 1))).tolist() == [[0, 0, 1, 1]]
    assert selective_search(np.ones((3, 5, 9))).tolist() == [[0, 0, 9, 5]]
    assert selective_search(np.ones((3, 5, 9)), min_size=6).shape == (0, 4)


@pytest.mark.parametrize(
    ("image", "arguments", "message"),
    [
        (np.zeros((2, 4, 4)), {}, "image has 2 channels, expected 1 or 3"),
        (np.full((1, 4, 4), np.nan), {}, "image holds numbers that are not finite"),
        (np.zeros((1, 0, 4)), {}, r"image has shape \(1, 0, 4\), expected at least one pixel"),
        (np.zeros((1, 4, 4)), {"spaces": ["cmyk"]}, r"spaces\[0\] must be one of 'rgb', "),
        (np.zeros((1, 4, 4)), {"measures": ["cx"]}, r"measures\[0\] must be letters of 'ctsf'"),
        (np.zeros((1, 4, 4)), {"scales": []}, "scales must be a sequence of numbers"),
    ],
)
def test_what_it_refuses(image, arguments, message):
    with pytest.raises(ArgumentError, match=f"^selective_search: {message}"):
        selective_search(image, **arguments)


def test_without_scikit_image(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "skimage"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(MissingExtra, match=r"scikit-image.*numseg\[demo\]"):
        selective_search(np.zeros((3, 8, 8)))


def test_an_image_that_comes_again_is_remembered():
    calls = []

    def propose(image):
        calls.append(image)
        return np.zeros((1, 4)) + image.sum()

    search = remembered(propose)
    one, two = np.ones((3, 2, 2)), np.zeros((3, 2, 2))
    for image in (one, two, one.copy(), two):
        assert search(image)[0, 0] == image.sum()
    assert len(calls) == 2
    with pytest.raises(ValueError, match="read-only"):
        search(one)[0, 0] = 1
