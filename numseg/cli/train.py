"""``numseg train``: train a network."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numseg.cli._data import LAYOUT, add_data, held_out, to_train_on
from numseg.cli._objects import LAYOUT as OBJECTS
from numseg.cli._objects import add_objects, objects_held_out, objects_to_train_on
from numseg.cli._options import add_device, apply_to, check_folder, network
from numseg.cli._recipe import EXAMPLES as RECIPES
from numseg.cli._recipe import add_recipe, detection_recipe, recipe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numseg.data import Dataset, DetectionDataset
    from numseg.training import Epoch

EXAMPLES = f"""examples:
  numseg train coins --out runs/coins --epochs 10 --crop 64 --repeat 64
  numseg train scenes --out runs/scenes --count 400 --epochs 20
  numseg train VOCdevkit/VOC2012 --out runs/voc --width 32 --depth 4 --crop 256
  numseg train scenes --out runs/mixed --loss cross_entropy --loss dice_loss=0.5
  numseg train scenes --out runs/fcn --net my_nets:fcn --set width=32
  numseg train mine --out runs/mine --classes background,road,car --held-out-list test
  numseg train mine --out runs/mine --classes classes.txt --overlays 8
  numseg train masks --out runs/masks --classes no,yes --label-map 0=0,255=1
  numseg train scenes --out runs/scenes --count 400 --epochs 20 --resume
  numseg train scenes --task detection --net yolov1 --out runs/yolo --set image_size=96 \\
    --set layers=[[[3,16]],[[3,32]],[[3,64]],[[3,128]]] --set hidden=256
  numseg train VOCdevkit/VOC2007 --task detection --net yolov1 --out runs/voc --crop 448 --batch 8
  numseg train train.json --pictures train --task detection --net yolov1 --out runs/coco \\
    --held-out val.json --held-out-pictures val
{RECIPES}

The run folder holds checkpoint.safetensors, written whole after every epoch: a run that was stopped
or killed goes on with the same command and --resume, and ends with the same bits.

A network of your own is a function that makes a numseg.Graph: module:function or file.py:function,
called with in_channels, classes and what --set says.

A detector of your own is a function that makes what keeps numseg.detectors.Detector.

{LAYOUT}
{OBJECTS}"""


UNET = {
    "width": 16,
    "depth": 3,
    "padding": "same",
    "norm": True,
    "up": "conv_transpose",
    "dropout": 0.0,
}
"""The U-Net that is trained where nothing else is said."""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "train",
        help="train a network on generated scenes, coins, or a folder in VOC's layout",
        description="Train a network, scoring it on held-out pictures after every epoch.",
        epilog=EXAMPLES,
    )
    add_data(parser, training=True)
    add_objects(parser, training=True)
    add = parser.add_argument
    add("--out", metavar="FOLDER", type=Path, required=True, help="the run's folder")
    add(
        "--task", choices=("segmentation", "detection"), default="segmentation",
        help="what is trained: a network that labels pixels, or a detector (segmentation)",
    )  # fmt: skip
    add("--resume", action="store_true", help="go on from the folder's checkpoint")
    add(
        "--overlays", metavar="N", type=int, default=0,
        help="draw N held-out pictures after every epoch, in the folder overlays (0)",
    )  # fmt: skip
    add = parser.add_argument_group("network").add_argument
    add(
        "--net", metavar="NAME",
        help="of numseg.nets or numseg.detectors, or module:function (unet)",
    )  # fmt: skip
    add("--set", metavar="NAME=VALUE", action="append", default=[], help="another argument of it")
    add("--width", metavar="N", type=int, help="channels of the first level (16)")
    add("--depth", metavar="N", type=int, help="how often the picture is halved (3)")
    add("--padding", choices=("same", "valid"), help="valid is the 2015 paper's (same)")
    add("--up", choices=("conv_transpose", "bilinear", "nearest"), help="(conv_transpose)")
    add("--no-norm", dest="norm", action="store_const", const=False, help="no batch normalisation")
    add("--dropout", metavar="P", type=float, help="at the lowest two levels (0)")
    add(
        "--weights", metavar="FILE", type=Path,
        help="start with these: a checkpoint, or arrays of the parameters' names",
    )  # fmt: skip
    add(
        "--fresh", metavar="PATTERN", action="append", default=[],
        help="names that are not taken from --weights",
    )  # fmt: skip
    add_recipe(parser)
    add = parser.add_argument_group("running").add_argument
    add("--workers", metavar="N", type=int, default=0, help="threads that make batches ahead (0)")
    add("--history", metavar="FILE", type=Path, help="a line for every epoch: .csv or .jsonl")
    add("--logs", metavar="FOLDER", type=Path, help="logs for TensorBoard (extra: logs)")
    add_device(add)


def run(args: argparse.Namespace) -> None:
    from numseg import checks
    from numseg.cli._running import resumable, say_if_new
    from numseg.errors import ArgumentError
    from numseg.training import TensorBoard, train

    check_folder("--out", args.out, "checkpoint.safetensors")
    checks.integer("--overlays", args.overlays, minimum=0)
    checkpoint = args.out / "checkpoint.safetensors"
    if checkpoint.exists() and not args.resume:
        raise ArgumentError(f"{checkpoint} exists: go on from it with --resume, or choose --out")
    if args.resume:
        say_if_new("train", checkpoint)
    dataset, unseen, how = _chosen(args)
    net = network(args, dataset[0].image.shape[0], len(dataset.classes), UNET)
    report = _reporter(args.overlays, unseen, checkpoint)
    if args.logs is not None:
        check_folder("--logs", args.logs, "logs")
        report = _both(TensorBoard(args.logs, dataset.classes), report)
    with resumable():
        trained = train(
            net,
            dataset,
            unseen,
            how,
            checkpoint=checkpoint,
            resume=args.resume,
            weights=args.weights,
            fresh=args.fresh,
            workers=args.workers,
            history=args.history,
            device=args.device,
            progress=args.out.name,
            report=report,
        )
    print(scored(dataset.classes, trained.history[-1]))
    print(checkpoint)


def _chosen(args: argparse.Namespace) -> Any:
    """The pictures to train on, those held out, and the recipe, of the task."""
    from numseg.errors import ArgumentError
    from numseg.training.detecting import detectors_by_name

    if args.task == "segmentation":
        for option in ("pictures", "held_out", "held_out_pictures", "min_visible"):
            apply_to(args, [option], "--task detection", "segmentation")
        args.net = args.net or "unet"
        if args.net in detectors_by_name():
            raise ArgumentError(f"--net {args.net} is a detector: train it with --task detection")
        return to_train_on(args), held_out(args), recipe(args)
    if args.net is None:
        names = ", ".join(sorted(detectors_by_name()))
        raise ArgumentError(f"--task detection wants a --net: {names}, or module:function")
    return objects_to_train_on(args), objects_held_out(args), detection_recipe(args)


def _both(
    first: Callable[[Epoch], None], second: Callable[[Epoch], None]
) -> Callable[[Epoch], None]:
    def report(result: Epoch) -> None:
        first(result)
        second(result)

    return report


def _reporter(
    count: int, dataset: Dataset | DetectionDataset, checkpoint: Path
) -> Callable[[Epoch], None]:
    """What is done after every epoch: a line, and so many pictures."""
    from numseg.cli._running import progress

    bar = progress()

    def report(result: Epoch) -> None:
        _draw(count, dataset, checkpoint)
        found = "  ".join(f"{name} {value:.4f}" for name, value in figures(result.scores).items())
        bar.write(f"epoch {result.epoch:3d}  loss {result.loss:.4f}  {found}")

    return report


def figures(scores: Any) -> dict[str, float]:
    """Of an epoch's scores, what a line has room for."""
    names = {
        "mIoU": "mean_iou", "pixel accuracy": "pixel_accuracy",
        "AP50": "ap50", "mask AP50": "mask_ap50",
    }  # fmt: skip
    found = {head: getattr(scores, name, None) for head, name in names.items()}
    return {head: value for head, value in found.items() if value is not None}


def _draw(count: int, dataset: Dataset | DetectionDataset, checkpoint: Path) -> None:
    """Held-out pictures, evenly spread, as the network of the checkpoint sees them."""
    from numseg.cli._panels import file_name
    from numseg.files import write_all

    if count == 0:
        return
    seen = _seen_by(checkpoint, dataset)
    chosen = sorted(
        {i * len(dataset) // min(count, len(dataset)) for i in range(min(count, len(dataset)))}
    )
    files = {}
    for index in chosen:
        sample = dataset.checked(index)
        path = checkpoint.parent / "overlays" / file_name(index, sample)
        files[path] = seen(sample)
    write_all(files)


def _seen_by(checkpoint: Path, dataset: Any) -> Callable[[Any], bytes]:
    """What draws a sample as the network of a checkpoint sees it."""
    from numseg.cli._found import beside
    from numseg.cli._panels import panels
    from numseg.data import as_input
    from numseg.training import load_checkpoint, make_detector, make_network, predict

    kept = load_checkpoint(checkpoint)
    average = kept.about["recipe"].get("score_average", False)
    params = dict(kept.average) if average else kept.params
    if kept.about.get("task") != "detection":
        graph = make_network(kept.about["net"])
        return lambda sample: panels(sample, predict(graph, params, sample.image), dataset)
    detector = make_detector(kept.about["net"])

    def draw(sample: Any) -> bytes:
        found = detector.detect(params, [as_input(sample.image, detector.channels)])[0]
        return beside(sample, found, dataset.classes)

    return draw


def scored(classes: tuple[str, ...], entry: dict[str, Any]) -> str:
    """The table of a task's scores."""
    from numseg.cli._detection import table as of_objects

    return of_objects(classes, entry) if "ap50" in entry else table(classes, entry)


COLUMNS = {"IoU": "class_iou", "accuracy": "class_accuracy", "boundary F1": "class_boundary_f1"}
ROWS = {
    "all": ("mean_iou", "pixel_accuracy", "mean_boundary_f1"),
    "mean": (None, "mean_accuracy", None),
    "by frequency": ("frequency_weighted_iou", None, None),
}
"""Names in an entry of a history. The first row has the mean IoU and the accuracy of all pixels."""


def table(classes: tuple[str, ...], entry: dict[str, Any]) -> str:
    """The scores of every class on the held-out pictures, and overall, as far as there are any."""
    columns = {head: name for head, name in COLUMNS.items() if name in entry}

    def row(name: str, scores: Iterable[float | None]) -> str:
        cells = ("-" if value is None else f"{value:.3f}" for value in scores)
        return f"  {name:<16}" + "  ".join(
            f"{cell:>{max(len(head), 8)}}" for head, cell in zip(columns, cells, strict=True)
        )

    heads = "  ".join(f"{head:>8}" for head in columns)
    rows = map(row, classes, zip(*(entry[name] for name in columns.values()), strict=True))
    overall = [
        row(title, [entry.get(name or "") for name in names[: len(columns)]])
        for title, names in ROWS.items()
        if any(name in entry for name in names)
    ]
    return "\n".join([f"  {'held out':<16}{heads}", *rows, *overall])
