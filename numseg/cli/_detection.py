"""``numseg evaluate`` of a detector."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numseg.cli._objects import objects_held_out
from numseg.cli._options import apply_to, check_folder
from numseg.cli._trained import trained_detector

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numseg.data import DetectionDataset, Detections

COLUMNS = {
    "AP50": ("class_ap50", "ap50"),
    "mask AP50": ("class_mask_ap50", "mask_ap50"),
    "COCO AP": ("class_coco_ap", "coco_ap"),
    "mask COCO AP": ("class_coco_mask_ap", "coco_mask_ap"),
}
"""By head, names in an entry of a history: of each class, and of all."""


def table(classes: Sequence[str], entry: dict[str, Any]) -> str:
    """The average precision of every class but the background, and the mean."""
    heads = {head: names for head, names in COLUMNS.items() if names[0] in entry}
    widths = {head: max(len(head), 8) for head in heads}

    def row(name: str, values: dict[str, Any]) -> str:
        cells = (
            f"{'-' if v is None else format(v, '.3f'):>{widths[head]}}"
            for head, v in values.items()
        )
        return f"  {name:<16}" + "  ".join(cells)

    first = f"  {'held out':<16}" + "  ".join(f"{head:>{widths[head]}}" for head in heads)
    each = [
        row(classes[c], {head: entry[names[0]][c] for head, names in heads.items()})
        for c in range(1, len(classes))
    ]
    return "\n".join([first, *each, row("mean", {h: entry[n[1]] for h, n in heads.items()})])


def evaluate(args: argparse.Namespace) -> None:
    """Print average precisions, and write what ``--out`` asks for."""
    from numseg import checks
    from numseg.cli._running import progress
    from numseg.errors import ArgumentError
    from numseg.files import check_writable, optional
    from numseg.training import detect_each

    apply_to(args, ["boundary"], "segmentation", "a detector")
    if args.device != "cpu":
        raise ArgumentError(f"--device is {args.device!r}, but detectors run on the CPU")
    checks.integer("--worst", args.worst, minimum=0)
    if args.coco:
        optional("pycocotools", "pycocotools", "coco", "COCO's scores")
    if args.out is not None:  # what is missing is said before the work
        check_folder("--out", args.out, "the report")
        check_writable(args.out / "evaluation.json")
        optional("matplotlib.figure", "matplotlib", "demo", "drawing the picture")
    detector, checkpoint = trained_detector(args)
    dataset = objects_held_out(args, checkpoint.about.get("classes"))
    classes = tuple(checkpoint.about.get("classes", dataset.classes))
    if dataset.classes != classes or len(classes) != detector.classes:
        raise ArgumentError(
            f"{args.weights} finds {detector.classes} classes ({_some(classes)}), but the data has "
            f"{len(dataset.classes)} ({_some(dataset.classes)})"
        )
    tqdm, seen = progress(), detect_each(detector, checkpoint.params, dataset)
    found = list(
        tqdm(seen, total=len(dataset), desc="evaluate", unit="picture", dynamic_ncols=True)
    )
    report(args, dataset, found)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def report(args: argparse.Namespace, dataset: DetectionDataset, found: list[Detections]) -> None:
    """The figures, and the files."""
    from numseg.files import write_all
    from numseg.training import (
        average_precision,
        detection_scores,
        mistakes_picture,
        precision_recall_picture,
    )
    from numseg.training.history import scored

    truth = [dataset.checked(i).instances for i in range(len(dataset))]
    classes = dataset.classes
    entry = scored(detection_scores(truth, found, len(classes)))
    if args.coco:
        entry |= _coco(truth, found, len(classes), "mask_ap50" in entry)
    if args.out is not None:
        every = {"classes": list(classes), "pictures": len(dataset), **entry}
        curves = average_precision(truth, found, len(classes))
        files: dict[Path, bytes] = {
            args.out / "evaluation.json": (json.dumps(every, indent=1) + "\n").encode(),
            args.out / "precision_recall.png": precision_recall_picture(curves, classes),
        }
        if args.worst:
            images = [dataset.checked(i).image for i in range(len(dataset))]
            files[args.out / "mistakes.png"] = mistakes_picture(
                images, truth, found, classes, each=args.worst
            )
        write_all(files)
    print(table(classes, entry))
    for name, value in entry.get("coco", {}).items():
        print(f"  {name:<16}{'-' if value is None else format(value, '8.3f'):>8}")
    if args.out is not None:
        print(*files, sep="\n")


def _coco(truth: Any, found: list[Detections], classes: int, masks: bool) -> dict[str, Any]:
    """COCO's scores by name."""
    from numseg.training import coco_scores

    entry: dict[str, Any] = {}
    for of, name in (("boxes", "coco"), ("masks", "coco_mask"))[: 1 + masks]:
        scores = coco_scores(truth, found, classes, of=of)
        entry[f"{name}_ap"] = _plain(scores.ap)
        entry[f"class_{name}_ap"] = [_plain(v) for v in scores.class_ap]
        kind = "" if of == "boxes" else "mask "
        figures = {"AP75": scores.ap75}
        figures |= {f"AP {size}": ap for size, ap in scores.ap_by_area.items() if size != "all"}
        figures |= {f"AR {most}": ar for most, ar in scores.ar.items()}
        entry.setdefault("coco", {}).update({kind + n: _plain(v) for n, v in figures.items()})
    return entry


def _plain(value: Any) -> float | None:
    return None if math.isnan(value) else float(value)
