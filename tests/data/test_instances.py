"""The objects of a picture, and masks, by hand."""

from __future__ import annotations

import doctest
import importlib

import numpy as np
import pytest

from numseg import ArgumentError
from numseg.data import (
    DetectionDataset,
    Detections,
    DetectionSample,
    Instances,
    mask_iou,
    masks_to_boxes,
)


def test_what_is_not_given():
    found = Instances([[0, 1, 4, 3], [2.5, 0, 3, 2]], [1, 7])
    assert found.boxes.dtype == found.areas.dtype == np.float64
    assert found.labels.dtype == np.int64
    assert found.areas.tolist() == [8, 1]
    assert found.masks is None
    for flags in (found.crowd, found.difficult, found.truncated):
        assert flags.tolist() == [False, False]
    masks = np.zeros((2, 3, 4), bool)
    masks[0, 1:, 1:] = True
    assert Instances(found.boxes, found.labels, masks).areas.tolist() == [6, 0]
    assert len(found) == 2


def test_no_objects():
    found = Instances([], [])
    assert len(found) == 0
    assert found.boxes.shape == (0, 4)
    assert found.labels.dtype == np.int64
    assert found.areas.shape == (0,)
    assert len(found.take([])) == 0
    assert Detections([], [], []).scores.shape == (0,)
    assert Instances([], [], np.zeros((0, 5, 6), bool)).masks.shape == (0, 5, 6)


def test_some_of_them():
    masks = np.zeros((3, 2, 2), bool)
    masks[2] = True
    every = Instances(np.arange(12).reshape(3, 4), [1, 2, 3], masks, [False, True, False],
                      areas=[5, 6, 7])  # fmt: skip
    some = every.take([2, 0])
    assert some.labels.tolist() == [3, 1]
    assert some.boxes.tolist() == [[8, 9, 10, 11], [0, 1, 2, 3]]
    assert some.areas.tolist() == [7, 5]
    assert some.masks[0].all()
    assert every.take(every.crowd).labels.tolist() == [2]
    found = Detections(every.boxes, every.labels, [0.5, 0.9, 0.5], masks)
    assert found.order().tolist() == [1, 0, 2]
    assert found.take([1]).scores.tolist() == [0.9]
    assert found.take([2]).masks.all()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"boxes": [[0, 0, 1]]}, r"Instances: boxes has shape \(1, 3\), expected \(\.\.\., 4\)"),
        ({"boxes": [0, 0, 1, 1]}, r"boxes has shape \(4,\), expected 2 axes"),
        ({"boxes": [[3, 0, 1, 1]]}, r"boxes\[0\] has x1 3.0 and x2 1.0, expected x1 <= x2"),
        ({"boxes": [[0, 0, 1, np.nan]]}, "is nan, expected a finite number"),
        ({"boxes": [["a"] * 4]}, "boxes has dtype <U1, expected real numbers"),
        ({"labels": [0]}, r"labels\[0\] is 0, expected at least 1: 0 is the background"),
        ({"labels": [1, 1]}, r"labels has shape \(2,\), expected \(1,\) \(one for each box\)"),
        ({"labels": [1.0]}, "labels has dtype float64, expected an integer"),
        ({"masks": np.zeros((2, 3, 3), bool)}, r"masks has shape \(2, 3, 3\), expected \(1, 3, 3"),
        ({"masks": np.zeros((1, 3, 3))}, "masks has dtype float64, expected bool"),
        ({"crowd": [1]}, "crowd has dtype int64, expected bool"),
        ({"difficult": [True, False]}, r"difficult has shape \(2,\), expected \(1,\)"),
        ({"areas": [np.nan]}, r"areas\[0\] is nan, expected a number"),
    ],
)
def test_objects_that_are_none(fields, message):
    with pytest.raises(ArgumentError, match=message):
        Instances(**{"boxes": [[0, 0, 1, 1]], "labels": [1]} | fields)


def test_scores_that_are_none():
    with pytest.raises(ArgumentError, match=r"Detections: scores\[1\] is nan"):
        Detections([[0, 0, 1, 1]] * 2, [1, 1], [0.5, np.nan])
    with pytest.raises(ArgumentError, match=r"scores has shape \(1,\), expected \(2,\)"):
        Detections([[0, 0, 1, 1]] * 2, [1, 1], [0.5])


def test_boxes_of_masks_by_hand():
    masks = np.zeros((3, 4, 6), bool)
    masks[0, 1, 2] = masks[1, 0, 5] = masks[1, 3, 1] = True
    masks[2] = True
    expected = [[2, 1, 3, 2], [1, 0, 6, 4], [0, 0, 6, 4]]
    np.testing.assert_array_equal(masks_to_boxes(masks), expected)
    pixels = [[2, 1, 2, 1], [1, 0, 5, 3], [0, 0, 5, 3]]
    np.testing.assert_array_equal(masks_to_boxes(masks, offset=1), pixels)
    assert masks_to_boxes(np.zeros((0, 3, 3), bool)).shape == (0, 4)
    assert masks_to_boxes(np.zeros((0, 0, 0), bool)).shape == (0, 4)
    masks[1] = False
    with pytest.raises(ArgumentError, match=r"masks_to_boxes: masks\[1\] has no pixel"):
        masks_to_boxes(masks)


def test_overlaps_of_masks_by_hand():
    one = np.array([[[1, 1, 0], [1, 1, 0]], [[0, 0, 0], [0, 0, 0]]], bool)
    two = np.array([[[0, 1, 1], [0, 1, 1]], [[1, 1, 1], [1, 1, 1]], [[0, 0, 1], [0, 0, 0]]], bool)
    np.testing.assert_array_equal(mask_iou(one, two), [[2 / 6, 4 / 6, 0], [0, 0, 0]])
    assert mask_iou(one[1:], one[1:]).tolist() == [[0]]
    assert mask_iou(one, two[:0]).shape == (2, 0)
    with pytest.raises(ArgumentError, match=r"mask_iou: masks2 has shape \(3, 2, 2\)"):
        mask_iou(one, two[:, :, :2])
    with pytest.raises(ArgumentError, match="masks1 has dtype int64, expected bool"):
        mask_iou(one.astype(int), two)


def test_samples_are_checked():
    image = np.zeros((3, 4, 6), np.uint8)

    def checked(*sample):
        return DetectionDataset([sample], ("background", "a", "b")).checked(0)

    good = Instances([[0, 0, 1, 1]], [2], np.zeros((1, 4, 6), bool))
    assert isinstance(checked(image, good, "p"), DetectionSample)
    with pytest.raises(ArgumentError, match=r"sample 0 \(p\): has an object of class 3, but"):
        checked(image, Instances([[0, 0, 1, 1]], [3]), "p")
    with pytest.raises(ArgumentError, match=r"masks are 6 x 4, but the picture is 4 x 6"):
        checked(image, Instances([[0, 0, 1, 1]], [2], np.zeros((1, 6, 4), bool)), "p")
    with pytest.raises(ArgumentError, match="instances is a ndarray, expected Instances"):
        checked(image, np.zeros((4, 6), int), "p")
    with pytest.raises(ArgumentError, match=r"sample 0 is a tuple, expected \(image, instances"):
        checked(image, good)


@pytest.mark.parametrize("module", ["masks", "moves", "scene_objects"])
def test_the_examples_in_docstrings(module):
    found = doctest.testmod(importlib.import_module(f"numseg.data.{module}"))
    assert found.attempted > 0
    assert found.failed == 0
