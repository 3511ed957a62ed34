"""Folders in the layout of PASCAL VOC, with the objects of each picture in an XML file."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, overload
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

import numpy as np

from numseg import checks
from numseg.data.dataset import class_names
from numseg.data.detection import DetectionDataset, DetectionSample
from numseg.data.images import read_annotated
from numseg.data.instances import Instances
from numseg.data.lists import Pair, listed_in, pairs
from numseg.data.voc import VOC_CLASSES
from numseg.errors import FileError, one_line, printable, shown
from numseg.files import read_whole

_Corners = tuple[float, float, float, float]
CORNERS: dict[str, Callable[[float, float, float, float], _Corners]] = {
    "edges": lambda xmin, ymin, xmax, ymax: (xmin - 1, ymin - 1, xmax, ymax),
    "pixels": lambda xmin, ymin, xmax, ymax: (xmin - 1, ymin - 1, xmax - 1, ymax - 1),
    "file": lambda xmin, ymin, xmax, ymax: (xmin, ymin, xmax, ymax),
}
"""What boxes are of a file's numbers, in which pixels are counted from 1 and xmax is the last."""

LARGEST_FILE, DEEPEST = 2**24, 32
"""Bytes of a file of annotations, and elements within one another."""


def voc_instances(
    folder: str | os.PathLike[str],
    split: str = "train",
    classes: Sequence[str] = VOC_CLASSES,
    *,
    corners: str = "edges",
) -> DetectionDataset:
    """A folder in VOC's layout, with the boxes of its XML files.

    ::

        folder/ImageSets/Main/train.txt    names, one a line
        folder/JPEGImages/NAME.jpg         pictures (also .png, .tif, .bmp, ...)
        folder/Annotations/NAME.xml        their objects: name, bndbox, difficult, truncated

    Parameters
    ----------
    folder : path
    split : str
        Which list of names; its lines are as for :func:`voc`.
    classes : sequence of str
        Names of the classes, the background's first; VOC's 21 by default.
    corners : {"edges", "pixels", "file"}
        What boxes are made of the file's xmin, ymin, xmax, ymax, which count pixels from 1, the
        last one included:

        - "edges": xmin - 1, ymin - 1, xmax, ymax, so that the box of a whole picture is 0, 0,
          columns, rows, and overlaps are VOC's with ``offset=0`` (as detectron2).
        - "pixels": all less 1, so that xmax is the last column; overlaps are VOC's with
          ``offset=1`` (as py-faster-rcnn).
        - "file": as they are (as torchvision's ``VOCDetection``).

    Returns
    -------
    DetectionDataset
        Without masks. Reads a sample's files each time it is asked for that sample. Boxes that
        leave the picture stay as they are.

    Raises
    ------
    ArgumentError
        For classes that are no names, or another word for ``corners``.
    FileError
        Here, if the folders, the list, or files that it names are missing. When a sample is read:
        if a file is damaged, has a document type (and so might declare entities: nothing is
        expanded, and nothing is read from elsewhere), states another size than the picture's, or
        has an object of a class that is none, or whose numbers are none or are no box.
    """
    root = Path(folder)
    names = class_names(classes)
    checks.choice("corners", corners, tuple(CORNERS))
    parts = "JPEGImages", "Annotations"
    listed = listed_in(root, "ImageSets/Main", split, parts)
    found = pairs(root, listed, *parts, (".xml",))
    return DetectionDataset(_Files(found, names, corners), names)


class Annotated(NamedTuple):
    """What :func:`read_voc_xml` gives."""

    instances: Instances
    size: tuple[int, int] | None
    """Rows and columns of the picture; None where the file states none, or 0."""


def read_voc_xml(
    path: str | os.PathLike[str], classes: Sequence[str] = VOC_CLASSES, *, corners: str = "edges"
) -> Annotated:
    """The objects of one XML file, as :func:`voc_instances` reads them.

    Raises
    ------
    FileError
        As there.
    """
    names = class_names(classes)
    rule = CORNERS[checks.choice("corners", corners, tuple(CORNERS))]
    root = _parsed(path)
    objects = [_Object(path, i, each) for i, each in enumerate(root.findall("object"))]
    instances = Instances(
        labels=np.array([one.label(names) for one in objects], np.int64),
        boxes=np.array([rule(*one.corners()) for one in objects], np.float64),
        difficult=np.array([one.flag("difficult") for one in objects], bool),
        truncated=np.array([one.flag("truncated") for one in objects], bool),
    )
    return Annotated(instances, _size(path, root.find("size")))


def _parsed(path: str | os.PathLike[str]) -> Element:
    """The root element. Expat alone, without a document type: no entity can be declared."""
    content = read_whole(path)
    if len(content) > LARGEST_FILE:
        raise FileError(f"{path}: has {len(content)} bytes, expected at most {LARGEST_FILE}")
    builder, parser = TreeBuilder(), expat.ParserCreate()
    depth = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > DEEPEST:
            raise FileError(f"{path}: has elements {depth} deep, expected at most {DEEPEST}")
        builder.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag)

    def refuse(name: str, *_: Any) -> None:
        raise FileError(f"{path}: has a document type ({printable(name)}), expected none")

    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(content, True)
    except FileError:
        raise
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise FileError(f"{path}: cannot be read as XML: {one_line(error)}") from None
    root = builder.close()
    if root.tag != "annotation":
        raise FileError(f"{path}: is XML of {shown(root.tag)}, expected 'annotation'")
    return root


class _Object:
    """One object of a file."""

    def __init__(self, path: Any, number: int, element: Element) -> None:
        self.where, self.element = f"{path}: object {number}", element

    def text(self, name: str, usual: str | None = None) -> str:
        """What an element says."""
        found = self.element.findtext(name, usual)
        if found is None:
            raise FileError(f"{self.where}: has no {name}")
        return found.strip()

    def label(self, names: tuple[str, ...]) -> int:
        name = self.text("name")
        if name not in names[1:]:
            raise FileError(
                f"{self.where}: is a {shown(name)}, which is none of the {len(names) - 1} classes "
                f"({', '.join(names[1:4])}{', ...' if len(names) > 4 else ''})"
            )
        return names.index(name, 1)

    def corners(self) -> _Corners:
        """The file's numbers."""
        xmin, ymin, xmax, ymax = (self.number(f"bndbox/{n}") for n in
                                  ("xmin", "ymin", "xmax", "ymax"))  # fmt: skip
        for axis, low, high in (("x", xmin, xmax), ("y", ymin, ymax)):
            if low > high:
                raise FileError(
                    f"{self.where}: has {axis}min {low:g} and {axis}max {high:g}, "
                    f"expected {axis}min <= {axis}max"
                )
        return xmin, ymin, xmax, ymax

    def number(self, name: str) -> float:
        text = self.text(name)
        try:
            found = float(text)
        except ValueError:
            found = math.nan
        if not math.isfinite(found):
            raise FileError(f"{self.where}: has {name} {shown(text)}, expected a number")
        return found

    def flag(self, name: str) -> bool:
        text = self.text(name, "0")
        if text not in ("0", "1", ""):
            raise FileError(f"{self.where}: has {name} {shown(text)}, expected 0 or 1")
        return text == "1"


def _size(path: str | os.PathLike[str], element: Element | None) -> tuple[int, int] | None:
    """Rows and columns; some programs write 0 for what they do not know."""
    if element is None:
        return None
    found = []
    for name in ("height", "width"):
        text = (element.findtext(name) or "0").strip()
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise FileError(f"{path}: has size/{name} {shown(text)}, expected a number of pixels")
        found.append(int(text))
    return (found[0], found[1]) if all(found) else None


class _Files(Sequence[DetectionSample]):
    """Samples that are read when they are asked for."""

    def __init__(self, files: list[Pair], classes: tuple[str, ...], corners: str) -> None:
        self._files, self._classes, self._corners = files, classes, corners

    def __len__(self) -> int:
        return len(self._files)

    @overload
    def __getitem__(self, index: int) -> DetectionSample: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[DetectionSample]: ...
    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return _Files(self._files[index], self._classes, self._corners)
        picture, annotations, name = self._files[checks.integer("index", index)]
        found = read_voc_xml(annotations, self._classes, corners=self._corners)
        image = read_annotated(picture, found.size, annotations)
        return DetectionSample(image, found.instances, name)
