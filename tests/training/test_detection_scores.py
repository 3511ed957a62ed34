"""Average precision, recall of proposals and mistakes, by hand."""

from __future__ import annotations

import doctest
import importlib
import io
import math

import numpy as np
import pytest

from numseg import ArgumentError, MissingExtra
from numseg.data import Detections, Instances
from numseg.training import (
    Outcome,
    average_precision,
    coco,
    coco_scores,
    mistakes,
    mistakes_picture,
    outcomes,
    precision_recall_picture,
    proposal_recall,
)

A, B, C = [0, 0, 10, 10], [20, 0, 30, 10], [0, 0, 10, 10]
TRUTH = [Instances([A, B], [1, 1]), Instances([C], [1])]
# by score: A; A again (IoU 0.9); half of C (IoU 0.5); nothing; most of B (IoU 0.82)
FOUND = [
    Detections([[20, 0, 30, 8.2], A, [0, 0, 10, 9]], [1, 1, 1], [0.5, 0.9, 0.8]),
    Detections([[50, 50, 60, 60], [0, 0, 10, 5]], [1, 1], [0.6, 0.7]),
]
NONE = Detections([], [], [])


def _masks(truth_or_found, size=(64, 64)):
    """The same with masks that fill the boxes, whose corners are rounded to pixels."""
    masks = np.zeros((len(truth_or_found), *size), bool)
    for mask, box in zip(masks, np.rint(truth_or_found.boxes).astype(int), strict=True):
        mask[box[1] : box[3], box[0] : box[2]] = True
    fields = {"boxes": truth_or_found.boxes, "labels": truth_or_found.labels, "masks": masks}
    if isinstance(truth_or_found, Detections):
        return Detections(**fields, scores=truth_or_found.scores)
    return Instances(**fields, crowd=truth_or_found.crowd, difficult=truth_or_found.difficult)


# -- the example of five detections ---------------------------------------------------------------


def test_five_detections_by_hand():
    """Hits 1 1 2 2 3 of 3 objects: precision 1 1/2 2/3 2/4 3/5 at recall 1/3 1/3 2/3 2/3 1."""
    found = average_precision(TRUTH, FOUND, 2)
    curve = found.curves[1]
    assert curve.scores.tolist() == [0.9, 0.8, 0.7, 0.6, 0.5]
    assert curve.hits.tolist() == [1, 1, 2, 2, 3]
    assert curve.positives == 3
    assert curve.precision.tolist() == [1, 1 / 2, 2 / 3, 2 / 4, 3 / 5]
    assert curve.recall.tolist() == [1 / 3, 1 / 3, 2 / 3, 2 / 3, 1]
    assert curve.envelope.tolist() == [1, 2 / 3, 2 / 3, 3 / 5, 3 / 5]
    # each third of recall: 1, 2/3, 3/5
    assert found.each[1] == pytest.approx((1 + 2 / 3 + 3 / 5) / 3, rel=1e-15)
    assert math.isnan(found.each[0])
    assert found.mean == found.each[1]


def test_eleven_points_by_hand():
    """Recalls 0 to 0.3 are reached with precision 1, 0.4 to 0.6 with 2/3, 0.7 to 1 with 3/5."""
    found = average_precision(TRUTH, FOUND, 2, rule="voc2007")
    assert found.mean == pytest.approx((4 * 1 + 3 * 2 / 3 + 4 * 3 / 5) / 11, rel=1e-15)


def test_recalls_are_compared_in_integers():
    """3 of 10 objects are a recall of 0.3, though 3 / 10 < 3 * 0.1 in doubles."""
    assert 3 / 10 < 3 * 0.1
    boxes = [[20 * i, 0, 20 * i + 10, 10] for i in range(10)]
    truth = [Instances(boxes, [1] * 10)]
    found = [Detections(boxes[:3], [1] * 3, [0.9, 0.8, 0.7])]
    assert average_precision(truth, found, 2, rule="voc2007").mean == pytest.approx(4 / 11)


def test_an_overlap_of_just_the_threshold():
    """Half of C: found with >=, not with >. Then hits are 1 1 1 1 2."""
    found = average_precision(TRUTH, FOUND, 2, comparison=">")
    assert found.mean == pytest.approx((1 + 2 / 5) / 3, rel=1e-15)


def test_pixels_and_edges():
    """Columns 0 to 9 and 0 to 4 are 10 and 5 with the 1 of pixels, 9 and 4 without."""
    truth = [Instances([[0, 0, 9, 9]], [1])]
    found = [Detections([[0, 0, 4, 9]], [1], [1.0])]
    assert average_precision(truth, found, 2, offset=1).mean == 1
    assert average_precision(truth, found, 2).mean == 0


def test_the_ap_of_masks():
    truth, found = [_masks(one) for one in TRUTH], [_masks(one) for one in FOUND]
    assert average_precision(truth, found, 2, of="masks").each[1] == pytest.approx(34 / 45)
    # masks of B that touch its box in one pixel alone
    thin = found[0].masks.copy()
    thin[0] = False
    thin[0, 3, 20:30] = True
    found[0] = Detections(found[0].boxes, found[0].labels, found[0].scores, thin)
    assert average_precision(truth, found, 2, of="masks").each[1] == pytest.approx(
        (1 + 2 / 3) / 3, rel=1e-15
    )
    assert average_precision(truth, found, 2).each[1] == pytest.approx(34 / 45)


# -- what a detection is --------------------------------------------------------------------------


def _kinds(truth, found, **settings):
    return [Outcome(k).name for k in outcomes(truth, found, **settings).kinds]


def test_every_outcome_by_hand():
    truth = Instances([A, B, [40, 0, 50, 10]], [1, 2, 1])
    found = Detections(
        [A, A, [40, 0, 50, 4], B, [20, 0, 30, 10], [60, 0, 70, 10], [40, 0, 50, 1]],
        [1, 1, 1, 1, 2, 1, 1],
        [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3],
    )
    got = outcomes(truth, found)
    assert [Outcome(k).name for k in got.kinds] == [
        "RIGHT", "DOUBLE", "MISPLACED", "CONFUSED", "RIGHT", "INVENTED", "MISPLACED",
    ]  # fmt: skip
    assert got.objects.tolist() == [0, 0, 2, 1, 1, -1, 2]
    np.testing.assert_array_equal(got.overlaps, [1, 1, 0.4, 1, 1, 0, 0.1])
    assert not got.missed.any()  # two detections mean the third


def test_the_higher_score_finds_and_of_equals_the_lower_index():
    truth = Instances([A], [1])
    assert _kinds(truth, Detections([A, A], [1, 1], [0.5, 0.6])) == ["DOUBLE", "RIGHT"]
    assert _kinds(truth, Detections([A, A], [1, 1], [0.5, 0.5])) == ["RIGHT", "DOUBLE"]


def test_the_object_overlapped_most_is_looked_at_though_it_is_found():
    """VOC's rule; COCO's takes the other object (IoU 9/11), which is free."""
    truth = Instances([[0, 0, 10, 10], [0, 1, 10, 11]], [1, 1])
    found = Detections([A, A], [1, 1], [0.9, 0.8])
    assert _kinds(truth, found) == ["RIGHT", "DOUBLE"]
    assert outcomes(truth, found).missed.tolist() == [False, True]


def test_of_equal_overlaps_the_first_object():
    truth = Instances([[0, 0, 10, 10], [10, 0, 20, 10]], [1, 1])
    got = outcomes(truth, Detections([[5, 0, 15, 10]], [1], [1.0]), iou_threshold=0.3)
    assert got.objects.tolist() == [0]


def test_difficult_objects_count_nowhere():
    truth = Instances([A, B], [1, 1], difficult=[True, False])
    found = Detections([A, A, B], [1, 1, 1], [0.9, 0.8, 0.7])
    assert _kinds(truth, found) == ["IGNORED", "IGNORED", "RIGHT"]
    scored = average_precision([truth], [found], 2)
    assert scored.mean == 1
    assert scored.curves[1].positives == 1
    assert not outcomes(truth, NONE).missed[0]


def test_what_lies_in_a_crowd_counts_nowhere():
    """Any number of detections; a third lies in it by a quarter, which is too little."""
    truth = Instances([[0, 0, 100, 100], [200, 0, 210, 10]], [1, 1], crowd=[True, False])
    boxes = [[10, 10, 20, 20], [10, 10, 20, 20], [90, 90, 110, 110], [200, 0, 210, 10]]
    found = Detections(boxes, [1] * 4, [0.9, 0.8, 0.7, 0.6])
    assert _kinds(truth, found) == ["IGNORED", "IGNORED", "INVENTED", "RIGHT"]
    assert average_precision([truth], [found], 2).mean == 0.5
    the_crowd_itself = Detections(truth.boxes[:1], [1], [0.9])
    assert _kinds(truth, the_crowd_itself) == ["IGNORED"]
    of_another_class = Detections(boxes[:1], [2], [0.9])
    assert _kinds(truth, of_another_class) == ["INVENTED"]
    with_masks = _masks(truth, (220, 220)), _masks(found, (220, 220))
    assert _kinds(*with_masks, of="masks") == ["IGNORED", "IGNORED", "INVENTED", "RIGHT"]


def test_pixels_in_a_crowd():
    """Columns 0 to 9, of which 5 to 9 are in the crowd: half of them; 4 of 9, if they are edges."""
    truth = Instances([[5, 0, 90, 9]], [1], crowd=[True])
    found = Detections([[0, 0, 9, 9]], [1], [1.0])
    assert _kinds(truth, found, offset=1) == ["IGNORED"]
    assert _kinds(truth, found) == ["INVENTED"]


def test_equal_scores_of_two_pictures_keep_the_pictures_order():
    wrong, right = Detections([B], [1], [0.5]), Detections([A], [1], [0.5])
    truth = Instances([A], [1])
    first_wrong = average_precision([truth, truth], [wrong, right], 2)
    first_right = average_precision([truth, truth], [right, wrong], 2)
    assert first_wrong.mean == 0.5 * 0.5
    assert first_right.mean == 0.5 * 1


def test_many_equal_scores_keep_their_order():
    found = [Detections([(A, B)[n % 2]], [1], [n // 2 % 3]) for n in range(90)]
    scored = average_precision([Instances([A], [1])] * 90, found, 2)
    assert np.diff(scored.curves[1].hits, prepend=0).tolist() == [1, 0] * 45
    many = Detections([A] * 80, [1] * 80, [n % 3 for n in range(80)])
    assert many.order().tolist() == sorted(range(80), key=lambda n: -(n % 3))


def test_classes_apart_and_classes_without_objects():
    truth = [Instances([A, B], [1, 2])]
    found = [Detections([A, B, B], [1, 2, 3], [0.1, 0.2, 0.9])]
    scored = average_precision(truth, found, 5)
    np.testing.assert_array_equal(scored.each, [np.nan, 1, 1, np.nan, np.nan])
    assert scored.mean == 1
    assert math.isnan(average_precision([], [], 2).mean)
    assert average_precision(truth, [NONE], 3).mean == 0


def test_an_overlap_of_nothing_finds_nothing():
    truth, found = Instances([A], [1]), Detections([B, [3, 3, 3, 3]], [1, 1], [1, 0.5])
    assert _kinds(truth, found, iou_threshold=0) == ["INVENTED", "INVENTED"]
    assert _kinds(Instances([], []), found) == ["INVENTED", "INVENTED"]


@pytest.mark.parametrize(
    ("arguments", "settings", "message"),
    [
        ((TRUTH, FOUND[:1], 2), {}, "average_precision: truth has 2 pictures, but found has 1"),
        ((TRUTH, FOUND, 1), {}, r"truth\[0\] has label 1, but there are 1 classes"),
        ((TRUTH, TRUTH, 2), {}, r"found\[0\] is a Instances, expected Detections"),
        ((TRUTH, FOUND, 2), {"of": "masks"}, r"truth\[0\] has no masks, but of is 'masks'"),
        ((TRUTH, FOUND, 2), {"of": "keypoints"}, "of must be one of 'boxes', 'masks'"),
        ((TRUTH, FOUND, 2), {"rule": "voc"}, "rule must be one of 'voc2010', 'voc2007', got 'voc'"),
        ((TRUTH, FOUND, 2), {"iou_threshold": 50}, r"iou_threshold must lie in \[0, 1\], got 50"),
        ((TRUTH, FOUND, 2), {"comparison": "="}, "comparison must be one of"),
        ((TRUTH, FOUND, 0), {}, "classes must be at least 1, got 0"),
    ],
)
def test_scores_of_other_things(arguments, settings, message):
    with pytest.raises(ArgumentError, match=message):
        average_precision(*arguments, **settings)


def test_masks_of_another_size():
    truth, found = [_masks(TRUTH[1], (20, 20))], [_masks(FOUND[1], (64, 64))]
    with pytest.raises(ArgumentError, match=r"found\[0\] has masks \(64, 64\), but truth\[0\]"):
        average_precision(truth, found, 2, of="masks")


# -- COCO -----------------------------------------------------------------------------------------


@pytest.fixture
def _pycocotools():
    pytest.importorskip("pycocotools")


@pytest.mark.usefixtures("_pycocotools")
@pytest.mark.parametrize("of", ["boxes", "masks"])
def test_five_detections_by_cocos_rule(of):
    """At 0.5 as above: 34 recalls of 101 are reached with precision 1, 33 with 2/3, 34 with 3/5. At
    0.55 to 0.8 half of C is too little (34 with 1, 33 with 2/5), from 0.85 on that of B, too."""
    truth, found, thresholds = TRUTH, FOUND, None
    if of == "masks":  # 8 of B's 10 rows: 0.8, at which doubles decide
        truth, found = [_masks(one) for one in TRUTH], [_masks(one) for one in FOUND]
    thresholds = (
        None if of == "boxes" else [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.79, 0.85, 0.91, 0.95]
    )
    scored = coco_scores(truth, found, 2, of=of, iou_thresholds=thresholds)
    at_half, middle, high = (34 + 33 * 2 / 3 + 34 * 3 / 5) / 101, (34 + 33 * 2 / 5) / 101, 34 / 101
    assert scored.ap50 == pytest.approx(at_half, rel=1e-12)
    assert scored.ap75 == pytest.approx(middle, rel=1e-12)
    assert scored.ap == pytest.approx((at_half + 6 * middle + 3 * high) / 10, rel=1e-12)
    assert scored.class_ap[1] == scored.ap
    assert math.isnan(scored.class_ap[0])
    assert scored.ap_by_area["small"] == scored.ap_by_area["all"] == scored.ap  # 100 pixels each
    assert math.isnan(scored.ap_by_area["medium"])
    # one detection of each picture: A, and half of C; all: A, B, C at 0.5; A and B; A
    assert scored.ar[1] == pytest.approx((2 / 3 + 9 * 1 / 3) / 10, rel=1e-12)
    assert scored.ar[100] == pytest.approx((1 + 6 * 2 / 3 + 3 * 1 / 3) / 10, rel=1e-12)
    assert scored.ar_by_area["small"] == scored.ar[100]
    assert scored.precision.shape == (10, 101, 2)
    assert scored.precision[0, 33, 1] == pytest.approx(1, rel=1e-12)
    assert scored.precision[0, 34, 1] == pytest.approx(2 / 3, rel=1e-12)


@pytest.mark.usefixtures("_pycocotools")
def test_cocos_crowds_and_areas():
    truth = Instances([[0, 0, 100, 100], [200, 0, 210, 10]], [1, 1], crowd=[True, False])
    found = Detections([[10, 10, 20, 20]] * 2 + [[200, 0, 210, 10]], [1] * 3, [0.9, 0.8, 0.7])
    assert coco_scores([truth], [found], 2).ap == pytest.approx(1, rel=1e-12)
    # as an object, it is one that nothing finds: precision 1/3 up to a recall of 1/2
    plain = Instances(truth.boxes, truth.labels)
    assert coco_scores([plain], [found], 2).ap == pytest.approx(51 / 3 / 101, rel=1e-12)
    # called large, what is found counts as large; the two small ones that find nothing as small
    large = Instances(truth.boxes[1:], [1], areas=[10000.0])
    scored = coco_scores([large], [found], 2)
    assert scored.ap_by_area["large"] == pytest.approx(1, rel=1e-12)
    assert math.isnan(scored.ap_by_area["small"])
    assert scored.ap == pytest.approx(1 / 3, rel=1e-12)


@pytest.mark.usefixtures("_pycocotools")
def test_cocos_rule_takes_the_object_that_is_free():
    truth = Instances([[0, 0, 10, 10], [0, 1, 10, 11]], [1, 1])
    found = Detections([A, A], [1, 1], [0.9, 0.8])
    assert coco_scores([truth], [found], 2).ap50 == pytest.approx(1, rel=1e-12)


@pytest.mark.usefixtures("_pycocotools")
def test_coco_without_detections_or_pictures(capsys):
    assert coco_scores(TRUTH, [NONE, NONE], 2).ap == 0
    assert math.isnan(coco_scores([], [], 2).ap)
    assert math.isnan(coco_scores([Instances([], [])], [FOUND[0]], 2).ap)
    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("_pycocotools")
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"iou_thresholds": []}, "coco_scores: iou_thresholds must hold at least one number"),
        ({"iou_thresholds": [2]}, r"iou_thresholds\[0\] must lie in \[0, 1\], got 2"),
        ({"max_detections": []}, "max_detections must hold at least one number"),
        ({"areas": {"small": (0, 9)}}, "areas has 'small', but not 'all'"),
        ({"areas": {"all": (9, 0)}}, r"areas\['all'\] goes from 9.0 to 0.0"),
        ({"of": "masks"}, r"truth\[0\] has no masks"),
    ],
)
def test_coco_scores_of_other_things(settings, message):
    with pytest.raises(ArgumentError, match=message):
        coco_scores(TRUTH, FOUND, 2, **settings)


def test_coco_says_what_is_missing(monkeypatch):
    def missing(module, package, extra, purpose):
        raise MissingExtra(package, extra, purpose)

    monkeypatch.setattr(coco, "optional", missing)
    with pytest.raises(MissingExtra, match=r"scores needs pycocotools.*install 'numseg\[coco\]'"):
        coco_scores(TRUTH, FOUND, 2)


# -- proposals ------------------------------------------------------------------------------------


def test_recall_of_proposals_by_hand():
    """Of three objects 2 are found by the best two proposals at 0.5, one at 0.75; a third proposal
    is A's alone, which is found already."""
    proposals = [
        Detections([[0, 0, 10, 6], B, A], [1, 1, 1], [0.9, 0.8, 0.7]),
        Detections([B], [1], [0.9]),
    ]
    found = proposal_recall(TRUTH, proposals, (1, 2, 3), iou_thresholds=(0.5, 0.75))
    np.testing.assert_array_equal(found.recall, [[1 / 3, 2 / 3, 2 / 3], [0, 1 / 3, 2 / 3]])
    np.testing.assert_array_equal(found.average, [1 / 6, 1 / 2, 2 / 3])


def test_a_proposal_finds_one_object():
    """It overlaps both by 2/3 and by 1/2; the larger overlap is paired first."""
    truth = [Instances([[0, 0, 10, 10], [0, 0, 15, 10]], [1, 2])]
    one = [Detections([[0, 0, 10, 10]], [1], [1.0])]
    assert proposal_recall(truth, one, (1,), iou_thresholds=(0.5,)).recall.tolist() == [[0.5]]
    twice = [Detections([[0, 0, 10, 10]] * 2, [1, 1], [1.0, 1.0])]
    and_another = [Detections([A, [90, 0, 99, 9]], [1, 1], [1.0, 1.0])]
    apart = proposal_recall(truth, and_another, (2,), iou_thresholds=(0.5,))
    assert apart.recall.tolist() == [[0.5]]
    assert proposal_recall(truth, twice, (2,), iou_thresholds=(0.5,)).recall.tolist() == [[1.0]]


def test_average_recall_and_what_takes_no_part():
    crowd, difficult = [True, False, False], [False, True, False]
    boxes = [A, B, [40, 0, 50, 10]]
    truth = Instances(boxes, [1] * 3, crowd=crowd, difficult=difficult)
    proposals = Detections([[40, 0, 50, 7.2]], [9], [0.5])  # IoU 0.72: 0.5, 0.55, ..., 0.7
    found = proposal_recall([truth], [proposals])
    assert found.counts == (10, 100, 1000)
    assert found.average.tolist() == [0.5] * 3
    assert np.isnan(proposal_recall([Instances([], [])], [proposals]).recall).all()
    with pytest.raises(ArgumentError, match=r"proposal_recall: counts\[0\] must be at least 1"):
        proposal_recall([truth], [proposals], (0,))


# -- mistakes -------------------------------------------------------------------------------------


def test_mistakes_by_hand():
    found = mistakes(TRUTH, FOUND)
    assert {kind: len(all) for kind, all in found.items()} == {
        "missed": 0, "double": 1, "misplaced": 0, "confused": 0, "invented": 1,
    }  # fmt: skip
    assert found["double"][0] == ("double", 0, 2, 0, 0.9, 0.8)
    assert found["invented"][0] == ("invented", 1, 0, -1, 0.0, 0.6)
    strict = mistakes(TRUTH, FOUND, comparison=">")
    assert strict["misplaced"][0] == ("misplaced", 1, 1, 0, 0.5, 0.7)
    blind = mistakes([Instances([A, [0, 0, 20, 20]], [1, 1])], [NONE])
    assert [(one.object, one.severity) for one in blind["missed"]] == [(1, 400), (0, 100)]


def _pixels(png):
    image = pytest.importorskip("PIL.Image")
    return np.asarray(image.open(io.BytesIO(png)).convert("RGB"))


def test_a_picture_of_the_worst_mistakes():
    images = [np.full((3, 40, 60), 90, np.uint8), np.full((1, 40, 60), 90, np.uint8)]
    png = mistakes_picture(images, TRUTH, FOUND, ["background", "$thing"], each=2)
    pixels = _pixels(png).astype(int)
    red = (pixels[..., 0] > 200) & (pixels[..., 1:].max(axis=2) < 60)
    assert red.sum() > 100
    assert len(pixels) == round(5.0 * 110)  # two rows of mistakes
    nothing = mistakes_picture(images, TRUTH, TRUTH_FOUND, ["background", "thing"])
    assert _pixels(nothing).shape != pixels.shape
    with pytest.raises(ArgumentError, match="images has 1 pictures, but truth has 2"):
        mistakes_picture(images[:1], TRUTH, FOUND, ["background", "thing"])


TRUTH_FOUND = [Detections(one.boxes, one.labels, np.ones(len(one))) for one in TRUTH]


def test_mistakes_beyond_the_picture_are_drawn():
    beyond = [Detections([[-50, -50, -40, -40], [90, 90, 99, 99]], [1, 1], [0.5, 0.5])]
    image = np.zeros((1, 1, 1), np.uint8)
    png = mistakes_picture([image], [Instances([], [])], beyond, ["background", "thing"])
    assert png.startswith(b"\x89PNG")


def test_a_picture_of_precision_over_recall():
    scored = average_precision(TRUTH, FOUND, 4)
    png = precision_recall_picture(scored, ["background", "thing", "other", "third"])
    assert _pixels(png).shape == (506, 704, 3)
    assert precision_recall_picture(average_precision([], [], 1), ["background"])
    many = average_precision([Instances([A] * 30, range(1, 31))], [NONE], 31)
    assert precision_recall_picture(many, [f"class {c}" for c in range(31)])
    with pytest.raises(ArgumentError, match="classes has 1 names, but there are 4 classes"):
        precision_recall_picture(scored, ["background"])


@pytest.mark.parametrize("module", ["average_precision", "detections", "mistakes", "proposals"])
def test_the_examples_in_docstrings(module):
    found = doctest.testmod(importlib.import_module(f"numseg.training.{module}"))
    assert found.attempted > 0
    assert found.failed == 0
