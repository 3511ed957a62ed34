"""Faster R-CNN's proposal network, against values computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from numseg import boxes
from numseg.data import Instances
from numseg.detectors import region_proposals as rpn
from numseg.detectors import regions as r
from numseg.errors import ArgumentError

MATLAB = [
    [-83, -39, 100, 56], [-175, -87, 192, 104], [-359, -183, 376, 200],
    [-55, -55, 72, 72], [-119, -119, 136, 136], [-247, -247, 264, 264],
    [-35, -79, 52, 96], [-79, -167, 96, 184], [-167, -343, 184, 360],
]  # fmt: skip
"""The nine anchors that the paper's program prints, whose first pixel is 1."""


def test_the_papers_anchors():
    base = rpn.base(rpn.Anchors(), 16, offset=1)
    np.testing.assert_array_equal(base + 1, MATLAB)
    edges = rpn.base(rpn.Anchors(), 16, offset=0)
    np.testing.assert_array_equal(boxes.area(edges), boxes.area(base, offset=1))


def test_54_channels():
    graph = rpn.network(512, 512, 9)
    shapes = graph.shapes((1, 512, 38, 63))
    assert shapes["rpn_cls_score"] == (1, 18, 38, 63)
    assert shapes["rpn_bbox_pred"] == (1, 36, 38, 63)
    assert sum(param.size for param in graph.params) == 2_387_510


def test_maps_as_rows_and_back():
    maps = np.arange(2 * 8 * 2 * 3.0).reshape(2, 8, 2, 3)  # two anchors of four numbers
    rows = rpn.by_anchor(maps[0], 4)
    # the second anchor of the place in row 1, column 2
    np.testing.assert_array_equal(rows[(1 * 3 + 2) * 2 + 1], maps[0, 4:, 1, 2])
    np.testing.assert_array_equal(rpn.by_place(rows, maps[0]), maps[0])
    two = rpn.pairs(maps[0])  # of four anchors, "no" of all first
    np.testing.assert_array_equal(two[(1 * 3 + 2) * 4 + 3], maps[0, [3, 7], 1, 2])
    np.testing.assert_array_equal(rpn.unpaired(two, maps[0]), maps[0])


ANCHORS = np.array([[0.0, 0, 10, 10], [20, 20, 30, 30]])


def lost(**how):
    scores = np.array([0, 0, math.log(3), 0]).reshape(1, 4, 1, 1)
    codes = np.array([0.5, 0, 0, 2, 9, 9, 9, 9]).reshape(1, 8, 1, 1)
    truth = r.truth(Instances([[0, 0, 10, 10]], [1]), 1.0, 0)
    return rpn.loss(
        scores, codes, ANCHORS, [truth], [(40, 40)], rpn.Anchors(**how), (1, 2), offset=0
    )


def test_the_loss_by_hand():
    """The first anchor is the object, and said with 3/4; the other is none, and said with 1/2."""
    terms = lost(variant="paper")
    assert terms.objectness == pytest.approx((math.log(4 / 3) + math.log(2)) / 2)
    assert terms.boxes == pytest.approx(10 / 1 * (0.5**2 / 2 + (2 - 0.5)))
    expected = [1 / 8, 1 / 4 - 1 / 2, -1 / 8, 1 / 4]
    np.testing.assert_allclose(terms.grad_scores.ravel(), expected, atol=1e-15)
    np.testing.assert_allclose(terms.grad_codes.ravel(), [5, 0, 0, 10, 0, 0, 0, 0], atol=1e-15)


def test_caffes_weights_of_the_loss_by_hand():
    terms = lost(variant="caffe")
    assert terms.boxes == pytest.approx(((0.5 - 1 / 18) + (2 - 1 / 18)) / 2)
    np.testing.assert_allclose(terms.grad_codes.ravel()[:4], [0.5, 0, 0, 0.5], atol=1e-15)


def test_anchors_that_leave_the_image_learn_nothing():
    truth = r.truth(Instances([[0, 0, 10, 10]], [1]), 1.0, 0)
    anchors = np.array([[-1.0, 0, 10, 10], [0, 0, 10, 9], [25, 25, 36, 36], [30, 30, 40, 40]])
    how = rpn.Anchors()
    taken, objects, _ = rpn.sampled(anchors, truth, (35, 36), how, (1,), 0)
    np.testing.assert_array_equal(taken, [1])
    np.testing.assert_array_equal(objects, [0])
    taken, _, _ = rpn.sampled(anchors, truth, (35, 36), how._replace(border=1.0), (1,), 0)
    np.testing.assert_array_equal(taken, [0, 1, 2])
    taken, _, _ = rpn.sampled(anchors, truth, (35, 36), how._replace(border=None), (1,), 0)
    np.testing.assert_array_equal(taken, [0, 1, 2, 3])


def test_an_object_that_no_anchor_overlaps_asks_for_none():
    truth = r.truth(Instances([[50, 50, 60, 60]], [1]), 1.0, 0)
    _, objects, _ = rpn.sampled(ANCHORS, truth, (90, 90), rpn.Anchors(), (1,), 0)
    assert len(objects) == 0


def test_proposals_by_hand():
    anchors = np.array([[0.0, 0, 10, 10], [0, 0, 10, 9], [20, 20, 30, 30], [28, 28, 38, 38]])
    scores = np.array([0.0, 0, 0, 0, 1, 2, 3, 4]).reshape(8, 1, 1)
    codes = np.zeros((16, 1, 1))
    codes[8] = 0.5  # the third goes half its width to the right
    how = rpn.Proposals(min_size=4)
    found, sure = rpn.propose(scores, codes, anchors, (30, 30), how, training=True, offset=0)
    # the last is 2 x 2 on the image; the first is covered by the second
    np.testing.assert_allclose(found, [[25, 20, 30, 30], [0, 0, 10, 9]])
    np.testing.assert_allclose(sure, 1 / (1 + np.exp([-3.0, -2])))
    one = how._replace(post_nms=(2, 1))
    assert len(rpn.propose(scores, codes, anchors, (30, 30), one, training=False, offset=0)[0]) == 1
    none = how._replace(pre_nms=(0, 0))
    assert (
        len(rpn.propose(scores, codes, anchors, (30, 30), none, training=False, offset=0)[0]) == 0
    )


def test_maps_of_nan_are_an_error():
    scores, codes = np.full((4, 1, 1), np.nan), np.zeros((8, 1, 1))
    with pytest.raises(ArgumentError, match="nan"):
        rpn.propose(
            scores, codes, ANCHORS, (40, 40), rpn.Proposals(min_size=0), training=False, offset=0
        )


def test_words_that_are_none():
    with pytest.raises(ArgumentError, match=r"^variant must be one of 'paper', 'caffe', got 'x'"):
        rpn.anchors({"variant": "x"})
