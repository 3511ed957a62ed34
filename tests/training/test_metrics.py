"""The confusion matrix and the scores, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from numseg import ArgumentError
from numseg.training import confusion_matrix, scores

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
