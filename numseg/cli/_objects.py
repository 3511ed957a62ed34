"""The options that say which pictures with objects: generated scenes, a folder in VOC's layout, or
a file of annotations in COCO's form."""

from __future__ import annotations

import argparse
import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numseg.cli._data import FOLDER, SCENES, class_table
from numseg.cli._options import apply_to
from numseg.errors import ArgumentError

if TYPE_CHECKING:
    from numseg.data import DetectionDataset

LAYOUT = """\
Pictures with objects: scenes; a folder in the layout of PASCAL VOC with lists in ImageSets/Main and
an XML file for each picture in Annotations; or a JSON file in COCO's form, with --pictures for the
folder of its pictures (and, for training, --held-out FILE.json and --held-out-pictures)."""

LABELS = ("ignore_index", "label_map")
COCO = ("pictures", "held_out", "held_out_pictures")


def add_objects(parser: argparse.ArgumentParser, training: bool) -> None:
    """The group of options that only pictures with objects have."""
    add = parser.add_argument_group("pictures with objects").add_argument
    add("--pictures", metavar="FOLDER", type=Path, help="where those of a COCO file are")
    if training:
        add("--held-out", metavar="JSON", type=Path, help="a COCO file of held-out pictures")
        add(
            "--held-out-pictures", metavar="FOLDER", type=Path,
            help="where those are (the folder of --pictures)",
        )  # fmt: skip
        add(
            "--min-visible", metavar="X", type=float,
            help="an object that is cut stays if this share of it is left (0)",
        )  # fmt: skip


def objects_to_train_on(args: argparse.Namespace) -> DetectionDataset:
    """The pictures to train on."""
    return _dataset(args, True, None)


def objects_held_out(
    args: argparse.Namespace, classes: Sequence[str] | None = None
) -> DetectionDataset:
    """The pictures that are held out; a folder's classes are these, unless options name them."""
    return _dataset(args, False, classes)


def _dataset(
    args: argparse.Namespace, training: bool, classes: Sequence[str] | None
) -> DetectionDataset:
    from numseg import checks, data

    is_file = Path(args.data).suffix.lower() == ".json"
    kind = "scenes" if args.data == "scenes" else "file" if is_file else "folder"
    apply_to(args, LABELS, "segmentation", "pictures with objects")
    for options, meant, what in (
        (SCENES, "scenes", "generated scenes"),
        (set(FOLDER) - set(LABELS), "folder", "folders in VOC's layout"),
        (COCO, "file", "files in COCO's form"),
    ):
        if kind != meant:
            apply_to(args, sorted(options), what, args.data)
    if args.data == "coins":
        raise ArgumentError("coins have labels, but no objects: give scenes, a folder or a file")
    if kind == "scenes":
        count, size = (_given(args, name, SCENES) for name in ("count", "size"))
        checks.integer("count", count, minimum=1)
        both = _scenes(count + max(count // 5, 1), size, args.seed)
        part = slice(count) if training else slice(count, None)
        return dataclasses.replace(both, samples=both.samples[part])
    if kind == "file":
        return _file(args, training)
    names = class_table(args.classes)[0] if args.classes else classes
    split = _given(args, "train_list" if training else "held_out_list", FOLDER)
    return data.voc_instances(args.data, split, data.VOC_CLASSES if names is None else names)


def _file(args: argparse.Namespace, training: bool) -> DetectionDataset:
    """A COCO file; held-out pictures have one of their own where there are others to train on."""
    from numseg import data

    trains = hasattr(args, "held_out")
    if args.pictures is None:
        raise ArgumentError(f"{args.data} is a file in COCO's form: --pictures says where its are")
    if training or not trains:
        return data.coco_instances(args.data, args.pictures)
    if args.held_out is None:
        raise ArgumentError(f"--held-out says on which file to score what {args.data} trains")
    return data.coco_instances(args.held_out, args.held_out_pictures or args.pictures)


@functools.lru_cache(maxsize=1)  # for both parts
def _scenes(count: int, size: int, seed: int) -> DetectionDataset:
    from numseg import data

    return data.scene_instances(count, size, seed)


def _given(args: argparse.Namespace, name: str, usual: dict[str, Any]) -> Any:
    value = getattr(args, name)
    return usual[name] if value is None else value
