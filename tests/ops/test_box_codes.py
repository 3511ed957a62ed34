"""encode_boxes and decode_boxes against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

import numseg as ns

FACES = pytest.mark.parametrize("face", ["fast", "reference"])
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])

ANCHOR = np.array([2.0, 2, 6, 10])  # 4 x 8 around (4, 6)
BOX = np.array([3.0, 2, 11, 6])  # 8 x 4 around (7, 4)
UNITS = np.eye(4)


def _rows(op, *arrays, **how):
    """The gradients of each of the four results."""
    four = [np.tile(array, (4, 1)) for array in arrays]
    _, saved = op.forward(*four, **how)
    return op.backward(saved, UNITS)


@FACES
@DTYPES
def test_encode(dtype, face):
    log2 = np.log(dtype(2))
    with ns.use(face):
        codes = ns.encode_boxes(BOX.astype(dtype), ANCHOR.astype(dtype))
        assert codes.dtype == dtype
        assert codes.tolist() == [0.75, -0.25, log2, -log2]
        how = {"weights": (10, 10, 5, 4)}
        weighted = ns.encode_boxes(BOX.astype(dtype), ANCHOR.astype(dtype), **how)
        np.testing.assert_allclose(weighted, [7.5, -2.5, 5 * log2, -4 * log2], rtol=1e-6)
        # with the last pixel 4 x 8 around (2, 4), 8 x 8 around (6, 4)
        old = np.array([2.0, 0, 9, 7]), np.array([0.0, 0, 3, 7])
        assert ns.encode_boxes(*old, offset=1).tolist() == [1, 0, math.log(2), 0]


@FACES
def test_gradients_of_encode(face):
    with ns.use(face):
        boxes, anchors = _rows(ns.encode_boxes, BOX, ANCHOR)
        doubled, _ = _rows(ns.encode_boxes, BOX, ANCHOR, weights=(2, 4, 8, 16))
    assert boxes.tolist() == [
        [1 / 8, 0, 1 / 8, 0],  # dx: the mean of x1 and x2, over 4
        [0, 1 / 16, 0, 1 / 16],
        [-1 / 8, 0, 1 / 8, 0],  # dw: over 8, the box's own width
        [0, -1 / 4, 0, 1 / 4],
    ]
    assert anchors.tolist() == [
        [1 / 16, 0, -5 / 16, 0],  # -1/8 of the center, and 3/16 of dx over wa, each way
        [0, -3 / 32, 0, -1 / 32],
        [1 / 4, 0, -1 / 4, 0],
        [0, 1 / 8, 0, -1 / 8],
    ]
    assert doubled.tolist() == (boxes * [[2], [4], [8], [16]]).tolist()


@FACES
@DTYPES
def test_decode(dtype, face):
    anchor, codes = ANCHOR.astype(dtype), np.array([0.5, -0.25, 0, 0], dtype)
    with ns.use(face):
        box = ns.decode_boxes(codes, anchor)
        assert box.dtype == dtype
        assert box.tolist() == [4, 0, 8, 8]
        assert ns.decode_boxes(codes, anchor, (0.5, 0.25, 1, 1)).tolist() == [6, -6, 10, 2]
        # with the last pixel it is 5 x 9 around (4.5, 6.5), to (7, 4.25), up to 9.5 - 1, 8.75 - 1
        assert ns.decode_boxes(codes, anchor, offset=1).tolist() == [4.5, -0.25, 8.5, 7.75]
        old = ns.decode_boxes(codes, anchor, offset=1, inverse=False)
        assert old.tolist() == [4.5, -0.25, 9.5, 8.75]


@FACES
def test_gradients_of_decode(face):
    with ns.use(face):
        codes, anchors = _rows(ns.decode_boxes, np.array([0.5, -0.25, 0, 0]), ANCHOR)
    # x1 = dx wa + xa - exp(dw) wa / 2
    assert codes.tolist() == [[4, 0, -2, 0], [0, 8, 0, -4], [4, 0, 2, 0], [0, 8, 0, 4]]
    assert anchors.tolist() == [
        [0.5, 0, 0.5, 0], [0, 1.25, 0, -0.25], [-0.5, 0, 1.5, 0], [0, 0.25, 0, 0.75]
    ]  # fmt: skip


@FACES
def test_codes_of_several_classes_share_an_anchor(face):
    codes = np.zeros((2, 3, 4))
    codes[..., 0] = [[0, 1, 2], [3, 4, 5]]
    anchors = np.array([[0.0, 0, 2, 2], [4, 4, 8, 8]])
    with ns.use(face):
        boxes, saved = ns.decode_boxes.forward(codes, anchors)
        assert boxes[..., 0].tolist() == [[0, 2, 4], [16, 20, 24]]
        grad = np.zeros((2, 3, 4))
        grad[..., 2] = 1  # of x2: 1/2 of the center, and dx + 1/2 each way, for each class
        _, of_anchors = ns.decode_boxes.backward(saved, grad)
    assert of_anchors.tolist() == [[-3, 0, 6, 0], [-12, 0, 15, 0]]


@FACES
def test_the_kink_where_a_side_is_clipped(face):
    most = math.log(2)
    codes = np.zeros((3, 4))
    codes[:, 2] = codes[:, 3] = [0.5, most, 1]
    anchors = np.tile(np.array([0.0, 0, 2, 4]), (3, 1))
    with ns.use(face):
        boxes, saved = ns.decode_boxes.forward(codes, anchors, bbox_xform_clip=most)
        assert boxes[1].tolist() == boxes[2].tolist()
        np.testing.assert_allclose(boxes[1], [-1, -2, 3, 6], rtol=1e-15)
        of_codes, of_anchors = ns.decode_boxes.backward(saved, np.tile([0.0, 0, 1, 0], (3, 1)))
    np.testing.assert_allclose(of_codes[:, 2], [math.exp(0.5), 2, 0], rtol=1e-15)
    np.testing.assert_allclose(of_anchors[1:, ::2], [[-0.5, 1.5]] * 2, rtol=1e-15)
    with ns.use(face):
        endless = ns.decode_boxes(np.array([0, 0, 1e3, -1e3]), anchors[0], bbox_xform_clip=None)
    assert endless.tolist() == [-math.inf, 2, math.inf, 2]


@FACES
@DTYPES
def test_one_is_the_inverse_of_the_other(dtype, face):
    rng = np.random.default_rng(0)
    low, side = rng.uniform(-9, 9, (2, 50, 2)), rng.uniform(1, 9, (2, 50, 2))
    boxes, anchors = np.concatenate([low, low + side], -1).astype(dtype)
    for offset in (0, 1):
        how = {"weights": (10, 10, 5, 5), "offset": offset}
        with ns.use(face):
            back = ns.decode_boxes(ns.encode_boxes(boxes, anchors, **how), anchors, **how)
        np.testing.assert_allclose(back, boxes, atol=80 * np.finfo(dtype).eps)


@FACES
def test_codes_that_are_no_number_go_through(face):
    codes = np.array([[math.nan, 0, 0, 0], [0, 0, 0, math.inf], [0, 0, 0, 0]])
    with ns.use(face):
        boxes = ns.decode_boxes(codes, np.tile(ANCHOR, (3, 1)), bbox_xform_clip=None)
    assert np.isnan(boxes[0]).tolist() == [True, False, True, False]
    assert boxes[1].tolist() == [2, -math.inf, 6, math.inf]
    assert boxes[2].tolist() == ANCHOR.tolist()
