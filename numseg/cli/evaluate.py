"""``numseg evaluate``: how good a trained network is on pictures that it has not seen."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numseg.cli._data import LAYOUT, add_data, held_out
from numseg.cli._objects import LAYOUT as OBJECTS
from numseg.cli._objects import add_objects
from numseg.cli._options import add_device, apply_to, check_folder
from numseg.cli._trained import HELP, add_trained, is_detector, trained

if TYPE_CHECKING:
    from numseg.data import Dataset
    from numseg.training import Judged
    from numseg.typing import Array

EXAMPLES = f"""examples:
  numseg evaluate runs/voc/checkpoint.safetensors VOCdevkit/VOC2012
  numseg evaluate runs/voc/checkpoint.safetensors mine --held-out-list test --out report
  numseg evaluate runs/scenes/checkpoint.safetensors scenes --count 400 --worst 10 --out report
  numseg evaluate runs/scenes/checkpoint.safetensors scenes --boundary --average
  numseg evaluate fcn_resnet50_coco.pth VOCdevkit/VOC2012 --net fcn_resnet50
  numseg evaluate runs/yolo/checkpoint.safetensors scenes --coco --out report
  numseg evaluate runs/coco/checkpoint.safetensors val.json --pictures val

Prints the IoU and accuracy of every class, over all pixels together, and names the worst pictures.
--out makes a folder with confusion.png (a picture of the confusion matrix), evaluation.json (all
figures), and the worst pictures: photograph, truth, prediction side by side.

Of a detector it prints the average precision of every class at an overlap of a half (VOC 2010's
rule), with --coco COCO's scores too; --out has precision_recall.png, mistakes.png (of each kind of
mistake the --worst ones) and evaluation.json.

{LAYOUT}
{OBJECTS}"""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "evaluate",
        help="score a trained network on held-out pictures",
        description="Score a trained network on held-out pictures, class by class.",
        epilog=EXAMPLES,
    )
    parser.add_argument("weights", metavar="W", type=Path, help=HELP)
    add_data(parser, training=False)
    add = parser.add_argument
    add("--seed", metavar="N", type=int, default=0, help="of scenes: that of the training (0)")
    add("--out", metavar="FOLDER", type=Path, help="write the report there")
    add("--worst", metavar="N", type=int, default=5, help="how many of the worst pictures (5)")
    add(
        "--boundary", metavar="TOLERANCE", type=float, nargs="?", const=0.0075,
        help="boundary F1 too: what a boundary may be off, in shares of the diagonal (0.0075)",
    )  # fmt: skip
    add("--coco", action="store_true", help="of a detector: COCO's scores too (extra: coco)")
    add_trained(add)
    add_device(add)
    add_objects(parser, training=False)


def run(args: argparse.Namespace) -> None:
    from numseg import checks
    from numseg.cli._picture import drawing
    from numseg.cli._running import progress
    from numseg.errors import ArgumentError
    from numseg.files import check_writable
    from numseg.training import devices, evaluate_each

    if is_detector(args):
        from numseg.cli._detection import evaluate

        return evaluate(args)
    apply_to(args, ["pictures"], "detectors", "a network that segments")
    if args.coco:
        raise ArgumentError("--coco is for detectors, not for a network that segments")
    tqdm = progress()
    checks.integer("--worst", args.worst, minimum=0)
    if args.boundary is not None:
        checks.real("--boundary", args.boundary, minimum=0)
    if args.out is not None:  # what is missing is said before the work
        check_folder("--out", args.out, "the report")
        check_writable(args.out / "evaluation.json")
        drawing()
    graph, checkpoint = trained(args)
    dataset = held_out(args, checkpoint.about.get("classes"))
    classes = tuple(checkpoint.about.get("classes", dataset.classes))
    if dataset.classes != classes:
        raise ArgumentError(
            f"{args.weights} was trained on {len(classes)} classes ({_some(classes)}), but the "
            f"data has {len(dataset.classes)} ({_some(dataset.classes)})"
        )
    params = devices.all_moved(checkpoint.params, devices.named(args.device))
    judged = evaluate_each(graph, params, dataset)
    shown = tqdm(judged, total=len(dataset), desc="evaluate", unit="picture", dynamic_ncols=True)
    report(args, dataset, _Kept(shown, dataset, args.worst, args.boundary))


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


class _Kept:
    """What is kept of all pictures, and the worst of them whole."""

    def __init__(self, judged: Any, dataset: Dataset, worst: int, boundary: float | None) -> None:
        from numseg.training import scores

        self.matrix: Array = 0  # type: ignore[assignment]
        self.pictures: list[dict[str, Any]] = []
        self.worst: list[tuple[float, int, Judged]] = []
        self.boundaries: list[Array] = []
        for index, found in enumerate(judged):
            miou = scores(found.confusion).mean_iou
            self.matrix = self.matrix + found.confusion
            self.pictures.append({"name": found.sample.name, "mean_iou": _plain(miou)})
            if boundary is not None:
                self.boundaries.append(_boundary(found, dataset, boundary))
            if not math.isnan(miou):
                ordered = sorted([*self.worst, (miou, index, found)], key=lambda entry: entry[:2])
                self.worst = ordered[:worst]


def _boundary(judged: Judged, dataset: Dataset, tolerance: float) -> Array:
    from numseg.training import boundary_f1

    truth, classes = judged.sample.labels, len(dataset.classes)
    return boundary_f1(truth, judged.prediction, classes, dataset.ignored, tolerance)


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def report(args: argparse.Namespace, dataset: Dataset, kept: _Kept) -> None:
    """Print the figures, and write what ``--out`` asks for."""
    import numpy as np

    from numseg.cli._panels import confusion, file_name, panels
    from numseg.cli.train import table
    from numseg.files import write_all
    from numseg.training import mean_boundary_f1, scores
    from numseg.training.history import scored

    entry = scored(scores(kept.matrix))
    if kept.boundaries:
        each = mean_boundary_f1(kept.boundaries, len(dataset.classes))
        entry["class_boundary_f1"] = [_plain(value) for value in each]
        there = each[~np.isnan(each)]
        entry["mean_boundary_f1"] = float(there.mean()) if there.size else None
        entry["boundary_tolerance"] = args.boundary
    files: dict[Path, bytes] = {}
    if args.out is not None:
        every = entry | {
            "classes": list(dataset.classes),
            "confusion": kept.matrix.tolist(),
            "pictures": kept.pictures,
        }
        files[args.out / "evaluation.json"] = (json.dumps(every, indent=1) + "\n").encode()
        files[args.out / "confusion.png"] = confusion(kept.matrix, dataset.classes)
        for _, index, judged in kept.worst:
            path = args.out / "worst" / file_name(index, judged.sample)
            files[path] = panels(judged.sample, judged.prediction, dataset)
        write_all(files)
    print(table(dataset.classes, entry))
    if kept.worst:
        print(f"worst of {len(dataset)} pictures (mIoU):")
    for miou, _, judged in kept.worst:
        print(f"  {miou:.3f}  {judged.sample.name}")
    for path in files:
        print(path)
