"""``numseg train``: train a network."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numseg.cli._data import LAYOUT, add_data, held_out, to_train_on
from numseg.cli._options import add_device, check_folder, network

if TYPE_CHECKING:
    from collections.abc import Callable

    from numseg.data import Dataset
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

The run folder holds checkpoint.safetensors, written whole after every epoch: a run that was stopped
or killed goes on with the same command and --resume, and ends with the same bits.

A network of your own is a function that makes a numseg.Graph: module:function or file.py:function,
called with in_channels, classes and what --set says.

{LAYOUT}"""


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
    add = parser.add_argument
    add("--out", metavar="FOLDER", type=Path, required=True, help="the run's folder")
    add("--resume", action="store_true", help="go on from the folder's checkpoint")
    add(
        "--overlays", metavar="N", type=int, default=0,
        help="draw N held-out pictures after every epoch, in the folder overlays (0)",
    )  # fmt: skip
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
    add("--drop-last", action="store_true", help="leave out an epoch's last, smaller batch")
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
    from numseg import checks
    from numseg.cli._running import resumable, say_if_new
    from numseg.errors import ArgumentError
    from numseg.training import Recipe, Sampling, train

    check_folder("--out", args.out, "checkpoint.safetensors")
    checks.integer("--overlays", args.overlays, minimum=0)
    checkpoint = args.out / "checkpoint.safetensors"
    if checkpoint.exists() and not args.resume:
        raise ArgumentError(f"{checkpoint} exists: go on from it with --resume, or choose --out")
    if args.resume:
        say_if_new("train", checkpoint)
    dataset, unseen = to_train_on(args), held_out(args)
    net = network(args, dataset[0].image.shape[0], len(dataset.classes), UNET)
    sampling = Sampling(
        crop=args.crop,
        batch=args.batch,
        repeat=args.repeat,
        turn=args.turn,
        light=args.light,
        seed=args.seed,
        drop_last=args.drop_last,
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
            unseen,
            recipe,
            checkpoint=checkpoint,
            resume=args.resume,
            device=args.device,
            progress=args.out.name,
            report=_reporter(args.overlays, unseen, checkpoint),
        )
    print(table(dataset.classes, trained.history[-1]))
    print(checkpoint)


def _losses(given: list[str]) -> Any:
    """One loss by its name, or several with their weights."""
    from numseg.errors import ArgumentError

    if len(given) == 1 and "=" not in given[0]:
        return given[0]
    terms = []
    for text in given:
        name, _, weight = text.partition("=")
        try:
            terms.append((name, float(weight or 1)))
        except ValueError:
            raise ArgumentError(f"--loss wants NAME or NAME=WEIGHT, got {text!r}") from None
    return terms


def _reporter(count: int, dataset: Dataset, checkpoint: Path) -> Callable[[Epoch], None]:
    """What is done after every epoch: a line, and so many pictures."""
    from numseg.cli._running import progress

    bar = progress()

    def report(result: Epoch) -> None:
        found = result.scores
        _draw(count, dataset, checkpoint)
        bar.write(
            f"epoch {result.epoch:3d}  loss {result.loss:.4f}  mIoU {found.mean_iou:.4f}  "
            f"pixel accuracy {found.pixel_accuracy:.4f}"
        )

    return report


def _draw(count: int, dataset: Dataset, checkpoint: Path) -> None:
    """Held-out pictures, evenly spread, as the network of the checkpoint sees them."""
    from numseg.cli._panels import file_name, panels
    from numseg.files import write_all
    from numseg.training import load_checkpoint, make_network, predict

    if count == 0:
        return
    kept = load_checkpoint(checkpoint)
    graph = make_network(kept.about["net"])
    chosen = sorted(
        {i * len(dataset) // min(count, len(dataset)) for i in range(min(count, len(dataset)))}
    )
    files = {}
    for index in chosen:
        sample = dataset.checked(index)
        found = predict(graph, kept.params, sample.image)
        path = checkpoint.parent / "overlays" / file_name(index, sample)
        files[path] = panels(sample, found, dataset)
    write_all(files)


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
