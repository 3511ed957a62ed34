"""The worst mistakes of a detector, by kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from numseg import checks
from numseg.data.instances import Detections, Instances
from numseg.training.detections import Outcome, Rule, check_pictures, judged

KINDS = ("missed", "double", "misplaced", "confused", "invented")


class Mistake(NamedTuple):
    """An object that is missed, or a detection that is wrong."""

    kind: str
    """"missed", or the name of an :class:`Outcome` in small letters."""
    picture: int
    detection: int
    """Its index in the picture; -1 for what is missed."""
    object: int
    """The index of the object that it should have found, has found twice, or is on; -1 where there
    is none."""
    overlap: float
    """Of the two."""
    severity: float
    """The score of a detection, the area of what is missed."""


@checks.named("mistakes")
def mistakes(
    truth: Sequence[Instances],
    found: Sequence[Detections],
    *,
    iou_threshold: float = 0.5,
    comparison: str = ">=",
    of: str = "boxes",
    offset: int = 0,
) -> dict[str, list[Mistake]]:
    """All mistakes, by kind, the worst first: detections with the highest score, and the largest of
    the objects that are missed. Equal ones keep the order of the pictures and of their indices.

    Parameters
    ----------
    truth, found, iou_threshold, comparison, of, offset
        As in :func:`average_precision`; :func:`outcomes` says what is a mistake.

    Returns
    -------
    dict of str to list of Mistake
        "missed", "double", "misplaced", "confused", "invented", in this order.

    Raises
    ------
    ArgumentError
        As :func:`average_precision`.

    Examples
    --------
    >>> truth = [Instances([[0, 0, 10, 10], [20, 0, 30, 10]], [1, 1])]
    >>> found = [Detections([[0, 0, 10, 4]], [1], [0.9])]
    >>> {kind: len(all) for kind, all in mistakes(truth, found).items() if all}
    {'missed': 1, 'misplaced': 1}
    """
    rule = Rule.checked(iou_threshold, comparison, of, offset)
    check_pictures(truth, found, of)
    every: dict[str, list[Mistake]] = {kind: [] for kind in KINDS}
    for i, (there, seen) in enumerate(zip(truth, found, strict=True)):
        kinds, objects, overlaps, missed = judged(there, seen, rule)
        for d in np.flatnonzero(kinds > Outcome.IGNORED).tolist():
            kind, score = Outcome(kinds[d]).name.lower(), float(seen.scores[d])
            one = Mistake(kind, i, d, int(objects[d]), float(overlaps[d]), score)
            every[kind].append(one)
        for n in np.flatnonzero(missed).tolist():
            every["missed"].append(Mistake("missed", i, -1, n, 0.0, float(there.areas[n])))
    return {kind: sorted(all, key=lambda one: -one.severity) for kind, all in every.items()}
