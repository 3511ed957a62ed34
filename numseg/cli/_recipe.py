"""The options that say how to train: what becomes a :class:`numseg.training.Recipe`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from numseg.cli._options import values
from numseg.errors import ArgumentError

if TYPE_CHECKING:
    from numseg.training import Recipe

EXAMPLES = """\
  numseg train mine --out runs/a --optimiser sgd --lr 0.01 --schedule poly --warm-up 500
  numseg train mine --out runs/b --schedule step --schedule-set step_size=2000
  numseg train mine --out runs/c --group '*.bias:lr=2,weight_decay=0' --group 'head.*:lr=10'
  numseg train mine --out runs/d --weights runs/a/checkpoint.safetensors --fresh 'head.*'
  numseg train mine --out runs/e --freeze 'enc*' --freeze-norms --balance median_frequency
  numseg train mine --out runs/f --scale 0.5,2 --brightness 0.2 --contrast 0.2 --hue 0.05
  numseg train mine --out runs/g --crop 360x480 --batch 2 --accumulate 4 --clip-norm 1
  numseg train mine --out runs/h --average 0.999 --score-average --workers 2
  numseg train mine --out runs/i --history runs/i/history.csv --logs runs/i/logs
  numseg train mine --out runs/j --net fcn_resnet50 --set aux=true --set normalise=imagenet \\
    --loss cross_entropy --loss cross_entropy@1=0.5 --weights fcn_resnet50.pth \\
    --fresh 'classifier.4.*' --fresh 'aux_classifier.4.*'"""

TRAINING = (
    *("epochs", "optimiser", "lr", "weight_decay", "schedule", "warm_up", "balance", "accumulate"),
    *("clip_norm", "clip_value", "average", "score_average"),
)
COLOURS = ("brightness", "contrast", "saturation", "hue")
VARIED = ("batch", "repeat", "crop", "drop_last", "flip", "seed", "scale", *COLOURS)
PIECES = (*VARIED, "turn", "light")
OBJECTS = (*VARIED, "min_visible")
"""Options that are called as what they set, of a Recipe and of its sampling."""

LIGHT = 0.1


def add_recipe(parser: argparse.ArgumentParser) -> None:
    """The groups of its options."""
    add = parser.add_argument_group("training").add_argument
    add("--epochs", metavar="N", type=int, default=20, help="(20)")
    add("--optimiser", choices=("adam", "sgd"), default="adam", help="(adam)")
    add(
        "--optimiser-set", metavar="NAME=VALUE", action="append", default=[],
        help="an argument of it: momentum=0.5",
    )  # fmt: skip
    add("--lr", metavar="LR", type=float, default=2e-3, help="learning rate (0.002)")
    add("--weight-decay", metavar="X", type=float, default=0.0, help="(0)")
    add(
        "--schedule", choices=("cosine", "constant", "poly", "step"), default="cosine",
        help="of the learning rate (cosine)",
    )  # fmt: skip
    add(
        "--schedule-set", metavar="NAME=VALUE", action="append", default=[],
        help="an argument of it: power=0.9 of poly; step_size=2000, gamma=0.1 of step",
    )  # fmt: skip
    add("--warm-up", metavar="N", type=int, default=0, help="steps before the schedule begins (0)")
    add("--warm-up-start", metavar="X", type=float, help="share of --lr in the first (1/3)")
    add(
        "--loss", metavar="NAME[@OUTPUT][=WEIGHT]", action="append",
        help="an operator, or module:name; several times for a sum (cross_entropy)",
    )  # fmt: skip
    add(
        "--balance", choices=("median_frequency", "inverse_frequency"),
        help="classes weigh by how rare they are",
    )  # fmt: skip
    add(
        "--group", metavar="PATTERN:NAME=FACTOR,...", action="append", default=[],
        help="multiply lr or weight_decay of the parameters whose names match",
    )  # fmt: skip
    add("--freeze", metavar="PATTERN", action="append", default=[], help="parameters that stay")
    add(
        "--freeze-norms", metavar="PATTERN", action="append", nargs="?", const="*", default=[],
        help="batch normalisations that go by their running statistics, and stay (all)",
    )  # fmt: skip
    add("--accumulate", metavar="N", type=int, default=1, help="batches per step (1)")
    add("--clip-norm", metavar="X", type=float, help="greatest length of the gradient")
    add("--clip-value", metavar="X", type=float, help="greatest number of the gradient")
    add("--average", metavar="DECAY", type=float, default=0.0, help="keep a moving average: 0.999")
    add("--score-average", action="store_true", help="score held-out pictures with the average")
    add = parser.add_argument_group("pieces of pictures").add_argument
    add("--batch", metavar="N", type=int, help="pieces at a time (8; of a detector 2)")
    add(
        "--crop", metavar="N | HxW", type=_size,
        help="rows and columns of one (96; a detector sees whole pictures)",
    )  # fmt: skip
    add("--repeat", metavar="N", type=int, default=1, help="pieces of a picture per epoch (1)")
    add("--drop-last", action="store_true", help="leave out an epoch's last, smaller batch")
    add("--scale", metavar="LOW,HIGH", type=_range, help="scale pictures by a factor between these")
    add("--no-flip", dest="flip", action="store_false", help="mirror no pieces left to right")
    add("--turn", action="store_true", help="also turn pieces: for pictures without an upright")
    add("--light", metavar="X", type=float, help="vary contrast and brightness (0.1)")
    for name in COLOURS:
        add(f"--{name}", metavar="X", type=float, default=0.0, help="as ColorJitter's (0)")
    add("--seed", metavar="N", type=int, default=0, help="(0)")


def recipe(args: argparse.Namespace) -> Recipe:
    """What the options say."""
    from numseg.training import Sampling

    sampling = Sampling(**{"light": LIGHT, **_given(args, PIECES)})
    return _recipe(args, sampling, loss=losses(args.loss or ["cross_entropy"]))


def detection_recipe(args: argparse.Namespace) -> Recipe:
    """What the options say of a detector, which has a loss of its own."""
    from numseg.training import DetectionSampling

    for option in ("loss", "balance", "freeze_norms", "turn", "light"):
        if getattr(args, option) not in (None, [], False):
            name = option.replace("_", "-")
            raise ArgumentError(f"--{name} is for segmentation, not for a detector")
    return _recipe(args, DetectionSampling(**_given(args, OBJECTS)))


def _given(args: argparse.Namespace, options: Sequence[str]) -> dict[str, Any]:
    """Those that are not left to what is usual."""
    return {name: value for name in options if (value := getattr(args, name)) is not None}


def _recipe(args: argparse.Namespace, sampling: Any, **others: Any) -> Recipe:
    from numseg.training import Recipe

    if args.warm_up_start is not None and not args.warm_up:
        raise ArgumentError("--warm-up-start is for --warm-up, which is 0")
    start = {} if args.warm_up_start is None else {"warm_up_start": args.warm_up_start}
    return Recipe(
        **{name: getattr(args, name) for name in TRAINING},
        **start,
        optimiser_arguments=values("--optimiser-set", args.optimiser_set),
        schedule_arguments=values("--schedule-set", args.schedule_set),
        groups=dict(map(_group, args.group)),
        frozen=args.freeze,
        frozen_norms=args.freeze_norms,
        sampling=sampling,
        **others,
    )


def losses(given: list[str]) -> Any:
    """One loss by its name, or several with their outputs and weights."""
    if len(given) == 1 and not {"=", "@"} & set(given[0]):
        return given[0]
    terms: list[Any] = []
    for text in given:
        term, _, weight = text.partition("=")
        name, _, output = term.partition("@")
        try:
            terms.append((name, float(weight or 1), {}, int(output or 0)))
        except ValueError:
            raise ArgumentError(
                f"--loss wants NAME, NAME=WEIGHT or NAME@OUTPUT=WEIGHT, got {text!r}"
            ) from None
    return terms


def _group(text: str) -> tuple[str, dict[str, Any]]:
    pattern, colon, factors = text.rpartition(":")
    if not colon:
        raise ArgumentError(f"--group wants PATTERN:NAME=FACTOR,..., got {text!r}")
    return pattern, values("--group", factors.split(","))


def _size(text: str) -> Any:
    """``96``, or rows and columns: ``360x480``."""
    try:
        sizes = tuple(map(int, text.split("x")))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected N or HxW, got {text}") from None
    return sizes[0] if len(sizes) == 1 else sizes


def _range(text: str) -> tuple[float, ...]:
    try:
        low, high = map(float, text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected LOW,HIGH, got {text}") from None
    return low, high
