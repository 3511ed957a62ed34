"""Which detections find an object, and what is wrong with the others."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from numseg import boxes, checks
from numseg.data.instances import Detections, Instances
from numseg.data.masks import intersections, mask_iou
from numseg.errors import ArgumentError
from numseg.typing import Array

NEAR = 0.1
"""The overlap from which on a detection is a misplaced one, and not one of nothing (Hoiem et al.,
2012)."""


class Outcome(enum.IntEnum):
    """What becomes of a detection."""

    RIGHT = 0
    """It finds an object of its class, which none with a higher score has found."""
    IGNORED = 1
    """It finds a difficult object, or lies in a crowd of its class; it counts nowhere."""
    DOUBLE = 2
    """It finds an object that another one has found."""
    MISPLACED = 3
    """It overlaps an object of its class, but too little."""
    CONFUSED = 4
    """It lies on an object of another class."""
    INVENTED = 5
    """It lies on nothing."""


class Outcomes(NamedTuple):
    """What :func:`outcomes` gives for a picture with N objects and D detections."""

    kinds: Array
    """(D,) int64, of :class:`Outcome`."""
    objects: Array
    """(D,) int64: the object that decides; -1 where there is none."""
    overlaps: Array
    """(D,) float64: the overlap with it; 0 where there is none."""
    missed: Array
    """(N,) bool: objects that nothing finds, and that no misplaced or confused detection means;
    difficult ones and crowds are never missed."""


class Rule(NamedTuple):
    """When a detection finds an object."""

    threshold: float
    inclusive: bool
    of: str
    offset: int

    @classmethod
    def checked(cls, iou_threshold: float, comparison: str, of: str, offset: int) -> Rule:
        """Of the arguments that functions have."""
        return cls(
            checks.real("iou_threshold", iou_threshold, 0, 1),
            checks.choice("comparison", comparison, (">=", ">")) == ">=",
            checks.choice("of", of, ("boxes", "masks")),
            checks.integer("offset", offset, 0, 1),
        )

    def met(self, overlap: Array) -> Array:
        """Whether overlaps are large enough; none at all never is."""
        enough = overlap >= self.threshold if self.inclusive else overlap > self.threshold
        return enough & (overlap > 0)

    def overlap(self, found: Detections, truth: Instances) -> Array:
        """Intersection over union, (D, N)."""
        if self.of == "masks":
            return mask_iou(found.masks, truth.masks)  # type: ignore[arg-type]
        return boxes.iou(found.boxes, truth.boxes, offset=self.offset, zero_area="zero")

    def inside(self, found: Detections, truth: Instances) -> Array:
        """Intersection over the area of the detection, (D, N)."""
        if self.of != "masks":
            return boxes.iof(found.boxes, truth.boxes, offset=self.offset, zero_area="zero")
        assert found.masks is not None
        assert truth.masks is not None
        shared = intersections(found.masks, truth.masks)
        area = np.count_nonzero(found.masks, axis=(1, 2)).astype(np.float64)
        whole = np.broadcast_to(area[:, None], shared.shape)
        return np.divide(shared, whole, out=np.zeros(shared.shape), where=whole > 0)


@checks.named("outcomes")
def outcomes(
    truth: Instances,
    found: Detections,
    *,
    iou_threshold: float = 0.5,
    comparison: str = ">=",
    of: str = "boxes",
    offset: int = 0,
) -> Outcomes:
    """What becomes of the detections in one picture, by the rules of PASCAL VOC.

    Detections come by descending score, equal ones by their index. Each looks at the object of its
    class that it overlaps most, the first of equals, found already or not:

    - If they overlap enough, it is IGNORED if the object is difficult, RIGHT if it is the first to
      find it, DOUBLE if it is not.
    - Otherwise it is IGNORED, if enough of it (intersection over the detection's own area, as in
      COCO) lies in a crowd of its class. VOC has no crowds.
    - Otherwise it is wrong: MISPLACED, if that overlap is at least 0.1; else CONFUSED, if it
      overlaps an object of another class enough; else INVENTED.

    Parameters
    ----------
    truth : Instances
    found : Detections
    iou_threshold : float
        The overlap that is enough.
    comparison : {">=", ">"}
        ">=" as VOC's own program, ">" as py-faster-rcnn's.
    of : {"boxes", "masks"}
        Whose overlap.
    offset : {0, 1}
        Of boxes: 1, if they are pixels and not edges (:func:`numseg.boxes.iou`).

    Raises
    ------
    ArgumentError
        For arguments out of range, masks that are missing or of another size.

    Examples
    --------
    >>> truth = Instances([[0, 0, 10, 10]], [1])
    >>> found = Detections([[0, 0, 10, 9], [0, 0, 10, 10], [0, 0, 10, 4]], [1, 1, 1], [.9, .8, .7])
    >>> [Outcome(kind).name for kind in outcomes(truth, found).kinds]
    ['RIGHT', 'DOUBLE', 'MISPLACED']
    """
    rule = Rule.checked(iou_threshold, comparison, of, offset)
    check_pictures([truth], [found], of)
    return judged(truth, found, rule)


def judged(truth: Instances, found: Detections, rule: Rule) -> Outcomes:
    """The definition; arguments are checked."""
    iou = rule.overlap(found, truth)
    same = found.labels[:, None] == truth.labels
    own, own_iou = _largest(iou, same & ~truth.crowd)
    other, other_iou = _largest(iou, ~same & ~truth.crowd)
    in_crowd = np.zeros(len(found), bool)
    if truth.crowd.any():
        in_crowd = (rule.met(rule.inside(found, truth)) & same & truth.crowd).any(axis=1)
    finds, mistaken = rule.met(own_iou), rule.met(other_iou)
    kinds, taken = np.empty(len(found), np.int64), np.zeros(len(truth), bool)
    for d in found.order():
        if finds[d]:
            kinds[d] = _found(int(own[d]), truth, taken)
        elif in_crowd[d]:
            kinds[d] = Outcome.IGNORED
        elif own_iou[d] >= NEAR:
            kinds[d] = Outcome.MISPLACED
        else:
            kinds[d] = Outcome.CONFUSED if mistaken[d] else Outcome.INVENTED
    confused = kinds == Outcome.CONFUSED
    objects, overlaps = np.where(confused, other, own), np.where(confused, other_iou, own_iou)
    meant = objects[confused | (kinds == Outcome.MISPLACED)]
    missed = ~(taken | truth.crowd | truth.difficult)
    missed[meant] = False
    nothing = overlaps == 0
    return Outcomes(kinds, np.where(nothing, -1, objects), overlaps, missed)


def _found(which: int, truth: Instances, taken: Array) -> Outcome:
    """What a detection is that finds this object, which is taken then."""
    if truth.difficult[which]:
        return Outcome.IGNORED
    outcome = Outcome.DOUBLE if taken[which] else Outcome.RIGHT
    taken[which] = True
    return outcome


def _largest(iou: Array, among: Array) -> tuple[Array, Array]:
    """For each row the first column of the largest of some numbers, and that number; -1 and 0
    where there are none."""
    if iou.shape[1] == 0:
        return np.full(len(iou), -1), np.zeros(len(iou))
    masked = np.where(among, iou, -1.0)
    column = masked.argmax(axis=1)
    return np.where(among.any(axis=1), column, -1), masked.max(axis=1).clip(0)


def check_pictures(truth: Sequence[Instances], found: Sequence[Detections], of: str) -> None:
    """As many pictures of each, of the right types, and masks where they are compared."""
    if len(truth) != len(found):
        raise ArgumentError(f"truth has {len(truth)} pictures, but found has {len(found)}")
    for i, (there, seen) in enumerate(zip(truth, found, strict=True)):
        for name, one, kind in (("truth", there, Instances), ("found", seen, Detections)):
            if not isinstance(one, kind):
                raise ArgumentError(
                    f"{name}[{i}] is a {type(one).__name__}, expected {kind.__name__}"
                )
            if of == "masks" and one.masks is None:
                raise ArgumentError(f"{name}[{i}] has no masks, but of is 'masks'")
        if of == "masks":
            assert there.masks is not None
            assert seen.masks is not None
            sizes = there.masks.shape[1:], seen.masks.shape[1:]
            if sizes[0] != sizes[1]:
                raise ArgumentError(f"found[{i}] has masks {sizes[1]}, but truth[{i}] {sizes[0]}")


def check_labels(name: str, of_pictures: Sequence[Instances | Detections], classes: int) -> None:
    """No label is above the last class."""
    for i, one in enumerate(of_pictures):
        if one.labels.size and one.labels.max() >= classes:
            raise ArgumentError(
                f"{name}[{i}] has label {one.labels.max()}, but there are {classes} classes "
                f"(1 to {classes - 1}, and the background)"
            )
