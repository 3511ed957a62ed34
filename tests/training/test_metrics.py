"""The confusion matrix and the scores, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from numseg import ArgumentError
from numseg.training import boundary_f1, confusion_matrix, mean_boundary_f1, scores

TRUTH = np.array([[0, 0, 1], [1, 1, 255]])
GUESS = np.array([[0, 1, 1], [1, 0, 2]])


def test_confusion_matrix():
    # truth 0: one guessed 0, one 1; truth 1: one guessed 0, two 1; the 255 counts nowhere
    found = confusion_matrix(TRUTH, GUESS, 3, ignore_index=255)
    assert found.tolist() == [[1, 1, 0], [1, 2, 0], [0, 0, 0]]


def test_scores():
    found = scores(np.array([[1, 1, 0], [1, 2, 0], [0, 0, 0]]))
    # IoU: class 0 is right once of 1 + 1 + 1 pixels, class 1 twice of 2 + 1 + 1; class 2 is nowhere
    np.testing.assert_array_equal(found.class_iou, [1 / 3, 2 / 4, np.nan])
    np.testing.assert_array_equal(found.class_accuracy, [1 / 2, 2 / 3, np.nan])
    assert found.mean_iou == (1 / 3 + 2 / 4) / 2
    assert found.pixel_accuracy == 3 / 5


def test_a_class_only_predicted_counts_as_zero():
    found = scores(np.array([[2, 1], [0, 0]]))
    np.testing.assert_array_equal(found.class_iou, [2 / 3, 0])
    np.testing.assert_array_equal(found.class_accuracy, [2 / 3, np.nan])
    assert found.mean_iou == 1 / 3


def test_nothing_to_score():
    found = scores(confusion_matrix(np.full(4, 255), np.zeros(4, int), 2, ignore_index=255))
    assert math.isnan(found.mean_iou)
    assert math.isnan(found.pixel_accuracy)
    assert np.isnan(found.class_iou).all()


def test_pictures_are_counted_together():
    """One pixel of a small picture weighs as much as one of a large picture."""
    one = confusion_matrix(np.array([0]), np.array([1]), 2)
    many = confusion_matrix(np.zeros(9, int), np.zeros(9, int), 2)
    np.testing.assert_array_equal(scores(one + many).class_iou, [0.9, 0])


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.uint64])
def test_labels_of_any_integer_dtype(dtype):
    found = confusion_matrix(TRUTH.astype(dtype), GUESS.astype(np.uint8), 3, 255)
    assert found.sum() == 5


@pytest.mark.parametrize(
    ("truth", "guess", "message"),
    [
        (np.array([0, 3]), np.array([0, 0]), "truth holds label 3, expected 0 to 2"),
        (np.array([0, -1]), np.array([0, 0]), "truth holds label -1, expected 0 to 2"),
        (np.array([0, 0]), np.array([0, 7]), "prediction holds label 7, expected 0 to 2"),
        (np.array([0, 0]), np.array([0]), r"prediction has shape \(1,\), expected \(2,\)"),
        (np.array([0.0]), np.array([0]), "truth has dtype float64, expected an integer"),
    ],
)
def test_bad_labels(truth, guess, message):
    with pytest.raises(ArgumentError, match=message):
        confusion_matrix(truth, guess, 3, ignore_index=255)


def test_the_fcn_papers_four():
    found = scores(np.array([[6, 2, 0], [1, 3, 0], [0, 0, 0]]))
    # IoU 6 / 9 and 3 / 6; 8 and 4 of the 12 pixels
    assert found.pixel_accuracy == 9 / 12
    assert found.mean_accuracy == (6 / 8 + 3 / 4) / 2
    assert found.mean_iou == (6 / 9 + 3 / 6) / 2
    assert found.frequency_weighted_iou == pytest.approx((8 * 6 / 9 + 4 * 3 / 6) / 12, rel=1e-15)
    assert math.isnan(scores(np.zeros((2, 2), int)).frequency_weighted_iou)
    assert math.isnan(scores(np.zeros((2, 2), int)).mean_accuracy)


# -- boundaries -----------------------------------------------------------------------------------


def _pixels(rows, columns, distance):
    """So many pixels as a share of the diagonal, and a little."""
    return (distance + 1e-9) / math.hypot(rows, columns)


def test_a_boundary_by_hand():
    """A square of 2 x 2 in 6 x 6; predicted is one of 2 x 3. All its pixels are on its boundary."""
    truth, guess = np.zeros((6, 6), int), np.zeros((6, 6), int)
    truth[2:4, 2:4] = 1
    guess[2:4, 2:5] = 1
    exact = boundary_f1(truth, guess, 2, tolerance=0)
    # precision 4 / 6, recall 4 / 4
    assert exact[1] == pytest.approx(2 * (4 / 6) / (4 / 6 + 1), rel=1e-15)
    # around the square are 8 pixels, around the other 10; those above, below and left of the square
    # are 6 of both
    assert exact[0] == pytest.approx(2 * (6 / 10) * (6 / 8) / (6 / 10 + 6 / 8), rel=1e-15)
    one = boundary_f1(truth, guess, 2, tolerance=_pixels(6, 6, 1))
    # of the other's, (1, 4), (4, 4), (2, 5), (3, 5) are new: the first two are next to (1, 3) and
    # (4, 3) and the last two to (2, 4) and (3, 4); all of the square's are found
    assert one.tolist() == [1.0, 1.0]


def test_boundaries_that_one_of_the_two_has():
    flat, split = np.zeros((4, 4), int), np.zeros((4, 4), int)
    split[:, 2:] = 1
    assert boundary_f1(split, flat, 3)[:2].tolist() == [0, 0]
    assert boundary_f1(flat, split, 3)[:2].tolist() == [0, 0]
    assert np.isnan(boundary_f1(flat, flat, 3)).all()
    assert boundary_f1(split, split, 3)[:2].tolist() == [1, 1]
    assert math.isnan(boundary_f1(split, split, 3)[2])


def test_ignored_pixels_make_no_boundary():
    truth = np.array([[0, 0, 255, 1, 1, 2]] * 2)
    guess = np.array([[0, 0, 1, 1, 1, 2]] * 2)
    found = boundary_f1(truth, guess, 3, ignore_index=255)
    # 0 and 1 never touch: only 1 and 2 do
    assert math.isnan(found[0])
    assert found[1:].tolist() == [1, 1]
    guess[0, 2] = 7  # whatever is predicted there
    assert boundary_f1(truth, guess, 3, ignore_index=255)[1:].tolist() == [1, 1]


def test_a_mean_over_pictures_is_of_those_that_have_the_class():
    each = [np.array([1.0, np.nan, np.nan]), np.array([0.5, 0.25, np.nan])]
    np.testing.assert_array_equal(mean_boundary_f1(each, 3), [0.75, 0.25, np.nan])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"prediction": np.zeros((2, 3), int)}, "prediction has shape"),
        ({"truth": np.zeros(4, int)}, "truth has shape"),
        ({"truth": np.full((2, 2), 5)}, "truth: holds label 5, but there are 2 classes"),
        ({"prediction": np.full((2, 2), 2)}, "prediction: holds label 2"),
        ({"tolerance": -1}, "tolerance must lie in"),
    ],
)
def test_boundaries_of_other_things(settings, message):
    usual = {"truth": np.zeros((2, 2), int), "prediction": np.zeros((2, 2), int), "classes": 2}
    with pytest.raises(ArgumentError, match=message):
        boundary_f1(**usual | settings)
