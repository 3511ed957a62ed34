"""Folders in the layout of PASCAL VOC."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, overload

from numseg import checks
from numseg.data.dataset import Dataset, Sample
from numseg.data.images import read_image, read_mask
from numseg.errors import ArgumentError, FileError

VOC_CLASSES = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair"),
    *("cow", "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa"),
    *("train", "tvmonitor"),
)
VOC_IGNORE = 255


def voc(
    folder: str | os.PathLike[str],
    split: str = "train",
    classes: Sequence[str] = VOC_CLASSES,
) -> Dataset:
    """A folder in VOC's layout.

    ::

        folder/ImageSets/Segmentation/train.txt    names, one a line
        folder/JPEGImages/NAME.jpg                 pictures (.jpg, .jpeg or .png)
        folder/SegmentationClass/NAME.png          labels: palette indices or 8-bit grey

    Parameters
    ----------
    folder : path
    split : str
        Which list of names.
    classes : sequence of str
        Names of the classes 0, 1, ...; VOC's 21 by default. Label 255 marks pixels to ignore.

    Returns
    -------
    Dataset
        Reads a sample's files each time it is asked for that sample.

    Raises
    ------
    FileError
        Here, if the folders, the list, or files that it names are missing. When a sample is read:
        if a file is damaged, labels are colours rather than numbers, a label is not a class, or
        picture and labels differ in size.
    """
    root = Path(folder)
    if not 1 <= len(classes) <= VOC_IGNORE:
        raise ArgumentError(f"classes must be 1 to {VOC_IGNORE} names, got {len(classes)}")
    for part in ("", "JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        if not (root / part).is_dir():
            raise FileError(f"{root / part}: no such folder (expected VOC's layout in {root})")
    lists = root / "ImageSets" / "Segmentation"
    listed = lists / f"{split}.txt"
    if not listed.is_file():
        there = ", ".join(sorted(file.stem for file in lists.glob("*.txt"))) or "none"
        raise FileError(f"{listed}: no such file (lists there: {there})")
    try:
        names = [line.split()[0] for line in listed.read_text("utf-8").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise FileError(f"{listed}: is not text: {error.reason}") from None
    if not names:
        raise FileError(f"{listed}: names no picture")
    files = [(_picture(root, name), _labels(root, name), name) for name in names]
    return Dataset(_Files(files, len(classes)), tuple(classes), VOC_IGNORE)


def _picture(root: Path, name: str) -> Path:
    candidates = [root / "JPEGImages" / f"{name}{end}" for end in (".jpg", ".jpeg", ".png")]
    found = next((file for file in candidates if file.is_file()), None)
    if found is None:
        raise FileError(f"{candidates[0]}: no such file (nor .jpeg, nor .png)")
    return found


def _labels(root: Path, name: str) -> Path:
    file = root / "SegmentationClass" / f"{name}.png"
    if not file.is_file():
        raise FileError(f"{file}: no such file")
    return file


class _Files(Sequence[Sample]):
    """Samples that are read when they are asked for."""

    def __init__(self, files: list[tuple[Path, Path, str]], classes: int) -> None:
        self._files = files
        self._classes = classes

    def __len__(self) -> int:
        return len(self._files)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Sample]: ...
    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return _Files(self._files[index], self._classes)
        picture, mask, name = self._files[checks.integer("index", index)]
        image, labels = read_image(picture), read_mask(mask)
        if image.shape[1:] != labels.shape:
            (h, w), (rows, columns) = image.shape[1:], labels.shape
            raise FileError(f"{mask}: labels are {rows} x {columns}, but {picture} is {h} x {w}")
        wrong = labels[(labels >= self._classes) & (labels != VOC_IGNORE)]
        if wrong.size:
            raise FileError(
                f"{mask}: holds label {wrong.min()}, but there are {self._classes} classes"
            )
        return Sample(image, labels, name)
