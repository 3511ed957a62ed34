"""Forms, overlaps, codes and anchors of boxes, worked out by hand."""

from __future__ import annotations

import doctest
import math

import numpy as np
import pytest

import numseg as ns
from numseg import boxes as nb

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
NAN, INF = math.nan, math.inf

BOX = np.array([1.0, 2, 4, 8])


@pytest.mark.parametrize("name", nb.__all__)
def test_every_function_has_a_docstring_whose_examples_run(name):
    doc = getattr(nb, name).__doc__
    for section in ("Parameters", "Returns", "Raises"):
        assert f"    {section}\n    {'-' * len(section)}" in doc
    test = doctest.DocTestParser().get_doctest(doc, {}, name, None, 0)
    lines: list[str] = []
    doctest.DocTestRunner(verbose=False).run(test, out=lines.append)
    assert not lines


# -- forms ----------------------------------------------------------------------------------------

FORMS = {"xyxy": [1, 2, 4, 8], "xywh": [1, 2, 3, 6], "cxcywh": [2.5, 5, 3, 6], "yxyx": [2, 1, 8, 4]}


@DTYPES
@pytest.mark.parametrize("one", FORMS)
@pytest.mark.parametrize("two", FORMS)
def test_convert(one, two, dtype):
    found = nb.convert(np.array([[FORMS[one]]], dtype), one, two)
    assert found.dtype == dtype
    assert found.tolist() == [[FORMS[two]]]


def test_area_and_the_legacy_offset():
    assert nb.area(BOX) == 18
    assert nb.area(BOX, offset=1) == 28
    point = np.array([[1.0, 1, 1, 1]])
    assert nb.area(point) == 0
    assert nb.area(point, offset=1) == 1
    assert nb.area(np.zeros((2, 0, 4))).shape == (2, 0)


def test_clip():
    boxes = np.array([[-1.0, -2, 3, 4], [5, 6, 70, 80], [-9, 9, -1, 99]])
    assert nb.clip(boxes, (8, 10)).tolist() == [[0, 0, 3, 4], [5, 6, 10, 8], [0, 8, 0, 8]]
    assert nb.clip(boxes, (8, 10), offset=1).tolist() == [[0, 0, 3, 4], [5, 6, 9, 7], [0, 7, 0, 7]]


def test_remove_small():
    boxes = np.array([[0.0, 0, 2, 9], [0, 0, 1, 9], [0, 0, 9, 1.5], [4, 4, 0, 9], [0, 0, 0, 0]])
    assert nb.remove_small(boxes, 1.5).tolist() == [0, 2]
    assert nb.remove_small(boxes, 2, offset=1).tolist() == [0, 1, 2]
    assert nb.remove_small(boxes, 1, comparison=">").tolist() == [0, 2]
    assert nb.remove_small(boxes, 0, comparison=">").tolist() == [0, 1, 2]
    assert nb.remove_small(boxes, 0).tolist() == [0, 1, 2, 4]
    assert nb.remove_small(boxes[:0], 0).dtype == np.int64


# -- overlaps -------------------------------------------------------------------------------------


@DTYPES
def test_iou(dtype):
    one = np.array([[0, 0, 2, 2], [0, 0, 4, 4]], dtype)
    two = np.array([[1, 1, 3, 3], [2, 0, 3, 2], [0, 0, 2, 2]], dtype)
    # intersections 1, 0 (they touch), 4 and 4, 2, 4; unions 7, 6, 4 and 16, 16, 16
    expected = np.array([[1 / 7, 0, 1], [1 / 4, 1 / 8, 1 / 4]], dtype)
    assert nb.iou(one, two).tolist() == expected.tolist()
    assert nb.iou(one, two[:1] + dtype(9)).tolist() == [[0], [0]]  # apart in both directions
    # with the last pixel: 2 * 2 of 9 + 9 - 4, 1 * 3 of 9 + 6 - 3, 9 of 9
    assert nb.iou(one[:1], two, offset=1).tolist() == [np.array([4 / 14, 1 / 4, 1], dtype).tolist()]


def test_iou_of_forms_and_swapped_corners():
    one, two = np.array([[1.0, 2, 4, 8]]), np.array([[2.0, 2, 6, 5]])
    wanted = nb.iou(one, two)
    assert wanted.item() == 6 / (18 + 12 - 6)
    for fmt in FORMS:
        forms = (nb.convert(b, "xyxy", fmt) for b in (one, two))
        assert nb.iou(*forms, fmt=fmt) == wanted
    assert nb.iou(one[:, [2, 1, 0, 3]], two[:, [0, 3, 2, 1]], corners="any") == wanted


def test_iou_of_boxes_without_area():
    point, line, box = (np.array([b], float) for b in ([1, 1, 1, 1], [0, 1, 2, 1], [0, 0, 2, 2]))
    assert np.isnan(nb.iou(point, line).item())
    assert nb.iou(point, line, zero_area="zero").item() == 0
    assert nb.iou(point, box).item() == nb.iou(box, line, zero_area="zero").item() == 0
    assert nb.iou(point, point, offset=1).item() == 1
    huge = np.array([[-1e300, -1e300, 1e300, 1e300]])
    assert np.isnan(nb.iou(huge, huge).item())  # infinity over infinity
    assert nb.iou(box[:0], box).shape == (0, 1)


# -- suppression ----------------------------------------------------------------------------------

FACES = pytest.mark.parametrize("face", ["fast", "reference"])

LADDER = np.array([[0.0, 0, 4, 1], [1, 0, 5, 1], [2, 0, 6, 1], [3, 0, 7, 1], [9, 0, 10, 1]])
"""Neighbours share 3 of 5, the next 2 of 6, then 1 of 7."""


@FACES
@DTYPES
def test_nms(face, dtype):
    boxes, scores = LADDER.astype(dtype), np.array([0.5, 0.9, 0.6, 0.8, 0.1], dtype)
    with ns.use(face):
        # 1 takes 0 and 2 with it at .5; 3 shares 1/3 with 1 and stays
        assert nb.nms(boxes, scores, 0.5).tolist() == [1, 3, 4]
        assert nb.nms(boxes, scores, 0.3).tolist() == [1, 4]
        assert nb.nms(boxes, scores, 0.7).tolist() == [1, 3, 2, 0, 4]
        assert nb.nms(boxes, scores, 0.7, max_output=2).tolist() == [1, 3]
        assert nb.nms(boxes, scores, 0.7, max_output=0).tolist() == []
        assert nb.nms(boxes, scores, 0.7, score_threshold=0.5).tolist() == [1, 3, 2]
        assert nb.nms(boxes[:0], scores[:0], 0.5).tolist() == []


@FACES
def test_a_suppressed_box_suppresses_nothing(face):
    with ns.use(face):
        # 0 takes 1 with it, so 2 stays, which shares 3/5 with 1 and 1/3 with 0
        assert nb.nms(LADDER[:3], np.array([0.9, 0.8, 0.7]), 0.5).tolist() == [0, 2]


@FACES
def test_equal_scores_and_an_overlap_of_exactly_the_threshold(face):
    half = np.array([[0.0, 0, 2, 2], [0, 0, 2, 1], [0, 0, 2, 2], [0, 0, 2, 2]])
    scores = np.array([0.5, 0.5, 0.5, INF])
    with ns.use(face):
        assert nb.nms(half, scores, 0.5).tolist() == [3, 1]
        assert nb.nms(half, scores, 0.5, comparison=">=").tolist() == [3]
        assert nb.nms(half, scores, 1.0).tolist() == [3, 0, 1, 2]
        # .3 is a little less than float32's 3/10, and compared in float64
        tenth = np.array([[0, 0, 10, 1], [0, 0, 3, 1]], np.float32)
        two = scores[:2].astype(np.float32)
        assert nb.nms(tenth, two, 0.3).tolist() == [0]
        assert nb.nms(tenth, two, np.float32(0.3)).tolist() == [0, 1]


@FACES
def test_nms_with_the_last_pixel(face):
    # 4 columns of 5: 4/5 ... with the last pixel: shares 4 of 6 = 2/3 with the neighbour, 3 of 7
    with ns.use(face):
        scores = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
        assert nb.nms(LADDER, scores, 0.62, offset=1).tolist() == [0, 2, 4]
        assert nb.nms(LADDER, scores, 0.62).tolist() == [0, 1, 2, 3, 4]


@FACES
def test_boxes_without_area_are_never_suppressed_unless_by_zero(face):
    points = np.ones((3, 4))
    scores = np.array([0.1, 0.3, 0.2])
    with ns.use(face):
        assert nb.nms(points, scores, 0.0).tolist() == [1, 2, 0]
        assert nb.nms(points, scores, 0.0, zero_area="zero").tolist() == [1, 2, 0]
        both = {"zero_area": "zero", "comparison": ">="}
        assert nb.nms(points, scores, 0.0, **both).tolist() == [1]
        assert nb.nms(points, scores, 0.0, comparison=">=").tolist() == [1, 2, 0]


@FACES
def test_classes_do_not_compete(face):
    scores, classes = np.array([0.5, 0.9, 0.6, 0.8, 0.1]), np.array([7, -3, 7, 7, 7])
    with ns.use(face):
        # 3 takes 2 with it; 0 shares 1/7 with 3; 1 is alone
        assert nb.batched_nms(LADDER, scores, classes, 0.5).tolist() == [1, 3, 0, 4]
        assert nb.batched_nms(LADDER, scores, classes, 0.5, max_output=1).tolist() == [1, 3]
        far = LADDER + 1e9  # where the trick of moving classes apart would lose the sizes
        assert nb.batched_nms(far, scores, classes, 0.5).tolist() == [1, 3, 0, 4]


@DTYPES
def test_soft_nms(dtype):
    # Neighbours share .6, the next 1/3, then 1/7. 1 first: 0 and 2 drop to .4 of .5 and .6, 3 to
    # 2/3 of .75. Then 3 lowers 2 again, to .4 of .24, and 0 by 6/7 or, below the threshold, not at
    # all; and 0 lowers 2 to 2/3 of .096.
    boxes, scores = LADDER.astype(dtype), np.array([0.5, 0.9, 0.6, 0.75, 0.1], dtype)
    kept, final = nb.soft_nms(boxes, scores)
    assert kept.tolist() == [1, 3, 0, 4, 2]
    assert final.dtype == dtype
    np.testing.assert_allclose(final, [0.9, 0.5, 0.2, 0.1, 0.064], rtol=1e-6)
    kept, final = nb.soft_nms(boxes, scores, 0.1, min_score=0.15)
    assert kept.tolist() == [1, 3, 0]
    np.testing.assert_allclose(final, [0.9, 0.5, 0.2 * 6 / 7], rtol=1e-6)
    kept, final = nb.soft_nms(boxes[:2], scores[:2], method="gaussian", sigma=0.25)
    assert kept.tolist() == [1, 0]
    np.testing.assert_allclose(final, [0.9, 0.5 * math.exp(-0.36 / 0.25)], rtol=1e-6)


def test_soft_nms_at_its_edges():
    half, equal = np.array([[0.0, 0, 2, 2], [0, 0, 2, 1], [1, 1, 1, 1]]), np.array([0.5, 0.5, 0.5])
    # box 1 is half of 0: at a threshold of exactly 1/2
    assert nb.soft_nms(half, equal, 0.5)[1].tolist() == [0.5, 0.5, 0.5]
    kept, final = nb.soft_nms(half, equal, 0.5, comparison=">=")
    assert (kept.tolist(), final.tolist()) == ([0, 2, 1], [0.5, 0.5, 0.25])
    assert nb.soft_nms(half, equal, 0.5, min_score=0.5)[0].tolist() == [0, 1, 2]
    assert nb.soft_nms(half, equal, 0.5, min_score=0.6)[0].tolist() == []
    points = np.ones((2, 4))  # an overlap of 0 / 0 is none
    assert nb.soft_nms(points, equal[:2], method="gaussian")[1].tolist() == [0.5, 0.5]
    assert nb.soft_nms(half[:0], equal[:0])[0].dtype == np.int64


@DTYPES
def test_the_kernel_is_the_definition(dtype):
    rng = np.random.default_rng(0)
    for step in (1, 64):
        start = rng.integers(0, 20 * step, (300, 2)) / step
        size = rng.integers(0, 9 * step, (300, 2)) / step
        boxes = np.concatenate([start, start + size], 1).astype(dtype)
        scores = (rng.integers(0, 40, 300) / 40).astype(dtype)
        classes = rng.integers(0, 3, 300)
        for k, threshold in enumerate((0.0, 0.25, 0.5, 1 / 3, 0.6)):
            how = {
                "comparison": (">", ">=")[k % 2],
                "offset": int(k > 2),
                "zero_area": ("nan", "zero")[k % 3 == 0],
                "max_output": (None, 20)[k % 2],
            }
            fast = nb.batched_nms(boxes, scores, classes, threshold, **how)
            with ns.use("reference"):
                slow = nb.batched_nms(boxes, scores, classes, threshold, **how)
            assert fast.tolist() == slow.tolist()
            assert 3 <= len(fast) < 300


@FACES
def test_the_best_of_each_class_take_part(face):
    classes = np.array([0, 1, 0, 1, 1])
    scores = np.array([0.5, 0.9, 0.6, 0.8, 0.1])
    with ns.use(face):
        # two of each; in each the neighbours but one share 1/3
        how = {"pre_nms_top_n": 2}
        assert nb.batched_nms(LADDER, scores, classes, 0.3, **how).tolist() == [1, 2]
        assert nb.batched_nms(LADDER, scores, classes, 0.9, **how).tolist() == [1, 3, 2, 0]
        both = nb.batched_nms(LADDER, scores, classes, 0.9, post_nms_top_n=3, **how)
        assert both.tolist() == [1, 3, 2]
        assert nb.batched_nms(LADDER, scores, classes, 0.9, post_nms_top_n=0).tolist() == []
        # without classes: 1, 3 and 2 take part, and 4 does not, though nothing overlaps it
        assert nb.nms(LADDER, scores, 0.3, pre_nms_top_n=3).tolist() == [1]
        assert nb.nms(LADDER, scores, 0.35, pre_nms_top_n=3).tolist() == [1, 3]
        assert nb.nms(LADDER, scores, 0.9, pre_nms_top_n=0).tolist() == []
        equal = np.array([0.5, 0.5, 0.5, 0.5, 0.9])  # of equal scores the lower indices
        assert nb.nms(LADDER, equal, 0.9, pre_nms_top_n=3).tolist() == [4, 0, 1]


@pytest.mark.parametrize("method", ["linear", "gaussian"])
def test_soft_nms_within_classes(method):
    scores, classes = np.array([0.5, 0.9, 0.6, 0.75, 0.1]), np.array([7, 2, 7, 2, 2])
    kept, final = nb.soft_nms(LADDER, scores, 0.1, idxs=classes, method=method)
    alone = {}
    for label in (2, 7):
        (of,) = np.nonzero(classes == label)
        places, values = nb.soft_nms(LADDER[of], scores[of], 0.1, method=method)
        alone |= dict(zip(of[places].tolist(), values.tolist(), strict=True))
    assert dict(zip(kept.tolist(), final.tolist(), strict=True)) == alone
    assert final.tolist() == sorted(final.tolist(), reverse=True)


# -- codes ----------------------------------------------------------------------------------------


@DTYPES
def test_encode_and_decode(dtype):
    anchor = np.array([2, 2, 6, 10], dtype)  # 4 x 8 around (4, 6)
    box = np.array([3, 2, 11, 6], dtype)  # 8 x 4 around (7, 4)
    codes = nb.encode(box, anchor)
    log2 = np.log(dtype(2))
    assert codes.dtype == dtype
    assert codes.tolist() == [0.75, -0.25, log2, -log2]
    weighted = nb.encode(box, anchor, weights=(10, 10, 5, 4))
    assert weighted.tolist() == [7.5, -2.5, 5 * log2, -4 * log2]
    back = nb.decode(weighted, anchor, weights=(10, 10, 5, 4))
    np.testing.assert_allclose(back, box, rtol=4 * np.finfo(dtype).eps)


def test_codes_with_the_last_pixel():
    anchor, box = np.array([0.0, 0, 3, 7]), np.array([2.0, 0, 9, 7])
    # 4 x 8 around (2, 4), 8 x 8 around (6, 4)
    codes = nb.encode(box, anchor, offset=1)
    assert codes.tolist() == [1, 0, math.log(2), 0]
    assert nb.decode(codes, anchor, offset=1).tolist() == box.tolist()
    assert nb.decode(codes, anchor, offset=1, inverse=False).tolist() == [2, 0, 10, 8]


def test_decode_clips_sides():
    anchor = np.array([0.0, 0, 2, 2])
    codes = np.array([0, 0, 100.0, -100])
    wide = nb.decode(codes, anchor)
    np.testing.assert_allclose(wide, [1 - 62.5, 1, 1 + 62.5, 1], rtol=1e-14)
    assert nb.decode(codes, anchor, clip=math.log(2))[0] == pytest.approx(-1)
    assert nb.decode(codes * 10, anchor, clip=None)[0] == -INF
    # the clip comes after the weights
    assert nb.decode(codes, anchor, weights=(1, 1, 100, 1))[0] == pytest.approx(1 - math.e)


def test_decode_broadcasts():
    anchors = np.array([[0.0, 0, 2, 2], [4, 4, 8, 8]])
    codes = np.zeros((2, 3, 4))
    codes[..., 0] = [[0, 1, 2], [3, 4, 5]]
    assert nb.decode(codes, anchors[:, None])[..., 0].tolist() == [[0, 2, 4], [16, 20, 24]]
    assert nb.decode(np.zeros((0, 4)), anchors[:0]).shape == (0, 4)


# -- anchors --------------------------------------------------------------------------------------


def test_the_anchors_of_faster_rcnn():
    # the nine boxes that everyone knows from its source, 0-based
    found = nb.base_anchors([128, 256, 512], [0.5, 1, 2], rounding="sides", dtype=np.float64)
    assert found.tolist() == [
        [-84, -40, 99, 55], [-176, -88, 191, 103], [-360, -184, 375, 199],
        [-56, -56, 71, 71], [-120, -120, 135, 135], [-248, -248, 263, 263],
        [-36, -80, 51, 95], [-80, -168, 95, 183], [-168, -344, 183, 359],
    ]  # fmt: skip
    # and in its paper's MATLAB, where the first pixel is 1
    ones = nb.base_anchors([128, 256, 512], [0.5, 1, 2], rounding="sides", origin=1)
    assert ones.tolist() == [
        [-83, -39, 100, 56], [-175, -87, 192, 104], [-359, -183, 376, 200],
        [-55, -55, 72, 72], [-119, -119, 136, 136], [-247, -247, 264, 264],
        [-35, -79, 52, 96], [-79, -167, 96, 184], [-167, -343, 184, 360],
    ]  # fmt: skip


@DTYPES
def test_anchors_with_rounded_corners_and_without(dtype):
    # 32 / sqrt(2) = 22.627, half of it 11.31; 32 * sqrt(2) = 45.25, half 22.63
    found = nb.base_anchors([32, 64], [0.5, 1], dtype=dtype)
    assert found.dtype == dtype
    assert found.tolist() == [
        [-23, -11, 23, 11], [-45, -23, 45, 23], [-16, -16, 16, 16], [-32, -32, 32, 32]
    ]  # fmt: skip
    assert nb.base_anchors([1, 3], [1]).tolist() == [[0, 0, 0, 0], [-2, -2, 2, 2]]  # halves to even
    by_size = nb.base_anchors([32, 64], [0.25, 1], rounding="none", order="sizes", dtype=dtype)
    assert by_size.tolist() == [
        [-32, -8, 32, 8], [-16, -16, 16, 16], [-64, -16, 64, 16], [-32, -32, 32, 32]
    ]  # fmt: skip


def test_anchors_of_a_grid():
    base = np.array([[-1.0, -2, 1, 2], [0, 0, 1, 1]])
    found = nb.anchors((2, 2), (10, 20), base)
    assert found.tolist() == [
        [-1, -2, 1, 2], [0, 0, 1, 1], [19, -2, 21, 2], [20, 0, 21, 1],
        [-1, 8, 1, 12], [0, 10, 1, 11], [19, 8, 21, 12], [20, 10, 21, 11],
    ]  # fmt: skip
    assert nb.anchors(1, 10, base[:1], offset=0.5).tolist() == [[4, 3, 6, 7]]
    assert nb.anchors((0, 3), 1, base).shape == (0, 4)


# -- masks ----------------------------------------------------------------------------------------


@DTYPES
def test_paste_by_sampling(dtype):
    # Columns: a mask of 1 0 over the box from 1 to 5; pixels' centers at 1.5 ... read at
    # (.5 / 4) * 2 - .5 = -.25, .25, .75, 1.25; below 0 it fades: .75, .75, .25, 0; and pixel 0,
    # at -.75, has .25. One row.
    mask, box = np.array([[[1, 0]]], dtype), np.array([[1, 0, 5, 1]], dtype)
    soft = nb.paste_masks(mask, box, (1, 6), threshold=None)
    assert soft.dtype == dtype
    assert soft.tolist() == [[[0.25, 0.75, 0.75, 0.25, 0, 0]]]
    assert nb.paste_masks(mask, box, (1, 6)).tolist() == [[[False, True, True] + [False] * 3]]
    at = nb.paste_masks(
        mask, box, (1, 6), threshold=0.75
    )  # a value of exactly the threshold counts
    assert at.tolist() == [[[False, True, True] + [False] * 3]]
    # a box across the border
    soft = nb.paste_masks(mask, box - np.array([2, 0, 2, 0], dtype), (1, 2), threshold=None)
    assert soft.tolist() == [[[0.75, 0.25]]]


def test_paste_by_resizing():
    # without padding: the box (1.9, 0, 4.2, 0) is truncated to columns 1 to 4, 4 of them; the mask
    # 1 0 resized to 4: at -.25 (its border), .25, .75, 1.25: 1 .75 .25 0
    mask, box = np.array([[[1.0, 0]]]), np.array([[1.9, 0, 4.2, 0]])
    how = {"method": "resize", "threshold": None}
    soft = nb.paste_masks(mask, box, (1, 6), padding=0, **how)
    assert soft.tolist() == [[[0, 1, 0.75, 0.25, 0, 0]]]
    # padding 1: a mask of one pixel becomes 3 x 3 with a one in the middle, the box (4, 4, 6, 6)
    # three times as large about (5, 5): columns 2 to 8, seven of them, at (i + .5) * 3 / 7 - .5
    one, box = np.ones((1, 1, 1)), np.array([[4.0, 4, 6, 6]])
    soft = nb.paste_masks(one, box, (9, 10), **how)[0]
    line = [0, 0, 0, 2 / 14, 8 / 14, 1, 8 / 14, 2 / 14, 0, 0]
    np.testing.assert_allclose(soft, np.outer(line, line)[:9], atol=1e-15)
    # box (2, 0, 2, 0) of no size is one pixel
    assert nb.paste_masks(one, np.array([[2.0, 0, 2, 0]]), (1, 4), padding=0, **how).tolist() == [
        [[0, 0, 1, 0]]
    ]


def test_paste_empty():
    assert nb.paste_masks(np.zeros((0, 2, 2)), np.zeros((0, 4)), (3, 4)).shape == (0, 3, 4)
    point = np.array([[1.0, 1, 1, 3]])
    assert not nb.paste_masks(np.ones((1, 2, 2)), point, (4, 4)).any()
    assert nb.paste_masks(np.ones((1, 2, 2)), point, (0, 4)).shape == (1, 0, 4)


# -- refusals -------------------------------------------------------------------------------------

B, S, C = np.array([[0.0, 0, 1, 1], [0, 0, 2, 2]]), np.array([0.5, 0.6]), np.array([0, 1])


def _with(value, place, array=B):
    return np.where(np.arange(array.size).reshape(array.shape) == place, value, array)


REFUSED = [
    ("convert", (B, "xyxy", "polar"), {}, "out_fmt must be one of 'xyxy', 'xywh', 'cxcywh'"),
    ("convert", (B[:, :3], "xyxy", "xywh"), {}, "boxes has shape (2, 3), expected (..., 4)"),
    ("convert", (B.astype(int), "xyxy", "xywh"), {}, "boxes has dtype int64"),
    ("convert", ([1, 2, 3, 4], "xyxy", "xywh"), {}, "boxes must be an array, got list"),
    ("area", (_with(NAN, 6),), {}, "boxes[1, 2] is nan, expected a finite number"),
    ("area", (_with(-3, 7),), {}, "boxes[1] has y1 0.0 and y2 -3.0, expected y1 <= y2"),
    ("area", (B,), {"offset": 2}, "offset must be at most 1, got 2"),
    ("clip", (B, (-1, 3)), {}, "size[0] must be at least 0, got -1"),
    ("clip", (B, 0), {"offset": 1}, "size must be at least 1, got 0"),
    ("remove_small", (B, NAN), {}, "min_size must lie in [-inf, inf], got nan"),
    ("remove_small", (B, 1), {"comparison": "<"}, "comparison must be one of '>=', '>', got '<'"),
    ("iou", (B, B.astype(np.float32)), {}, "boxes2 has dtype float32, but boxes1 has float64"),
    ("iou", (B, _with(INF, 0)), {}, "boxes2[0, 0] is inf, expected a finite number"),
    ("iou", (B, _with(9, 0)), {}, "boxes2[0] has x1 9.0 and x2 1.0, expected x1 <= x2"),
    ("iou", (B[0], B), {}, "boxes1 has shape (4,), expected 2 axes (k, 4)"),
    ("iou", (B, B), {"zero_area": "one"}, "zero_area must be one of 'nan', 'zero', got 'one'"),
    ("iou", (B, B), {"corners": "all"}, "corners must be one of 'ordered', 'any', got 'all'"),
    ("nms", (B, S[:1], 0.5), {}, "scores has shape (1,), but there are 2 boxes"),
    ("nms", (B, S[:, None], 0.5), {}, "scores has shape (2, 1), expected 1 axes (k)"),
    ("nms", (B, _with(NAN, 1, S), 0.5), {}, "scores[1] is nan: it has no order"),
    ("nms", (B, S, NAN), {}, "iou_threshold must lie in [-inf, inf], got nan"),
    ("nms", (B, S, "x"), {}, "iou_threshold must be a real number, got 'x'"),
    ("nms", (B, S, 0.5), {"max_output": -1}, "max_output must be at least 0, got -1"),
    ("nms", (_with(5, 5), S, 0.5), {}, "boxes[1] has y1 5.0 and y2 2.0, expected y1 <= y2"),
    ("nms", (B, S, 0.5), {"pre_nms_top_n": -1}, "pre_nms_top_n must be at least 0, got -1"),
    ("batched_nms", (B, S, C, 0.5), {"post_nms_top_n": 1.5}, "post_nms_top_n must be an integer"),
    ("soft_nms", (B, S), {"idxs": S}, "idxs has dtype float64, expected an integer dtype"),
    ("batched_nms", (B, S, S, 0.5), {}, "idxs has dtype float64, expected an integer dtype"),
    ("batched_nms", (B, S, C[:1], 0.5), {}, "idxs has shape (1,), but there are 2 boxes"),
    ("soft_nms", (B, -S), {}, "scores reach -0.6, expected none below 0"),
    ("soft_nms", (B, S), {"sigma": 0}, "sigma must be positive"),
    ("soft_nms", (B, S), {"method": "hard"}, "method must be one of 'linear', 'gaussian'"),
    ("encode", (B, _with(0, 2)), {}, "anchors[0] has x1 0.0 and x2 0.0, expected x1 < x2"),
    ("encode", (B, B[None, :1].repeat(3, 1)), {}, "(2, 4), anchors has (1, 3, 4): they do not"),
    ("encode", (B, B), {"weights": (1, 2)}, "weights must be four numbers, got (1, 2)"),
    ("encode", (B, B), {"weights": (1, 2, 0, 1)}, "weights must not be 0, got (1, 2, 0, 1)"),
    ("decode", (_with(NAN, 0), B), {}, "codes[0, 0] is nan, expected a finite number"),
    ("decode", (B, B), {"inverse": 1}, "inverse must be True or False, got 1"),
    ("decode", (B, B), {"clip": INF}, "clip must lie in [-inf, inf], got inf"),
    ("base_anchors", ([0], [1]), {}, "sizes[0] must be positive"),
    ("base_anchors", ([1], [1]), {"origin": 2}, "origin must be at most 1, got 2"),
    ("base_anchors", ([1], 1), {}, "ratios must be a sequence of numbers, got 1"),
    ("base_anchors", ([1], [1]), {"dtype": int}, "dtype must be float32 or float64, got <class"),
    ("anchors", (1, 0, B), {}, "stride must be at least 1, got 0"),
    ("anchors", (1, 1, B), {"offset": 1.0}, "offset must lie in [0, "),
    ("paste_masks", (B[None], B, (2, 2)), {}, "boxes has shape (2, 4), but there are 1 masks"),
    ("paste_masks", (np.ones((2, 0, 3)), B, (2, 2)), {}, "(2, 0, 3): a mask without pixels"),
    ("paste_masks", (np.ones((2, 1, 3)), B * 1e9, (2, 2)), {}, "boxes reach 2000000000.0"),
    ("paste_masks", (np.ones((2, 1, 3)), B, (2, 2)), {"method": "old"}, "'sample', 'resize'"),
]


@pytest.mark.parametrize(("name", "args", "kwargs", "message"), REFUSED)
def test_refuses(name, args, kwargs, message):
    with pytest.raises(ns.ArgumentError) as caught:
        getattr(nb, name)(*args, **kwargs)
    assert str(caught.value).startswith(f"boxes.{name}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
