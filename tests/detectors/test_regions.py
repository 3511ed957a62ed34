"""What R-CNN and its successors have in common, against values computed by hand."""

from __future__ import annotations

import math

import detecting
import numpy as np
import pytest

from numseg.data import Instances
from numseg.detectors import regions as r
from numseg.errors import ArgumentError, ArgumentTypeError

PICKED = r.Chosen(
    np.array([[0.0, 0, 10, 10], [20, 20, 30, 30]]),
    np.array([1, 0]),
    np.array([[5.0, 0, 15, 10]]),
    np.array([0]),
)
"""A region of class 1, whose object is half of it to the right, and one of background."""


@pytest.mark.parametrize("background", [True, False])
def test_the_joint_loss_by_hand(background):
    scores = np.array([[0, math.log(2), 0], [0, 0, 0]])
    codes = np.full((2, 3, 4), 7.0)
    codes[0, 1] = [5.5, 2, 0, 0]  # it should be 10 * 1/2, 0, 0, 0
    given = codes if background else codes[:, 1:]
    loss = r.joint_loss(scores, given.reshape(2, -1), [PICKED], r.Codes())
    assert loss.classes == pytest.approx((math.log(2) + math.log(3)) / 2)
    assert loss.boxes == pytest.approx((0.5**2 / 2 + (2 - 0.5)) / 2)
    expected = [[1 / 8, -1 / 4, 1 / 8], [-1 / 3, 1 / 6, 1 / 6]]
    np.testing.assert_allclose(loss.grad_scores, expected, atol=1e-15)
    grad = np.zeros((2, 3, 4))
    grad[0, 1] = [0.25, 0.5, 0, 0]
    np.testing.assert_allclose(
        loss.grad_codes, (grad if background else grad[:, 1:]).reshape(2, -1), atol=1e-15
    )


def test_boxes_of_regions_that_are_too_far_off_are_not_learned():
    scores, codes = np.zeros((2, 3)), np.ones((2, 12))
    assert r.joint_loss(scores, codes, [PICKED], r.Codes(), least=1 / 3).boxes > 0
    far = r.joint_loss(scores, codes, [PICKED], r.Codes(), least=0.34)
    assert far.boxes == 0
    assert not far.grad_codes.any()


def test_the_hinge_by_hand_and_its_kink():
    loss, grad = r.hinge_loss(np.array([[0.5, -2], [-1, 1]]), np.array([1, 0]))
    assert loss == (0.5 + 0 + 0 + 2) / 2
    np.testing.assert_array_equal(grad, [[-0.5, 0], [0, 0.5]])


def test_regions_are_given_classes_by_their_overlap():
    truth = r.truth(Instances([[0, 0, 10, 10]], [2]), 1.0, 0)
    regions = np.array([[0.0, 0, 10, 6], [0, 0, 10, 4], [0, 0, 10, 0.5], [50, 50, 60, 60]])
    how = r.Sampling(batch_size_per_image=8, positive_fraction=0.5)
    found = r.chosen(regions, truth, how, 0, (1,))
    # the object itself and what overlaps it by 0.6; 0.4 is background, 0.05 and 0 too easy
    np.testing.assert_array_equal(found.boxes, [[0, 0, 10, 10], *regions[:2]])
    np.testing.assert_array_equal(found.labels, [2, 2, 0])
    np.testing.assert_array_equal(found.objects, [[0, 0, 10, 10]] * 2)
    every = r.chosen(regions, truth, how._replace(least=0.0, add_truth=False), 0, (1,))
    np.testing.assert_array_equal(every.boxes, regions)


def test_what_lies_in_crowds_is_not_background():
    objects = Instances(
        [[0, 0, 10, 10], [20, 20, 40, 40], [50, 0, 60, 10]], [1, 1, 1],
        crowd=[False, True, False], difficult=[False, False, True],
    )  # fmt: skip
    truth = r.truth(objects, 1.0, 0)
    np.testing.assert_array_equal(truth.which, [0])
    regions = np.array([[22.0, 22, 30, 30], [51, 1, 59, 9], [70, 70, 80, 80]])
    found = r.chosen(regions, truth, r.Sampling(least=0.0), 0, (1,))
    np.testing.assert_array_equal(found.boxes, [[0, 0, 10, 10], [70, 70, 80, 80]])


def test_boxes_are_pixels_or_edges():
    edges = np.array([[0.0, 2, 10, 12], [3, 3, 3.5, 3.5]])
    pixels = r.inner(edges, 2.0, 1)
    np.testing.assert_array_equal(pixels, [[0, 4, 18, 22], [6, 6, 6, 6]])
    np.testing.assert_array_equal(r.outer(pixels, 2.0, 1)[0], edges[0])
    np.testing.assert_array_equal(r.inner(edges, 2.0, 0), 2 * edges)


def test_what_is_found_is_thinned_out_class_by_class():
    regions = np.array([[0.0, 0, 10, 10], [0, 0, 10, 9], [30, 30, 90, 90]])
    scores = np.array([[0.1, 0.6, 0.3], [0.2, 0.7, 0.1], [0.95, 0.03, 0.02]])
    codes = np.zeros((3, 12))
    codes[2, 4:6] = 1.0
    boxes, labels, sure = r.found(scores, codes, regions, (50, 50), r.Finding(), r.Codes())
    np.testing.assert_array_equal(labels, [1, 2])
    np.testing.assert_array_equal(sure, [0.7, 0.3])  # class 2's other one, 0.1, is covered
    np.testing.assert_allclose(boxes, [[0, 0, 10, 9], [0, 0, 10, 10]], atol=1e-12)
    low = r.Finding(score_threshold=0.0, max_detections=3)
    boxes, labels, _ = r.found(scores, codes, regions, (50, 50), low, r.Codes())
    assert len(boxes) == 3
    assert boxes.max() <= 50


def test_scores_of_nan_find_nothing():
    regions = np.array([[0.0, 0, 10, 10]])
    found = r.found(
        np.full((1, 2), np.nan), np.zeros((1, 8)), regions, (9, 9), r.Finding(), r.Codes()
    )
    assert [len(part) for part in found] == [0, 0, 0]


def test_batches_are_scaled_and_padded():
    images = [detecting.picture((10, 20)), detecting.picture((16, 8))]
    how = r.scaling(3, 0.5, 0.25, 20, 30)
    x, sizes, factors = r.batch(images, how, np.float64)
    assert factors == [1.5, 30 / 16]  # the longer side must not be larger than 30
    assert sizes == [(15, 30), (30, 15)]
    assert x.shape == (2, 3, 30, 30)
    assert not x[0, :, 15:].any()
    x, _, _ = r.batch(images[:1], r.scaling(3, [0.5, 0, 0], [0.25, 1, 1], None, None), np.float64)
    np.testing.assert_array_equal(x[0, 0], (images[0][0] - 0.5) / 0.25)
    np.testing.assert_array_equal(x[0, 1], images[0][1])


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([], "images must hold at least one image, got none"),
        ([np.zeros((1, 4, 4))], "images[0] has 1 channels, the detector takes 3"),
        ([np.zeros((3, 0, 4))], "images[0] has shape (3, 0, 4): an image without pixels"),
        ([np.zeros((3, 4))], "images[0] has shape (3, 4), expected 3 axes (c, h, w)"),
    ],
)
def test_images_that_are_none(images, message):
    with pytest.raises(ArgumentError) as error:
        r.batch(images, r.scaling(3, 0.5, 0.25, None, None), np.float64)
    assert str(error.value) == message


def test_settings_that_are_none():
    with pytest.raises(ArgumentError, match=r"^sampling must be one of 'batch_size_per_image', "):
        r.settings(r.Sampling, "sampling", {"batch": 3})
    with pytest.raises(ArgumentError, match=r"^std must be positive"):
        r.scaling(3, 0.5, 0, None, None)
    with pytest.raises(ArgumentError, match=r"^mean has 2 numbers, but there are 3 channels"):
        r.scaling(3, [0.5, 0.5], 0.25, None, None)
    with pytest.raises(ArgumentError, match=r"instances\[0\]: has an object of class 4, but there"):
        r.paired([np.zeros((3, 4, 4))], [Instances([[0, 0, 1, 1]], [4])], 3)


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        (r.Sampling, {"batch_size_per_image": -1}, "batch_size_per_image'] must be at least 0"),
        (r.Sampling, {"batch_size_per_image": None}, "batch_size_per_image'] must be an int"),
        (r.Finding, {"nms_threshold": "x"}, "nms_threshold'] must be a real number"),
        (r.Codes, {"weights": 3}, "weights'] is 3, expected several numbers"),
        (r.Codes, {"weights": [10, None, 5, 5]}, "weights'][1] must be a real number"),
        (r.Sampling, {"rounding": 2}, "rounding'] is 2, expected a word"),
    ],
)
def test_settings_of_another_kind(kind, given, message):
    with pytest.raises((ArgumentError, ArgumentTypeError)) as error:
        r.settings(kind, "of", given)
    assert message in str(error.value)
