"""COCO's annotations: JSON with boxes, polygons and run lengths."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, overload

import numpy as np

from numseg import checks
from numseg.data.detection import DetectionDataset, DetectionSample
from numseg.data.images import read_annotated
from numseg.data.instances import Instances
from numseg.errors import FileError, one_line, shown
from numseg.files import optional, read_whole
from numseg.typing import Array

LARGEST_CATEGORY = 2**16
LARGEST_SIDE = 2**15
FARTHEST = 4
"""How far out a polygon may reach, in sides of the picture: its edges are walked pixel by pixel."""


def coco_instances(
    annotations: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    masks: bool = True,
    labels: str = "contiguous",
) -> DetectionDataset:
    """Pictures in a folder, with the objects of a file of annotations in COCO's form.

    Parameters
    ----------
    annotations : path
        JSON of ``images``, ``categories`` and ``annotations``, as ``instances_val2017.json``.
    folder : path
        Where the pictures are.
    masks : bool
        Read masks as well: polygons as pycocotools fills them (extra ``coco``), and run lengths,
        compressed or not. Without, boxes alone.
    labels : {"contiguous", "category_ids"}
        What classes are. "contiguous": 1, 2, ... in the order of the categories' ids.
        "category_ids": those ids, as torchvision's detectors have them; numbers that no category
        has are classes named "N/A".

    Returns
    -------
    DetectionDataset
        Every picture of the file, those without objects too, in its order. ``crowd`` is iscrowd,
        ``areas`` is area; a bbox x, y, width, height is the box x, y, x + width, y + height. Reads
        a sample's picture, and makes its masks, each time it is asked for that sample.

    Raises
    ------
    FileError
        Here, if a file or folder is missing, is no JSON of this form, or speaks of a picture or
        category that it has not. When a sample is read: if its picture is missing, damaged, of
        another size, or would lie outside of the folder; if a box, polygon or run length is none.
    MissingExtra
        Without pycocotools, if masks are wanted.
    """
    checks.choice("labels", labels, ("contiguous", "category_ids"))
    if checks.flag("masks", masks):
        _filling()
    if not Path(folder).is_dir():
        raise FileError(f"{folder}: no such folder")
    about = _Entries(annotations)
    categories = about.by_id("categories", "name")
    pictures = about.by_id("images", "file_name")
    known, classes = _classes(about, categories, labels)
    objects: dict[int, list[dict[str, Any]]] = {number: [] for number in pictures}
    for entry in about.all("annotations"):
        number = about.integer("annotation", entry, "image_id")
        if number not in objects:
            raise about.error("annotation", entry, f"is of picture {number}, which is none")
        objects[number].append(entry)
    found = [_Picture(about, entry, objects[number]) for number, entry in pictures.items()]
    return DetectionDataset(_Files(found, Path(folder), known, masks), classes)


def _filling() -> Any:
    """The functions that fill polygons."""
    return optional("pycocotools.mask", "pycocotools", "coco", "reading polygons")


class _Entries:
    """A file of JSON, and what is wrong with it."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = path
        try:
            content = json.loads(read_whole(path))
        except FileError:
            raise
        except (ValueError, RecursionError) as error:
            raise FileError(f"{path}: cannot be read as JSON: {one_line(error)}") from None
        if not isinstance(content, dict):
            kind = type(content).__name__
            raise FileError(f"{path}: is JSON of a {kind}, expected images and annotations")
        self.content = content

    def all(self, part: str) -> list[dict[str, Any]]:
        found = self.content.get(part, [] if part == "annotations" else None)
        if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
            raise FileError(f"{self.path}: has no list of {part}")
        return found

    def by_id(self, part: str, named: str) -> dict[int, dict[str, Any]]:
        """Entries by their number; each has a name."""
        found: dict[int, dict[str, Any]] = {}
        for entry in self.all(part):
            number = self.integer(part, entry, "id")
            if number in found:
                raise FileError(f"{self.path}: has two {part} of id {number}")
            if not isinstance(entry.get(named), str):
                raise self.error(part, entry, f"has {named} {shown(entry.get(named))}")
            found[number] = entry
        return found

    def error(self, part: str, entry: dict[str, Any], words: str) -> FileError:
        return FileError(f"{self.path}: {part} {shown(entry.get('id'))}: {words}")

    def integer(self, part: str, entry: dict[str, Any], name: str) -> int:
        value = entry.get(name)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.error(part, entry, f"has {name} {shown(value)}, expected an integer")
        return value

    def numbers(self, part: str, entry: dict[str, Any], name: str, value: Any) -> list[float]:
        """A list of finite numbers."""
        if not isinstance(value, list) or not all(map(_is_number, value)):
            raise self.error(part, entry, f"has {name} {shown(value)}, expected numbers")
        return [float(each) for each in value]


def _is_number(value: Any) -> bool:
    if isinstance(value, int):
        return not isinstance(value, bool) and abs(value) < 2**53
    return isinstance(value, float) and math.isfinite(value)


def _classes(
    about: _Entries, categories: dict[int, dict[str, Any]], labels: str
) -> tuple[dict[int, int], tuple[str, ...]]:
    """The label of each category's id, and the names of the classes."""
    ids = sorted(categories)
    names = {number: categories[number]["name"] for number in ids}
    if labels == "contiguous":
        known = {number: label for label, number in enumerate(ids, 1)}
        return known, ("background", *(names[number] for number in ids))
    if ids and not 1 <= ids[0] <= ids[-1] < LARGEST_CATEGORY:
        wrong = ids[0] if ids[0] < 1 else ids[-1]
        raise FileError(
            f"{about.path}: has category {wrong}, expected 1 to {LARGEST_CATEGORY - 1} for labels "
            "that are categories' ids"
        )
    last = ids[-1] if ids else 0
    return {n: n for n in ids}, ("background", *(names.get(n, "N/A") for n in range(1, last + 1)))


class _Object(NamedTuple):
    """What an annotation says."""

    box: tuple[float, float, float, float]
    label: int
    crowd: bool
    area: float
    mask: Array | None


class _Picture(NamedTuple):
    """What the file says of a picture."""

    about: _Entries
    entry: dict[str, Any]
    objects: list[dict[str, Any]]

    def path(self, folder: Path) -> Path:
        """Where the picture is: in the folder, whatever its name says."""
        name = self.entry["file_name"]
        inside = PurePosixPath(name.replace("\\", "/"))
        parts = inside.parts
        if not parts or inside.is_absolute() or ".." in parts or ":" in parts[0]:
            raise self.about.error(
                "image", self.entry, f"has file_name {shown(name)}, expected one inside of {folder}"
            )
        return folder / inside

    def size(self) -> tuple[int, int]:
        rows, columns = (self.about.integer("image", self.entry, n) for n in ("height", "width"))
        if not (0 < rows <= LARGEST_SIDE and 0 < columns <= LARGEST_SIDE):
            raise self.about.error(
                "image", self.entry, f"is {rows} x {columns}, expected 1 to {LARGEST_SIDE} pixels"
            )
        return rows, columns

    def instances(self, known: dict[int, int], masks: bool) -> Instances:
        """The objects."""
        size = self.size()
        found = [self._object(entry, known, size if masks else None) for entry in self.objects]
        return Instances(
            np.array([one.box for one in found], np.float64),
            np.array([one.label for one in found], np.int64),
            np.array([one.mask for one in found], bool).reshape(-1, *size) if masks else None,
            crowd=np.array([one.crowd for one in found], bool),
            areas=np.array([one.area for one in found], np.float64),
        )

    def _object(
        self, entry: dict[str, Any], known: dict[int, int], size: tuple[int, int] | None
    ) -> _Object:
        """One of them; with its mask, if a size is given."""
        label = known.get(self.about.integer("annotation", entry, "category_id"))
        if label is None:
            words = f"is of category {entry['category_id']}, which is none"
            raise self.about.error("annotation", entry, words)
        crowd = entry.get("iscrowd", 0)
        if crowd not in (0, 1):
            words = f"has iscrowd {shown(crowd)}, expected 0 or 1"
            raise self.about.error("annotation", entry, words)
        x, y, width, height = self._box(entry)
        mask = None if size is None else self._mask(entry, size)
        area = width * height if mask is None else float(np.count_nonzero(mask))
        (area,) = self.about.numbers("annotation", entry, "area", [entry.get("area", area)])
        return _Object((x, y, x + width, y + height), label, bool(crowd), area, mask)

    def _box(self, entry: dict[str, Any]) -> list[float]:
        box = self.about.numbers("annotation", entry, "bbox", entry.get("bbox"))
        if len(box) != 4 or min(box[2:]) < 0:
            words = f"has bbox {shown(entry['bbox'])}, expected x, y, width, height"
            raise self.about.error("annotation", entry, words)
        return box

    def _mask(self, entry: dict[str, Any], size: tuple[int, int]) -> Array:
        given = entry.get("segmentation")
        if not given:
            raise self.about.error(
                "annotation", entry, "has no segmentation (masks=False reads boxes alone)"
            )
        if isinstance(given, dict):
            return self._runs(entry, given, size)
        return self._polygons(entry, given, size)

    def _polygons(self, entry: dict[str, Any], given: Any, size: tuple[int, int]) -> Array:
        polygons = [
            self.about.numbers("annotation", entry, "polygon", each)
            for each in (given if isinstance(given, list) else [given])
        ]
        for polygon in polygons:
            farthest = max(map(abs, polygon), default=0)
            if len(polygon) < 6 or len(polygon) % 2:
                words = f"has a polygon of {len(polygon)} numbers, expected x and y of 3 corners"
                raise self.about.error("annotation", entry, words)
            if farthest > FARTHEST * max(size):
                words = f"has a polygon that reaches {farthest:g}, but the picture is {_by(size)}"
                raise self.about.error("annotation", entry, words)
        filling = _filling()
        filled = filling.merge(filling.frPyObjects(polygons, *size))
        return _painted(uncompressed(filled["counts"].decode()) or [], size)

    def _runs(self, entry: dict[str, Any], given: dict[str, Any], size: tuple[int, int]) -> Array:
        """Run lengths of zeros and ones in turn, column by column. Summed before a mask is made."""
        if given.get("size") != list(size):
            words = f"has run lengths of size {shown(given.get('size'))}, expected {list(size)}"
            raise self.about.error("annotation", entry, words)
        counts = given.get("counts")
        lengths = uncompressed(counts) if isinstance(counts, str) else counts
        whole = isinstance(lengths, list) and all(type(n) is int and n >= 0 for n in lengths)
        if not whole or sum(lengths) != size[0] * size[1]:  # type: ignore[arg-type]
            total = sum(lengths) if whole else shown(counts)  # type: ignore[arg-type]
            words = f"has run lengths of {total} pixels, but the picture is {_by(size)}"
            raise self.about.error("annotation", entry, words)
        return _painted(lengths, size)  # type: ignore[arg-type]


def _painted(lengths: list[int], size: tuple[int, int]) -> Array:
    """The mask of run lengths that add up to its pixels."""
    ones = np.arange(len(lengths)) % 2 == 1
    return np.repeat(ones, lengths).reshape(size[::-1]).T


def uncompressed(text: str) -> list[int] | None:
    """The run lengths of COCO's compressed form; None, if it is none.

    A number is written in letters of 6 bits, from ``0`` (48) on, the lowest five bits first; the
    sixth says that there are more, the fifth of the last is the sign. From the fourth number on it
    is the difference to the number two places before.
    """
    lengths: list[int] = []
    value = shift = 0
    for letter in text:
        bits = ord(letter) - 48
        if not 0 <= bits < 64 or shift > 30:
            return None
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        lengths.append(value + (lengths[-2] if len(lengths) > 2 else 0))
        value = shift = 0
    return None if shift else lengths


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"


class _Files(Sequence[DetectionSample]):
    """Samples that are read when they are asked for."""

    def __init__(
        self, pictures: list[_Picture], folder: Path, known: dict[int, int], masks: bool
    ) -> None:
        self._pictures, self._rest = pictures, (folder, known, masks)

    def __len__(self) -> int:
        return len(self._pictures)

    @overload
    def __getitem__(self, index: int) -> DetectionSample: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[DetectionSample]: ...
    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return _Files(self._pictures[index], *self._rest)
        picture = self._pictures[checks.integer("index", index)]
        folder, known, masks = self._rest
        image = read_annotated(picture.path(folder), picture.size(), picture.about.path)
        return DetectionSample(image, picture.instances(known, masks), picture.entry["file_name"])
