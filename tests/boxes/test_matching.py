"""Matching and sampling, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns
from numseg import boxes as nb

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])

QUALITY = np.array(
    [
        # high  tie  between  best of 0, though low   nothing
        [0.75, 0.5, 0.5, 0.25, 0.0],
        [0.25, 0.5, 0.25, 0.375, 0.125],
        [0.0, 0.125, 0.0, 0.25, 0.0],
    ]
)


@DTYPES
def test_thresholds(dtype):
    quality = QUALITY.astype(dtype)
    assert nb.match(quality, 0.7, 0.3).tolist() == [0, -2, -2, -2, -1]
    assert nb.match(quality, 0.75, 0.5).tolist() == [0, -2, -2, -1, -1]  # at least, and below
    assert nb.match(quality, 0.5, 0.5).tolist() == [0, 0, 0, -1, -1]  # of a tie the lowest
    assert nb.match(quality, 0.3, 0.3).tolist() == [0, 0, 0, 1, -1]
    assert nb.match(quality, 0.7, 0.3).dtype == np.int64


def test_low_quality_matches_go_to_what_the_candidate_overlaps_most():
    # truth 0 has candidate 0 anyway, truth 1 its best in candidate 1, which it shares with truth 0
    # and which takes the lower, truth 2 in candidate 3, which overlaps truth 1 more
    how = {"allow_low_quality_matches": True}
    assert nb.match(QUALITY, 0.7, 0.3, **how).tolist() == [0, 0, -2, 1, -1]
    assert nb.match(QUALITY, 0.7, 0.3, min_quality=0.3, **how).tolist() == [0, 0, -2, -2, -1]
    assert nb.match(QUALITY, 0.7, 0.3, min_quality=0.6, **how).tolist() == [0, -2, -2, -2, -1]
    # unless it is below the low threshold, as candidate 3 is
    clobbered = nb.match(QUALITY, 0.7, 0.4, clobber_positives=True, **how)
    assert clobbered.tolist() == [0, 0, -2, -1, -1]
    assert nb.match(QUALITY, 0.7, 0.4, **how).tolist() == [0, 0, -2, 1, -1]
    # all that are equally good
    assert nb.match(np.array([[0.25, 0.125, 0.25]]), 0.7, 0.3, **how).tolist() == [0, -1, 0]


def test_a_truth_that_nothing_overlaps_asks_for_all():
    quality = np.array([[0.0, 0.0, 0.5], [0.0, 0.125, 0.25]])
    how = {"allow_low_quality_matches": True}
    nowhere = np.vstack([quality, np.zeros(3)])
    assert nb.match(quality, 0.7, 0.3, **how).tolist() == [-1, -1, 0]
    assert nb.match(nowhere, 0.7, 0.3, **how).tolist() == [0, 1, 0]  # as in torchvision
    assert nb.match(nowhere, 0.7, 0.3, min_quality=1e-9, **how).tolist() == [-1, -1, 0]


def test_no_truth_and_no_candidate():
    assert nb.match(np.zeros((0, 3)), 0.7, 0.3, allow_low_quality_matches=True).tolist() == [-1] * 3
    assert nb.match(np.zeros((2, 0)), 0.7, 0.3, allow_low_quality_matches=True).shape == (0,)
    assert nb.match(np.zeros((0, 0)), 0.7, 0.3).dtype == np.int64
    ignored = np.array([True, False])
    assert nb.match(np.zeros((0, 2)), 0.7, 0.3, ignored=ignored).tolist() == [-2, -1]


def test_crowds_are_ignored():
    boxes = np.array([[0.0, 0, 4, 4], [4, 0, 8, 4], [6, 0, 10, 4], [20, 0, 24, 4]])
    truth, crowd = np.array([[0.0, 0, 4, 4], [5, 0, 9, 4]]), np.array([[0.0, 0, 9, 9]])
    inside = nb.iof(boxes, crowd)[:, 0]
    assert inside.tolist() == [1, 1, 0.75, 0]
    ignored = inside > 0.75
    quality = nb.iou(truth, boxes)  # of candidates 1 and 2 with truth 1: 12 / 20, both
    assert quality[1].tolist() == [0, 0.6, 0.6, 0]
    how = {"ignored": ignored, "allow_low_quality_matches": True, "min_quality": 0.1}
    # the crowd takes candidate 0, and 1, so that truth 1 has 2 alone
    assert nb.match(quality, 0.7, 0.3, **how).tolist() == [-2, -2, 1, -1]
    # only what matches nothing
    assert nb.match(quality, 0.7, 0.3, ignore="unmatched", **how).tolist() == [0, 1, 1, -1]
    far = {"ignored": np.array([False, False, False, True]), "ignore": "unmatched"}
    assert nb.match(quality, 0.7, 0.3, **far).tolist() == [0, -2, -2, -2]


def test_iof():
    one = np.array([[0.0, 0, 4, 2], [1, 1, 1, 1]])
    two = np.array([[1.0, 0, 2, 8], [9, 9, 10, 10]])
    assert nb.iof(one[:1], two).tolist() == [[0.25, 0]]
    assert nb.iof(two, one[:1]).tolist() == [[0.25], [0]]  # 2 of 8
    assert nb.iof(one[:1], two, offset=1).tolist() == [[6 / 15, 0]]
    assert np.isnan(nb.iof(one[1:], two)).all()
    assert nb.iof(one[1:], two, zero_area="zero").tolist() == [[0, 0]]


def test_pairwise_overlaps():
    # squares of 2 that share 1 in a square of 3; two that are 2 apart in a row of 6
    a, b = np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 1, 3, 3], [4, 0, 6, 2]])
    np.testing.assert_allclose(nb.generalized_iou(a, b), [[1 / 7 - 2 / 9, -1 / 3]], rtol=1e-14)
    distance = [[1 / 7 - 1 / 9, -16 / 40]]
    np.testing.assert_allclose(nb.distance_iou(a, b, eps=0), distance, rtol=1e-14)
    np.testing.assert_allclose(nb.complete_iou(a, b, eps=0), distance, rtol=1e-14)
    assert nb.generalized_iou(a[:0], b).shape == (0, 2)
    assert nb.complete_iou(b, a[:0]).shape == (2, 0)
    point = np.ones((1, 4))
    assert np.isnan(nb.generalized_iou(point, point)).all()
    assert nb.distance_iou(point, point).tolist() == [[0]]


# -- samples --------------------------------------------------------------------------------------

MATCHES = np.array([0, -1, -2, 1, -1, 0, -1, 2, 5, -1, -1, -1])  # 5 match, 6 are background


def test_a_sample_is_balanced():
    positive, negative = nb.sample(MATCHES, 4, 0.5, seed=1)
    assert len(positive) == len(negative) == 2
    assert (MATCHES[positive] >= 0).all()
    assert (MATCHES[negative] == -1).all()
    assert positive.tolist() == sorted({*positive.tolist()})
    few = nb.sample(MATCHES[:4], 4, 0.5, seed=1)  # two match, one is background
    assert [array.tolist() for array in few] == [[0, 3], [1]]
    many = nb.sample(MATCHES, 10, 0.5, seed=1)
    assert [len(array) for array in many] == [5, 5]
    more = nb.sample(MATCHES, 20, 0.25, seed=1)  # background fills what is missing
    assert [len(array) for array in more] == [5, 6]
    assert [len(array) for array in nb.sample(MATCHES, 7, 0.5, seed=1)] == [3, 4]  # int(3.5)
    near = [nb.sample(MATCHES, size, 0.5, seed=1, rounding="nearest") for size in (7, 5)]
    assert [len(found.positive) for found in near] == [4, 2]  # 3.5 and 2.5, halves to even
    for nothing in (nb.sample(MATCHES[:0], 4, 0.5, seed=1), nb.sample(MATCHES, 0, 0.5, seed=1)):
        assert [array.tolist() for array in nothing] == [[], []]
        assert nothing.positive.dtype == np.int64


def test_a_seed_is_a_sample():
    chosen = {seed: nb.sample(MATCHES, 4, 0.5, seed=(seed, 3)) for seed in range(200)}
    again = nb.sample(MATCHES, 4, 0.5, seed=[7, 3])
    assert [a.tolist() for a in again] == [a.tolist() for a in chosen[7]]
    counts = np.bincount(np.concatenate([np.concatenate(s) for s in chosen.values()]), minlength=12)
    assert counts[2] == 0
    expected = np.where(MATCHES >= 0, 200 * 2 / 5, 200 * 2 / 6)
    assert (np.abs(counts - expected)[MATCHES != -2] < 40).all()  # 5 standard deviations
    # the same on every machine
    assert [a.tolist() for a in nb.sample(MATCHES, 4, 0.5, seed=0)] == [[0, 3], [1, 10]]


def test_luck_belongs_to_a_candidate():
    """What others match changes who is chosen only as far as there is room."""
    few, all_ = np.where(np.arange(50) % 2, -1, 0), np.zeros(50, np.int64)
    order = [int(p) for n in range(1, 51) for p in nb.sample(all_, n, 1.0, seed=5).positive]
    first = sorted(range(50), key=order.index)  # in the order in which they come in
    half = [number for number in first if number % 2 == 0][:10]
    assert nb.sample(few, 10, 1.0, seed=5).positive.tolist() == sorted(half)


# -- refusals -------------------------------------------------------------------------------------

REFUSED = [
    ("match", (QUALITY[0], 0.7, 0.3), {}, "quality has shape (5,), expected 2 axes (m, k)"),
    ("match", (QUALITY.astype(int), 0.7, 0.3), {}, "quality has dtype int64"),
    ("match", (QUALITY * np.nan, 0.7, 0.3), {}, "quality[0, 0] is nan: iou(..., zero_area='zero')"),
    ("match", (QUALITY, 0.3, 0.7), {}, "low_threshold must lie in [-inf, 0.3], got 0.7"),
    ("match", (QUALITY, np.nan, 0.7), {}, "high_threshold must lie in [-inf, inf], got nan"),
    ("match", (QUALITY, 0.7, 0.3), {"ignore": "some"}, "ignore must be one of 'all', 'unmatched'"),
    ("match", (QUALITY, 0.7, 0.3), {"ignored": np.zeros(5)}, "ignored has dtype float64"),
    ("match", (QUALITY, 0.7, 0.3), {"ignored": np.zeros(4, bool)}, "(4,), but there are 5 cand"),
    ("match", (QUALITY, 0.7, 0.3), {"allow_low_quality_matches": 1}, "must be True or False"),
    ("iof", (QUALITY, QUALITY), {}, "boxes1 has shape (3, 5), expected (..., 4)"),
    ("generalized_iou", (QUALITY, QUALITY), {}, "boxes1 has shape (3, 5), expected (..., 4)"),
    ("distance_iou", (np.ones((1, 4)), np.ones((1, 4))), {"eps": -1}, "eps must lie in [0, inf]"),
    ("complete_iou", (np.ones((1, 4)), np.eye(4)[:1]), {}, "boxes2[0] has x1 1.0 and x2 0.0"),
    ("sample", (QUALITY, 4, 0.5), {"seed": 1}, "matches has dtype float64, expected an integer"),
    ("sample", (MATCHES, -1, 0.5), {"seed": 1}, "batch_size_per_image must be at least 0, got -1"),
    ("sample", (MATCHES, 4, 1.5), {"seed": 1}, "positive_fraction must lie in [0, 1], got 1.5"),
    ("sample", (MATCHES, 4, 0.5), {"seed": 0.5}, "seed must be an integer, got 0.5"),
    ("sample", (MATCHES, 4, 0.5), {"seed": 1, "rounding": "up"}, "rounding must be one of 'down'"),
    ("match", (QUALITY, 0.7, 0.3), {"clobber_positives": 0}, "clobber_positives must be True or F"),
    ("sample", (MATCHES, 4, 0.5), {"seed": ()}, "seed has no number, got ()"),
]


@pytest.mark.parametrize(("name", "args", "kwargs", "message"), REFUSED)
def test_refuses_what_cannot_be_matched(name, args, kwargs, message):
    with pytest.raises(ns.ArgumentError) as caught:
        getattr(nb, name)(*args, **kwargs)
    assert str(caught.value).startswith(f"boxes.{name}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
