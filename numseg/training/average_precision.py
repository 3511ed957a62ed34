"""Average precision of detections, by the rules of PASCAL VOC."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from numseg import checks
from numseg.data.instances import Detections, Instances
from numseg.training.detections import Outcome, Rule, check_labels, check_pictures, judged
from numseg.training.metrics import mean_of_those_there
from numseg.typing import Array


class Curve(NamedTuple):
    """A class's detections that count, D of them, from the highest score down."""

    scores: Array
    """(D,) float64."""
    hits: Array
    """(D,) int64: how many of the detections up to here find an object."""
    positives: int
    """Objects that should be found."""

    @property
    def precision(self) -> Array:
        """(D,): the share of the detections up to here that find an object."""
        return self.hits / np.arange(1, len(self.hits) + 1)

    @property
    def recall(self) -> Array:
        """(D,): the share of the objects that they find; NaN where there are no objects."""
        if not self.positives:
            return np.full(len(self.hits), np.nan)
        return self.hits / self.positives

    @property
    def envelope(self) -> Array:
        """(D,): the best precision from here on."""
        return np.maximum.accumulate(self.precision[::-1])[::-1]


class AveragePrecision(NamedTuple):
    """What :func:`average_precision` gives."""

    mean: float
    """The mean of ``each`` over the classes that have one (mAP); NaN if none has."""
    each: Array
    """(C,) float64; NaN for a class without objects to be found, as the background is."""
    curves: tuple[Curve, ...]
    """C of them."""


@checks.named("average_precision")
def average_precision(
    truth: Sequence[Instances],
    found: Sequence[Detections],
    classes: int,
    *,
    rule: str = "voc2010",
    iou_threshold: float = 0.5,
    comparison: str = ">=",
    of: str = "boxes",
    offset: int = 0,
) -> AveragePrecision:
    """Average precision of each class over all pictures together, and its mean.

    All detections of a class, of all pictures, by descending score; equal scores in the order of
    the pictures, and in a picture of their indices (a stable sort, as that of VOC's own program).
    :func:`outcomes` says of each whether it finds an object. After k of them that count precision
    is hits / k, and recall is hits / objects that are neither difficult nor crowds.

    - "voc2007": the mean over the eleven recalls 0, 0.1, ..., 1 of the best precision at that
      recall or a larger one, 0 where it is not reached. Compared in integers: 3 of 10 objects are a
      recall of 0.3, which is less than the double 3 * 0.1 of programs that compare with that.
    - "voc2010" (and later): the area under the best precision at each recall or a larger one.

    COCO's is :func:`coco_scores`.

    Parameters
    ----------
    truth : sequence of Instances
        Of every picture.
    found : sequence of Detections
        Of the same pictures.
    classes : int
        With the background, which is class 0.
    rule : {"voc2010", "voc2007"}
    iou_threshold, comparison, of, offset
        As in :func:`outcomes`; ``of="masks"`` for the AP of masks.

    Returns
    -------
    AveragePrecision

    Raises
    ------
    ArgumentError
        For numbers of pictures that differ, a label that is no class, masks that are missing or of
        another size.

    Notes
    -----
    A class without objects to be found has no AP: it is NaN, and the mean leaves it out, whatever
    is found of it. Everingham et al., The PASCAL VOC Challenge (2010), section 4.2, and
    ``VOCevaldet.m`` of the development kits of 2007 and 2010.

    Examples
    --------
    Two objects, and three detections of which the second is wrong: precision 1, 1/2, 2/3 at recall
    1/2, 1/2, 1.

    >>> truth = [Instances([[0, 0, 4, 4], [6, 0, 9, 4]], [1, 1])]
    >>> boxes = [[0, 0, 4, 4], [0, 6, 4, 9], [6, 0, 9, 4]]
    >>> found = [Detections(boxes, [1, 1, 1], [0.9, 0.8, 0.7])]
    >>> round(average_precision(truth, found, 2).mean, 4)  # (1 + 2/3) / 2
    0.8333
    >>> round(average_precision(truth, found, 2, rule="voc2007").mean, 4)  # (6 * 1 + 5 * 2/3) / 11
    0.8485
    """
    classes = checks.integer("classes", classes, minimum=1)
    checks.choice("rule", rule, tuple(RULES))
    how = Rule.checked(iou_threshold, comparison, of, offset)
    check_pictures(truth, found, of)
    for name, pictures in (("truth", truth), ("found", found)):
        check_labels(name, pictures, classes)
    curves = _curves(truth, found, classes, how)
    each = np.array([RULES[rule](c) if c.positives else np.nan for c in curves])
    return AveragePrecision(mean_of_those_there(each), each, curves)


def _curves(
    truth: Sequence[Instances], found: Sequence[Detections], classes: int, rule: Rule
) -> tuple[Curve, ...]:
    kinds = [judged(there, seen, rule).kinds for there, seen in zip(truth, found, strict=True)]
    kind = _joined(kinds, np.int64)
    label = _joined([seen.labels for seen in found], np.int64)
    score = _joined([seen.scores for seen in found], np.float64)
    wanted = [there.labels[~(there.difficult | there.crowd)] for there in truth]
    positives = np.bincount(_joined(wanted, np.int64), minlength=classes)
    order = np.argsort(-score, kind="stable")
    order = order[kind[order] != Outcome.IGNORED]
    curves = []
    for c in range(classes):
        mine = order[label[order] == c]
        hits = np.cumsum(kind[mine] == Outcome.RIGHT, dtype=np.int64)
        curves.append(Curve(score[mine], hits, int(positives[c])))
    return tuple(curves)


def _joined(parts: Sequence[Array], dtype: type) -> Array:
    return np.concatenate([np.zeros(0, dtype), *parts])


def _eleven_points(curve: Curve) -> float:
    reached = [curve.hits * 10 >= k * curve.positives for k in range(11)]
    return sum(float(curve.precision[r].max(initial=0)) for r in reached) / 11


def _area(curve: Curve) -> float:
    steps = np.diff(curve.hits, prepend=0)  # 1 where recall grows by 1 / positives
    return float((curve.envelope * steps).sum() / curve.positives)


RULES = {"voc2010": _area, "voc2007": _eleven_points}
