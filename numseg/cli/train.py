"""``numseg train``: train a network."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numseg.cli._options import add_device, network

if TYPE_CHECKING:
    from numseg.data import Dataset
    from numseg.training import Epoch

EXAMPLES = """examples:
  numseg train coins --out runs/coins --epochs 10 --crop 64 --repeat 64
  numseg train scenes --out runs/scenes --count 400 --epochs 20
  numseg train VOCdevkit/VOC2012 --out runs/voc --width 32 --depth 4 --crop 256
  numseg train scenes --out runs/mixed --loss cross_entropy --loss dice_loss=0.5
  numseg train scenes --out runs/fcn --net my_nets:fcn --set width=32
  numseg train mine --out runs/mine --classes background,road,car --held-out-list test
  numseg train scenes --out runs/scenes --count 400 --epochs 20 --resume

The run folder holds checkpoint.safetensors, written whole after every epoch: a run that was stopped
or killed goes on with the same command and --resume, and ends with the same bits.

A network of your own is a function that makes a numseg.Graph: module:function or file.py:function,
called with in_channels, classes and what --set says.
"""


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
    add = parser.add_argument
    add("data", metavar="DATA", help="scenes, coins, or a folder in VOC's layout")
    add("--out", metavar="FOLDER", type=Path, required=True, help="the run's folder")
    add("--resume", action="store_true", help="go on from the folder's checkpoint")
    add = parser.add_argument_group("data").add_argument
    add("--count", metavar="N", type=int, default=400, help="scenes to train on (400)")
    add("--size", metavar="N", type=int, default=96, help="rows and columns of a scene (96)")
    add("--classes", metavar="A,B,...", help="names of a folder's classes (VOC's 21)")
    add("--train-list", metavar="NAME", default="train", help="a folder's pictures (train)")
    add("--held-out-list", metavar="NAME", default="val", help="its held-out pictures (val)")
    add = parser.add_argument_group("network").add_argument
    add("--net", metavar="NAME", default="unet", help="of numseg.nets, or module:function (unet)")
    add("--set", metavar="NAME=VALUE", action="append", default=[], help="another argument of it")
    add("--width", metavar="N", type=int, help="channels of the first level (16)")
    add("--depth", metavar="N", type=int, help="how often the picture is halved (3)")
    add("--padding", choices=("same", "valid"), help="valid is the 2015 paper's (same)")
    add("--up", choices=("conv_transpose", "bilinear", "nearest"), help="(conv_transpose)")
    add("--no-norm", dest="norm", action="store_const", const=False, help="no batch normalisation")
    add("--dropout", metavar="P", type=float, help="at the lowest two levels (0)")
    add = parser.add_argument_group("training").add_argument
    add("--epochs", metavar="N", type=int, default=20, help="(20)")
    add("--batch", metavar="N", type=int, default=8, help="pieces per step (8)")
    add("--crop", metavar="N", type=int, default=96, help="rows and columns of a piece (96)")
    add("--repeat", metavar="N", type=int, default=1, help="pieces of a picture per epoch (1)")
    add("--optimiser", choices=("adam", "sgd"), default="adam", help="(adam)")
    add("--lr", metavar="LR", type=float, default=2e-3, help="learning rate (0.002)")
    add("--schedule", choices=("cosine", "constant"), default="cosine", help="(cosine)")
    add(
        "--loss", metavar="NAME[=WEIGHT]", action="append",
        help="an operator, or module:name; several times for a sum (cross_entropy)",
    )  # fmt: skip
    add("--weight-decay", metavar="X", type=float, default=0.0, help="(0)")
    add("--light", metavar="X", type=float, default=0.1, help="vary contrast and brightness (0.1)")
    add("--turn", action="store_true", help="also turn pieces: for pictures without an upright")
    add("--seed", metavar="N", type=int, default=0, help="(0)")
    add_device(add)


def run(args: argparse.Namespace) -> None:
    from numseg.cli._running import resumable
    from numseg.errors import ArgumentError
    from numseg.training import Recipe, Sampling, train

    checkpoint = args.out / "checkpoint.safetensors"
    if checkpoint.exists() and not args.resume:
        raise ArgumentError(f"{checkpoint} exists: go on from it with --resume, or choose --out")
    dataset, held_out = _datasets(args)
    net = network(args, dataset[0].image.shape[0], len(dataset.classes), UNET)
    sampling = Sampling(
        crop=args.crop,
        batch=args.batch,
        repeat=args.repeat,
        turn=args.turn,
        light=args.light,
        seed=args.seed,
    )
    recipe = Recipe(
        epochs=args.epochs,
        optimiser=args.optimiser,
        lr=args.lr,
        schedule=args.schedule,
        weight_decay=args.weight_decay,
        loss=_losses(args.loss or ["cross_entropy"]),
        sampling=sampling,
    )
    with resumable():
        trained = train(
            net,
            dataset,
            held_out,
            recipe,
            checkpoint=checkpoint,
            resume=args.resume,
            device=args.device,
            progress=args.out.name,
            report=_report,
        )
    print(table(dataset.classes, trained.history[-1]))
    print(checkpoint)


def _losses(given: list[str]) -> Any:
    """One loss by its name, or several with their weights."""
    from numseg import checks

    if len(given) == 1 and "=" not in given[0]:
        return given[0]
    parts = (text.partition("=") for text in given)
    return [(n, checks.real("--loss", w) if weighs else 1.0) for n, weighs, w in parts]


def _datasets(args: argparse.Namespace) -> tuple[Dataset, Dataset]:
    """What to train on, and what is held out."""
    from numseg import checks, data

    if args.data == "coins":
        return data.coins("train"), data.coins("held-out")
    if args.data == "scenes":
        checks.integer("count", args.count, minimum=1)
        both = data.scenes(args.count + max(args.count // 5, 1), args.size, args.seed)
        return (
            dataclasses.replace(both, samples=both.samples[: args.count]),
            dataclasses.replace(both, samples=both.samples[args.count :]),
        )
    classes = tuple(args.classes.split(",")) if args.classes else data.VOC_CLASSES
    return (
        data.voc(args.data, args.train_list, classes),
        data.voc(args.data, args.held_out_list, classes),
    )


def _report(result: Epoch) -> None:
    from tqdm import tqdm

    found = result.scores
    tqdm.write(
        f"epoch {result.epoch:3d}  loss {result.loss:.4f}  mIoU {found.mean_iou:.4f}  "
        f"pixel accuracy {found.pixel_accuracy:.4f}"
    )


def table(classes: tuple[str, ...], entry: dict[str, Any]) -> str:
    """IoU and accuracy of every class on the held-out pictures, and overall."""

    def row(name: str, iou: float | None, accuracy: float | None) -> str:
        cells = ("    -" if value is None else f"{value:.3f}" for value in (iou, accuracy))
        return f"  {name:<16}" + "  ".join(f"{cell:>8}" for cell in cells)

    rows = map(row, classes, entry["class_iou"], entry["class_accuracy"])
    return "\n".join(
        [
            f"  {'held out':<16}{'IoU':>8}  {'accuracy':>8}",
            *rows,
            row("all", entry["mean_iou"], entry["pixel_accuracy"]),
        ]
    )
