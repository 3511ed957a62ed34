"""The options that say which pictures: generated scenes, coins, or a folder in VOC's layout."""

from __future__ import annotations

import argparse
import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numseg.cli._options import apply_to, pairs
from numseg.errors import ArgumentError

if TYPE_CHECKING:
    from numseg.data import Dataset

LAYOUT = """\
A folder in the layout of PASCAL VOC has pictures, labels of the same names, and lists of names:

  FOLDER/ImageSets/Segmentation/train.txt   pictures' names, one a line; val.txt: those held out
  FOLDER/JPEGImages/NAME.jpg                pictures (also .png, .tif, .bmp, ...)
  FOLDER/SegmentationClass/NAME.png         labels: a pixel's number is its class, 255 is ignored

Labels are palette indices or grey of 1 to 16 bits, nothing is scaled; or colours, if --classes is a
file that has them. It names a class a line, with or without a colour:

  background     0 0 0
  traffic light  250 170 30
  person         #dc143c
"""

SCENES = {"count": 400, "size": 96}
FOLDER = {
    "classes": None, "ignore_index": 255, "label_map": None, "train_list": "train",
    "held_out_list": "val",
}  # fmt: skip
"""What has meaning for which data, and what it is where it is not given."""


def add_data(parser: argparse.ArgumentParser, training: bool, usual: str | None = None) -> None:
    """``DATA`` and the group of its options; ``--data``, where there is usual data."""
    add, what = parser.add_argument, "scenes, coins, or a folder in VOC's layout"
    if usual is None:
        add("data", metavar="DATA", help=what)
    else:
        add("--data", metavar="DATA", default=usual, help=f"{what} ({usual})")
    add = parser.add_argument_group("data").add_argument
    add("--count", metavar="N", type=int, help="scenes to train on (400)")
    add("--size", metavar="N", type=int, help="rows and columns of a scene (96)")
    add("--classes", metavar="A,B,... | FILE", help="a folder's classes, or a file of them (VOC's)")
    add("--ignore-index", metavar="N", type=_ignored, help="its label to leave out, or none (255)")
    add("--label-map", metavar="N=CLASS,...", help="the class of each number in its labels")
    if training:
        add("--train-list", metavar="NAME", help="its pictures to train on (train)")
    add("--held-out-list", metavar="NAME", help="its held-out pictures (val)")


def _ignored(text: str) -> int | str:
    return "none" if text.lower() == "none" else int(text)


def to_train_on(args: argparse.Namespace) -> Dataset:
    """The pictures to train on."""
    return _dataset(args, True, None)


def held_out(args: argparse.Namespace, classes: Sequence[str] | None = None) -> Dataset:
    """The pictures that are held out; a folder's classes are these, unless options name them."""
    return _dataset(args, False, classes)


def _dataset(args: argparse.Namespace, training: bool, classes: Sequence[str] | None) -> Dataset:
    from numseg import checks, data

    kind = args.data if args.data in ("scenes", "coins") else "folder"
    for options, meant in ((SCENES, "scenes"), (FOLDER, "folder")):
        if kind != meant:
            what = "generated scenes" if meant == "scenes" else "folders in VOC's layout"
            apply_to(args, options, what, args.data)
    if kind == "coins":
        return data.coins("train" if training else "held-out")
    if kind == "scenes":
        count, size = (_given(args, name, SCENES) for name in ("count", "size"))
        checks.integer("count", count, minimum=1)
        both = _scenes(count + max(count // 5, 1), size, args.seed)
        part = slice(count) if training else slice(count, None)
        return dataclasses.replace(both, samples=both.samples[part])
    names, colours = class_table(args.classes) if args.classes else (classes, None)
    ignored = _given(args, "ignore_index", FOLDER)
    return data.voc(
        args.data,
        _given(args, "train_list" if training else "held_out_list", FOLDER),
        data.VOC_CLASSES if names is None else names,
        ignore_index=None if ignored == "none" else ignored,
        label_map=_label_map(args.label_map),
        colours=colours,
    )


@functools.lru_cache(maxsize=1)  # for both parts
def _scenes(count: int, size: int, seed: int) -> Dataset:
    from numseg import data

    return data.scenes(count, size, seed)


def _given(args: argparse.Namespace, name: str, usual: dict[str, Any]) -> Any:
    value = getattr(args, name)
    return usual[name] if value is None else value


def class_table(text: str) -> tuple[tuple[str, ...], Any]:
    """Names, and colours if there are any, of ``--classes``."""
    from numseg.data import read_classes

    if Path(text).is_file():
        return read_classes(text)
    names = tuple(name.strip() for name in text.split(","))
    if len(names) == 1 and ("/" in text or Path(text).suffix in (".txt", ".csv")):
        read_classes(text)  # which says that there is no such file
    return names, None


def _label_map(text: str | None) -> dict[int, int] | None:
    if text is None:
        return None
    try:
        return {int(a): int(b) for a, b in pairs("--label-map", text.split(",")).items()}
    except ValueError:
        raise ArgumentError(f"--label-map wants NUMBER=CLASS,..., got {text!r}") from None
