"""COCO's scores, computed by COCO's own program."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from numseg import checks
from numseg.data.instances import Detections, Instances
from numseg.errors import ArgumentError
from numseg.files import optional
from numseg.training.detections import check_labels, check_pictures
from numseg.training.metrics import mean_of_those_there
from numseg.typing import Array

AREAS = {
    "all": (0.0, 1e10), "small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2),
    "large": (96.0**2, 1e10),
}  # fmt: skip
"""Pixels of an object, both ends included, as COCO's program has them."""


class CocoScores(NamedTuple):
    """What :func:`coco_scores` gives. Scores are NaN where there is no object that counts."""

    ap: float
    """The mean over classes and overlaps of the average precision."""
    ap50: float
    """At an overlap of 0.5 alone; NaN if that is none of the thresholds."""
    ap75: float
    ap_by_area: dict[str, float]
    """The same for objects of each range of areas; "all" is ``ap``."""
    ar: dict[int, float]
    """By the number of detections of a picture that count: the mean over classes and overlaps of
    the recall (average recall)."""
    ar_by_area: dict[str, float]
    """With the largest number of detections."""
    class_ap: Array
    """(C,) float64: the mean over overlaps of each class's; NaN for the background."""
    precision: Array
    """(T, 101, C) float64: of each overlap, recall and class; of all areas, with the largest number
    of detections."""


@checks.named("coco_scores")
def coco_scores(
    truth: Sequence[Instances],
    found: Sequence[Detections],
    classes: int,
    *,
    of: str = "boxes",
    iou_thresholds: Sequence[float] | None = None,
    max_detections: Sequence[int] = (1, 10, 100),
    areas: Mapping[str, tuple[float, float]] = AREAS,
) -> CocoScores:
    """COCO's average precision and average recall, by ``pycocotools`` (extra ``coco``).

    Unlike VOC's rule (:func:`average_precision`), a detection takes the object of its class that it
    overlaps most *of those not found yet*; of equals the last. Crowds, and objects outside of a
    range of areas, are taken only where no other object will do, and then the detection counts
    nowhere; the overlap with a crowd is intersection over the area of the detection, and a crowd
    may be taken again. A detection that finds nothing counts nowhere if its own area is outside of
    the range. AP is the mean, over the 101 recalls 0, 0.01, ..., 1, of the best precision at that
    recall or a larger one. COCO's rule knows no difficult objects: they are objects like others.

    Parameters
    ----------
    truth, found, classes
        As in :func:`average_precision`. Areas are those of ``Instances.areas``.
    of : {"boxes", "masks"}
    iou_thresholds : sequence of float, optional
        0.5, 0.55, ..., 0.95 by default.
    max_detections : sequence of int
        How many detections of a picture and class count, the best first.
    areas : mapping of str to (float, float)
        Ranges of areas, one of which is "all".

    Returns
    -------
    CocoScores

    Raises
    ------
    MissingExtra
        Without pycocotools.
    ArgumentError
        As :func:`average_precision`; for thresholds, numbers or ranges that are none.

    Notes
    -----
    A detection of a mask has the area of the mask, one of a box that of the box. Lin et al.,
    Microsoft COCO (2014); pycocotools 2.0.11, ``cocoeval.py``.
    """
    classes = checks.integer("classes", classes, minimum=1)
    checks.choice("of", of, ("boxes", "masks"))
    thresholds = _thresholds(iou_thresholds)
    numbers = sorted({checks.integer("max_detections", n, minimum=1) for n in max_detections})
    if not numbers:
        raise ArgumentError("max_detections must hold at least one number, got none")
    ranges = _ranges(areas)
    coco, cocoeval = _pycocotools("coco"), _pycocotools("cocoeval")
    check_pictures(truth, found, of)
    for name, pictures in (("truth", truth), ("found", found)):
        check_labels(name, pictures, classes)
    with contextlib.redirect_stdout(io.StringIO()):  # it reports each step
        gt, dt = _index(coco, truth, classes, of), _index(coco, found, classes, of)
        run = cocoeval.COCOeval(gt, dt, "segm" if of == "masks" else "bbox")
        run.params.iouThrs, run.params.maxDets = thresholds, numbers
        run.params.areaRng, run.params.areaRngLbl = list(ranges.values()), list(ranges)
        run.evaluate()
        run.accumulate()
    return _scores(run.eval, thresholds, numbers, list(ranges))


def _pycocotools(part: str) -> Any:
    return optional(f"pycocotools.{part}", "pycocotools", "coco", "COCO's scores")


def _thresholds(given: Sequence[float] | None) -> Array:
    if given is None:
        return np.linspace(0.5, 0.95, 10)
    found = [checks.real(f"iou_thresholds[{i}]", t, 0, 1) for i, t in enumerate(given)]
    if not found:
        raise ArgumentError("iou_thresholds must hold at least one number, got none")
    return np.array(found)


def _ranges(areas: Mapping[str, tuple[float, float]]) -> dict[str, list[float]]:
    found = {}
    for name, ends in areas.items():
        low, high = (checks.real(f"areas[{name!r}]", end, 0) for end in ends)
        if low > high:
            raise ArgumentError(f"areas[{name!r}] goes from {low} to {high}")
        found[name] = [low, high]
    if "all" not in found:
        raise ArgumentError(f"areas has {', '.join(map(repr, found)) or 'none'}, but not 'all'")
    return found


def _index(coco: Any, pictures: Sequence[Any], classes: int, of: str) -> Any:
    """Objects or detections as pycocotools holds them. Numbers begin at 1: 0 is none there."""
    entries: list[dict[str, Any]] = []
    for picture, one in enumerate(pictures, 1):
        for i, (x0, y0, x1, y1) in enumerate(one.boxes.tolist()):
            entry: dict[str, Any] = {"id": len(entries) + 1, "image_id": picture, "iscrowd": 0}
            entry |= {"category_id": int(one.labels[i]), "bbox": [x0, y0, x1 - x0, y1 - y0]}
            entry["area"] = (x1 - x0) * (y1 - y0)
            if of == "masks":
                entry["segmentation"] = _encoded(one.masks[i])
                entry["area"] = float(np.count_nonzero(one.masks[i]))
            if isinstance(one, Detections):
                entry["score"] = float(one.scores[i])
            else:
                entry |= {"iscrowd": int(one.crowd[i]), "area": float(one.areas[i])}
            entries.append(entry)
    index = coco.COCO()
    index.dataset = {
        "images": [_size(i, one) for i, one in enumerate(pictures, 1)],
        "categories": [{"id": c} for c in range(1, classes)],
        "annotations": entries,
    }
    index.createIndex()
    return index


def _size(number: int, picture: Any) -> dict[str, int]:
    rows, columns = (0, 0) if picture.masks is None else picture.masks.shape[1:]
    return {"id": number, "height": rows, "width": columns}


def _encoded(mask: Array) -> Any:
    return _pycocotools("mask").encode(np.asfortranarray(mask.astype(np.uint8)))


def _scores(
    found: Mapping[str, Array], thresholds: Array, numbers: list[int], areas: list[str]
) -> CocoScores:
    """Means over what is there; pycocotools writes -1 for what is not."""
    precision, recall = (np.where(found[k] < 0, np.nan, found[k]) for k in ("precision", "recall"))
    everything = areas.index("all")
    usual = precision[:, :, :, everything, -1]
    mean = mean_of_those_there

    def at(threshold: float) -> float:
        return mean(usual[np.isclose(thresholds, threshold, rtol=0, atol=1e-9)])

    return CocoScores(
        ap=mean(usual),
        ap50=at(0.5),
        ap75=at(0.75),
        ap_by_area={name: mean(precision[:, :, :, a, -1]) for a, name in enumerate(areas)},
        ar={number: mean(recall[:, :, everything, m]) for m, number in enumerate(numbers)},
        ar_by_area={name: mean(recall[:, :, a, -1]) for a, name in enumerate(areas)},
        class_ap=np.array([np.nan, *map(mean, np.moveaxis(usual, 2, 0))]),
        precision=np.insert(usual, 0, np.nan, axis=2),
    )
