"""How many objects the regions find that a detector starts from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from numseg import boxes, checks
from numseg.data.instances import Detections, Instances
from numseg.errors import ArgumentError
from numseg.training.detections import check_pictures
from numseg.typing import Array


class ProposalRecall(NamedTuple):
    """What :func:`proposal_recall` gives; NaN everywhere, if there are no objects."""

    counts: tuple[int, ...]
    iou_thresholds: tuple[float, ...]
    recall: Array
    """(thresholds, counts) float64: the share of the objects that so many proposals of a picture
    find at such an overlap."""
    average: Array
    """(counts,) float64: the mean over the thresholds (average recall)."""


@checks.named("proposal_recall")
def proposal_recall(
    truth: Sequence[Instances],
    proposals: Sequence[Detections],
    counts: Sequence[int] = (10, 100, 1000),
    *,
    iou_thresholds: Sequence[float] | None = None,
) -> ProposalRecall:
    """The share of the objects that the best N proposals of each picture find, of any class.

    Proposals and objects are paired one to one: the pair with the largest overlap first, then the
    largest among the rest, and so on; of equal overlaps the object, then the proposal, of lower
    index. An object is found, if its overlap is at least the threshold. Difficult objects and
    crowds take no part.

    Parameters
    ----------
    truth : sequence of Instances
        Of every picture.
    proposals : sequence of Detections
        Of the same pictures. Their labels are not looked at; of equal scores the lower index is the
        better one.
    counts : sequence of int
        The numbers N.
    iou_thresholds : sequence of float, optional
        0.5, 0.55, ..., 0.95 by default, whose mean is COCO's average recall over overlaps.

    Raises
    ------
    ArgumentError
        For numbers of pictures that differ, or numbers out of range.

    Notes
    -----
    Hosang, Benenson, Dollar and Schiele, What makes for effective detection proposals? (2016);
    the pairing is that of py-faster-rcnn's ``evaluate_recall``.

    Examples
    --------
    >>> truth = [Instances([[0, 0, 10, 10], [20, 0, 30, 10]], [1, 2])]
    >>> proposals = [Detections([[0, 0, 10, 6], [20, 0, 30, 10]], [1, 1], [0.9, 0.8])]
    >>> proposal_recall(truth, proposals, (1, 2), iou_thresholds=(0.5, 0.75)).recall
    array([[0.5, 1. ],
           [0. , 0.5]])
    """
    numbers = tuple(checks.integer(f"counts[{i}]", n, 1) for i, n in enumerate(counts))
    given = np.linspace(0.5, 0.95, 10) if iou_thresholds is None else iou_thresholds
    least = tuple(checks.real(f"iou_thresholds[{i}]", t, 0, 1) for i, t in enumerate(given))
    for name, values in (("counts", numbers), ("iou_thresholds", least)):
        if not values:
            raise ArgumentError(f"{name} must hold at least one number, got none")
    check_pictures(truth, proposals, "boxes")
    best = [
        [_paired(there, seen, number) for there, seen in zip(truth, proposals, strict=True)]
        for number in numbers
    ]
    objects = sum(len(pairs) for pairs in best[0])
    if not objects:
        nothing = np.full((len(least), len(numbers)), np.nan)
        return ProposalRecall(numbers, least, nothing, np.full(len(numbers), np.nan))
    overlaps = np.array([np.concatenate(pairs) for pairs in best])  # (counts, objects)
    found = [np.count_nonzero(overlaps >= threshold, axis=1) / objects for threshold in least]
    return ProposalRecall(numbers, least, np.array(found), np.mean(found, axis=0))


def _paired(truth: Instances, proposals: Detections, count: int) -> Array:
    """The overlap of each object with the proposal it is paired with; 0 without one."""
    wanted = truth.take(~(truth.crowd | truth.difficult))
    seen = proposals.take(proposals.order()[:count])
    iou = boxes.iou(wanted.boxes, seen.boxes, zero_area="zero")
    found = np.zeros(len(wanted))
    for _ in range(min(iou.shape)):
        row, column = np.unravel_index(iou.argmax(), iou.shape)
        found[row] = iou[row, column]
        iou[row], iou[:, column] = -1, -1
    return found
