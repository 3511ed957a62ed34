"""Folders in the layout of PASCAL VOC."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np

from numseg import checks
from numseg.data.colours import Colours, ColourTable
from numseg.data.dataset import Dataset, Sample, check_classes, class_names
from numseg.data.images import read_pair
from numseg.data.lists import Pair, listed_in, pairs
from numseg.errors import ArgumentError, ArgumentTypeError, FileError
from numseg.typing import Array

VOC_CLASSES = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair"),
    *("cow", "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa"),
    *("train", "tvmonitor"),
)
VOC_IGNORE = 255

LAYOUT = """\
FOLDER/ImageSets/Segmentation/train.txt    names of pictures, one a line
FOLDER/JPEGImages/NAME.jpg                 pictures, also .png, .tif, ...
FOLDER/SegmentationClass/NAME.png          their labels: palette indices or grey, 1 to 16 bits
"""
"""For people."""


def voc(
    folder: str | os.PathLike[str],
    split: str = "train",
    classes: Sequence[str] = VOC_CLASSES,
    *,
    ignore_index: int | None = VOC_IGNORE,
    label_map: Mapping[int, int] | None = None,
    colours: Colours | None = None,
) -> Dataset:
    """A folder in VOC's layout.

    ::

        folder/ImageSets/Segmentation/train.txt    names, one a line
        folder/JPEGImages/NAME.jpg                 pictures (also .png, .tif, .bmp, ...)
        folder/SegmentationClass/NAME.png          labels: the numbers of palette or grey, 1-16 bits

    A line of the list is a name with or without extension or folder, spaces included, or the paths
    of a picture and its labels. Extensions may be in capitals.

    Parameters
    ----------
    folder : path
    split : str
        Which list of names.
    classes : sequence of str
        Names of the classes 0, 1, ...; VOC's 21 by default.
    ignore_index : int, optional
        The label of pixels to leave out, 255 by default; None where there are none.
    label_map : mapping of int to int, optional
        The classes of numbers in the files: ``{0: 0, 255: 1}`` for masks that are black and white.
        A number may be mapped to ``ignore_index``, too. One that it has not stays what it is; but
        if another number is mapped to that, it is an error.
    colours : array, (C, 3), uint8, or mapping of (red, green, blue) to int, optional
        For labels that are pictures of colours: the colour of each class, or the label of each
        colour; with a ``label_map``, of the numbers that it maps. Classes are drawn in them, too,
        where nothing is mapped.

    Returns
    -------
    Dataset
        Reads a sample's files each time it is asked for that sample.

    Raises
    ------
    ArgumentError
        For classes, an ``ignore_index``, a map or colours that do not fit each other.
    FileError
        Here, if the folders, the list, or files that it names are missing. When a sample is read:
        if a file is damaged, labels are colours that no class has, a label is not a class, or
        picture and labels differ in size.
    """
    root = Path(folder)
    names = class_names(classes)
    if ignore_index is not None:
        ignore_index = checks.integer("ignore_index", ignore_index)
        if ignore_index == VOC_IGNORE < len(names):
            raise ArgumentError(
                f"ignore_index is {VOC_IGNORE}, which is one of the {len(names)} classes: say "
                "ignore_index=65535, or None"
            )
    mapped = None if label_map is None else _checked_map(label_map, len(names), ignore_index)
    table = None
    if colours is not None:
        table = ColourTable.of(colours, len(names) if mapped is None else None)
    parts = "JPEGImages", "SegmentationClass"
    found = pairs(root, listed_in(root, "ImageSets/Segmentation", split, parts), *parts)
    files = _Files(found, len(names), ignore_index, mapped, table)
    drawn = table.shown(len(names)) if table is not None and mapped is None else None
    return Dataset(files, names, ignore_index, drawn)


def _checked_map(
    label_map: Mapping[int, int], classes: int, ignore_index: int | None
) -> dict[int, int]:
    """Numbers in files and the labels that they are."""
    if not isinstance(label_map, Mapping):
        raise ArgumentTypeError(f"label_map must be a dict {{number: class}}, got {label_map!r}")
    found = {}
    for number, label in label_map.items():
        number = checks.integer("label_map's numbers", number)
        label = checks.integer(f"label_map[{number}]", label)
        if not 0 <= label < classes and label != ignore_index:
            raise ArgumentError(
                f"label_map[{number}] is {label}, but there are {classes} classes, and "
                f"ignore_index is {ignore_index}"
            )
        found[number] = label
    if ignore_index is not None:
        found.setdefault(ignore_index, ignore_index)
    return found


def _mapped(mask: Path, labels: Array, mapped: Mapping[int, int]) -> Array:
    """The labels that the numbers of a file are."""
    found, place = np.unique(labels, return_inverse=True)
    numbers = found.tolist()
    taken = {label: number for number, label in mapped.items()}
    for number in numbers:
        if number not in mapped and number in taken:
            raise FileError(
                f"{mask}: holds {number}, which label_map has not, but it maps {taken[number]} to "
                f"{number}: map {number}, too"
            )
    return np.array([mapped.get(n, n) for n in numbers], np.int64)[place].reshape(labels.shape)


class _Files(Sequence[Sample]):
    """Samples that are read when they are asked for."""

    def __init__(
        self,
        files: list[Pair],
        classes: int,
        ignore_index: int | None,
        mapped: Mapping[int, int] | None,
        colours: ColourTable | None,
    ) -> None:
        self._files = files
        self._rest = classes, ignore_index, mapped, colours

    def __len__(self) -> int:
        return len(self._files)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Sample]: ...
    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return _Files(self._files[index], *self._rest)
        picture, mask, name = self._files[checks.integer("index", index)]
        classes, ignore_index, mapped, colours = self._rest
        image, labels = read_pair(picture, mask, colours)
        if mapped is not None:
            labels = _mapped(mask, labels, mapped)
        try:
            check_classes(str(mask), labels, classes, ignore_index)
        except ArgumentError as error:
            raise FileError(str(error)) from None
        return Sample(image, labels, name)
