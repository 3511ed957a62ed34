"""What a picture shows, object by object; and what a detector says that it shows."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from numseg import checks
from numseg.boxes.door import quadruples
from numseg.data.labels import as_labels
from numseg.errors import ArgumentError, ArgumentTypeError
from numseg.ops.corners import upright
from numseg.typing import Array


@dataclasses.dataclass(frozen=True, eq=False)
class Instances:
    """The objects of one picture.

    Lists will do as well as arrays, and ``[]`` for no objects.

    Raises
    ------
    ArgumentError
        For arrays that do not fit each other, a box that is inverted or not finite, a label below
        1, masks that are not of bools.
    """

    boxes: Array
    """(N, 4) float64: x0, y0, x1, y1, the edges of the box. Pixel (row, column) has the edges
    column, row, column + 1, row + 1; the whole picture is 0, 0, columns, rows."""
    labels: Array
    """(N,) int64: the class of each, from 1 on; 0 is the background, which no object is."""
    masks: Array | None = None
    """(N, rows, columns) bool: the pixels of each; None where they are not known."""
    crowd: Array = None  # type: ignore[assignment]
    """(N,) bool: not one object but a region of many; nobody's by default."""
    difficult: Array = None  # type: ignore[assignment]
    """(N,) bool: objects that need not be found (VOC's difficult)."""
    truncated: Array = None  # type: ignore[assignment]
    """(N,) bool: objects that go on beyond the box (VOC's truncated)."""
    areas: Array = None  # type: ignore[assignment]
    """(N,) float64: by which COCO's scores call them small, medium, large. Where they are not given
    the pixels of their masks are counted; without masks it is the area of the boxes."""

    @checks.named("Instances")
    def __post_init__(self) -> None:
        boxes = _boxes(self.boxes)
        count = len(boxes)
        kept = {"boxes": boxes, "labels": _labels(self.labels, count)}
        for name in ("crowd", "difficult", "truncated"):
            kept[name] = _flags(name, getattr(self, name), count)
        masks = _masks(self.masks, count)
        kept["areas"] = _areas(boxes, masks) if self.areas is None else _reals(
            "areas", self.areas, count
        )  # fmt: skip
        _keep(self, kept | {"masks": masks})

    def __len__(self) -> int:
        return len(self.boxes)

    def take(self, which: Any) -> Instances:
        """Those of these indices, or where a mask of bools is True, in this order."""
        return Instances(**_taken(self, which))


@dataclasses.dataclass(frozen=True, eq=False)
class Detections:
    """What a detector finds in one picture, in any order.

    Raises
    ------
    ArgumentError
        As :class:`Instances`; and for a score of NaN, which has no place in an order.
    """

    boxes: Array
    """(N, 4) float64, as those of :class:`Instances`."""
    labels: Array
    """(N,) int64, from 1 on."""
    scores: Array
    """(N,) float64: the larger, the surer."""
    masks: Array | None = None
    """(N, rows, columns) bool."""

    @checks.named("Detections")
    def __post_init__(self) -> None:
        boxes = _boxes(self.boxes)
        count = len(boxes)
        scores = _reals("scores", self.scores, count)
        kept = {"boxes": boxes, "labels": _labels(self.labels, count), "scores": scores}
        _keep(self, kept | {"masks": _masks(self.masks, count)})

    def __len__(self) -> int:
        return len(self.boxes)

    def take(self, which: Any) -> Detections:
        """Those of these indices, or where a mask of bools is True, in this order."""
        return Detections(**_taken(self, which))

    def order(self) -> Array:
        """Indices, the highest score first; of equal scores the lower index."""
        return np.argsort(-self.scores, kind="stable")


def _keep(one: Any, values: dict[str, Any]) -> None:
    for name, value in values.items():
        object.__setattr__(one, name, value)


def _taken(one: Any, which: Any) -> dict[str, Any]:
    """Every field of some of the objects."""
    index = np.asarray(which)
    index = index.astype(np.int64) if index.size == 0 and index.dtype != bool else index
    fields = {field.name: getattr(one, field.name) for field in dataclasses.fields(one)}
    return {name: value if value is None else value[index] for name, value in fields.items()}


def _numbers(name: str, value: Any) -> Array:
    array = np.asarray(value)
    if array.dtype.kind not in "iuf":
        raise ArgumentTypeError(f"{name} has dtype {array.dtype}, expected real numbers")
    return array.astype(np.float64)


def _boxes(value: Any) -> Array:
    boxes = _numbers("boxes", value)
    if boxes.shape == (0,):  # that is what [] is
        boxes = boxes.reshape(0, 4)
    checks.axes("boxes", boxes, "n 4")
    quadruples("boxes", boxes)
    upright("boxes", boxes)
    return boxes


def _labels(value: Any, count: int) -> Array:
    labels = np.zeros(0, np.int64) if np.shape(value) == (0,) else as_labels("labels", value)
    checks.shape("labels", labels, (count,), "one for each box")
    if labels.size and labels.min() < 1:
        place = int(labels.argmin())
        raise ArgumentError(
            f"labels[{place}] is {labels[place]}, expected at least 1: 0 is the background"
        )
    return labels


def _reals(name: str, value: Any, count: int) -> Array:
    """A number for each box; NaN is none."""
    numbers = _numbers(name, value)
    checks.shape(name, numbers, (count,), "one for each box")
    if (wrong := np.isnan(numbers)).any():
        raise ArgumentError(f"{name}[{int(wrong.argmax())}] is nan, expected a number")
    return numbers


def _flags(name: str, value: Any, count: int) -> Array:
    if value is None:
        return np.zeros(count, bool)
    flags = np.asarray(value)
    if flags.shape == (0,):
        flags = flags.astype(bool)
    checks.shape(name, flags, (count,), "one for each box")
    if flags.dtype != bool:
        raise ArgumentTypeError(f"{name} has dtype {flags.dtype}, expected bool")
    return flags


def _masks(value: Any, count: int) -> Array | None:
    if value is None:
        return None
    masks = np.asarray(value)
    rows_columns = checks.axes("masks", masks, "n h w")[1:]
    checks.shape("masks", masks, (count, *rows_columns), "one for each box")
    if masks.dtype != bool:
        raise ArgumentTypeError(f"masks has dtype {masks.dtype}, expected bool")
    return masks


def _areas(boxes: Array, masks: Array | None) -> Array:
    if masks is not None:
        return np.count_nonzero(masks, axis=(1, 2)).astype(np.float64)
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
