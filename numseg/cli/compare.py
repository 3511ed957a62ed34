"""``numseg compare``: several networks side by side, with one budget."""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numseg.cli._data import LAYOUT, add_data, held_out, to_train_on
from numseg.cli._options import check_folder, values
from numseg.cli._recipe import add_recipe, losses, recipe
from numseg.cli.train import UNET
from numseg.errors import ArgumentError

if TYPE_CHECKING:
    from numseg.bench.compare import Contestant
    from numseg.training import Recipe

EXAMPLES = f"""examples:
  numseg compare unet deep=unet --set deep.depth=4 --epochs 10 --out compared
  numseg compare a=unet b=unet c=unet --set a.width=8 --set b.width=16 --set c.width=32 \\
    --set norm=true --count 200 --crop 48 --seconds 60 --out widths
  numseg compare unet my_nets:fcn --set fcn.width=32 --data mine --classes classes.txt --out both
  numseg compare unet deep=unet --set deep.depth=4 --epochs 10 --out compared --resume
  numseg compare unet fcn=fcn_resnet50 --set fcn.aux=true --loss fcn.cross_entropy \\
    --loss fcn.cross_entropy@1=0.5 --seconds 600 --out both

Every network is trained on the same pieces of the same pictures, of the smallest size from --crop
on that it takes: for --epochs, or for about --seconds (as many epochs as fit, by the time of a
step, scores not counted). The folder will hold a checkpoint of each, compare.json (all figures) and
compare.png. Killed at any moment, the same command with --resume goes on.

A NET is a name of numseg.nets, or module:function, called with in_channels, classes and what --set
says; LABEL=NET gives it another name. --set LABEL.NAME=VALUE is for one of them, --set NAME=VALUE
for all. So is --loss LABEL.NAME: a network that has losses of its own is trained by these only,
one of several outputs by a loss for each. Times are medians of turns on one picture and one step;
memory is what NumPy's arrays take.

{LAYOUT}"""

RECORD = "compare.json"


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "compare",
        help="train several networks with one budget, and show them side by side",
        description="Train several networks with one budget; show quality, size, time and memory.",
        epilog=EXAMPLES,
    )
    add = parser.add_argument
    add("nets", metavar="NET", nargs="+", help="[LABEL=]name of numseg.nets, or module:function")
    add("--out", metavar="FOLDER", type=Path, required=True, help="checkpoints, figures, picture")
    add("--resume", action="store_true", help="go on in this folder")
    add("--seconds", metavar="S", type=float, help="train each for about so long, not --epochs")
    add("--turns", metavar="N", type=int, default=5, help="in which times are measured (5)")
    add("--workers", metavar="N", type=int, default=0, help="threads that make batches ahead (0)")
    add("--set", metavar="[LABEL.]NAME=VALUE", action="append", default=[], help="an argument")
    add_data(parser, training=True, usual="scenes")
    add_recipe(parser)
    parser.set_defaults(epochs=None)


def run(args: argparse.Namespace) -> None:
    from numseg import checks
    from numseg.bench import compare
    from numseg.cli._compared import drawn, table
    from numseg.cli._picture import drawing
    from numseg.cli._running import progress, resumable
    from numseg.files import check_writable, write_all

    check_folder("--out", args.out, RECORD)
    checks.integer("--turns", args.turns, minimum=2)
    if args.seconds is not None and args.epochs is not None:
        raise ArgumentError("--epochs and --seconds are two budgets: give one")
    if args.seconds is not None:
        checks.positive("--seconds", args.seconds)
    args.epochs = 20 if args.epochs is None else args.epochs
    drawing(), progress()  # what is missing is said before the work
    check_writable(args.out / RECORD)
    args.loss, own = _losses(args.loss or [], list(_labels(args.nets)))
    how = recipe(args)
    contestants = networks(args, how, own)
    record = _Record(args, how, contestants, own)
    with resumable():
        for label, contestant in contestants.items():
            epochs = record.epochs(label, contestant)
            mine = dataclasses.replace(contestant.recipe, epochs=epochs)
            path = args.out / f"{label}.safetensors"
            found = compare.trained(
                contestant._replace(recipe=mine), path, workers=args.workers, progress=label
            )
            record.add(label, **found)
    for label, contestant in contestants.items():
        record.add(label, **compare.costs(contestant))
    for label, measured in compare.times(contestants, args.turns).items():
        record.add(label, **measured)
    predictions = {label: _predictions(args.out, label, c) for label, c in contestants.items()}
    some = next(iter(contestants.values())).held_out
    write_all({args.out / "compare.png": drawn(record.content, some, predictions)})
    print(table(record.content))
    print(args.out / RECORD, args.out / "compare.png", sep="\n")


def networks(
    args: argparse.Namespace, how: Recipe, own: dict[str, list[str]]
) -> dict[str, Contestant]:
    """By label, with their arguments and losses of their own: what does not fit is said before the
    work."""
    from numseg.bench.compare import Contestant

    dataset, unseen = to_train_on(args), held_out(args)
    sizes = {"in_channels": dataset[0].image.shape[0], "classes": len(dataset.classes)}
    names = _labels(args.nets)
    given = _arguments(args.set, list(names))
    found = {}
    for label, name in names.items():
        usual = UNET if name == "unet" else {}
        net = {"name": name, **sizes, **usual, **given[label]}
        mine = dataclasses.replace(how, loss=losses(own[label])) if label in own else how
        try:
            found[label] = Contestant(net, dataset, unseen, mine).fitted()
            found[label].prepared()
        except ArgumentError as error:
            raise ArgumentError(f"{label}: {error}") from None
    return found


def _labels(nets: list[str]) -> dict[str, str]:
    """What each is called, and what it is."""

    found: dict[str, str] = {}
    for text in nets:
        label, _, name = text.rpartition("=")
        label = label or name.rpartition(":")[2]
        if not re.fullmatch(r"\w[\w.+-]*", label):
            raise ArgumentError(f"{label!r} names a file: give letters, digits, . + - and _ only")
        if label in found:
            raise ArgumentError(
                f"two networks are called {label}: give one another name, other={name}"
            )
        found[label] = name
    return found


def _arguments(given: list[str], labels: list[str]) -> dict[str, dict[str, Any]]:
    """By label; those of all networks come first, so that one's own have their way."""
    from numseg import names

    found: dict[str, dict[str, Any]] = {label: {} for label in labels}
    every = values("--set", given)
    for name in sorted(every, key=lambda name: "." in name):
        label, dot, argument = name.rpartition(".")
        if dot and label not in found:
            hint = names.close_to(label, labels)
            raise ArgumentError(f"--set {name}: no network is called {label!r}{hint}")
        for one in [label] if dot else labels:
            found[one][argument] = every[name]
    return found


def _losses(given: list[str], labels: list[str]) -> tuple[list[str], dict[str, list[str]]]:
    """Those of all networks, and by label those that a network has for itself."""
    every, own = list[str](), dict[str, list[str]]()
    for text in given:
        label = max((n for n in labels if text.startswith(f"{n}.")), key=len, default=None)
        if label is None:
            every.append(text)
        else:
            own.setdefault(label, []).append(text.removeprefix(f"{label}."))
    return every, own


class _Record:
    """What becomes compare.json, written whole whenever something is added."""

    def __init__(
        self,
        args: argparse.Namespace,
        how: Recipe,
        contestants: dict[str, Contestant],
        own: dict[str, list[str]],
    ) -> None:

        self.path = args.out / RECORD
        self.content = _about(args, how, contestants)
        for label, terms in own.items():
            self.content["networks"][label]["loss"] = terms
        for path in (self.path, *(args.out / f"{label}.safetensors" for label in contestants)):
            if path.exists() and not args.resume:
                raise ArgumentError(f"{path} exists: go on with --resume, or choose --out")
        if self.path.exists():
            self._go_on(json.loads(self.path.read_text()))

    def _go_on(self, earlier: dict[str, Any]) -> None:
        """Keep what is known already, if it is of the same comparison."""

        now = json.loads(json.dumps(self.content))
        for part in ("data", "recipe", "budget"):
            if earlier.get(part) != now[part]:
                raise ArgumentError(
                    f"{self.path} is of another comparison: {part} was {earlier.get(part)}, "
                    f"now it is {now[part]}"
                )
        for label, entry in earlier.get("networks", {}).items():
            mine = self.content["networks"].get(label)
            if mine is None:
                continue
            for part in ("net", "loss"):
                if mine.get(part) != entry.get(part):
                    raise ArgumentError(
                        f"{self.path} is of another comparison: {label} was {entry.get(part)}, now "
                        f"it is {mine.get(part)}"
                    )
            mine |= entry

    def epochs(self, label: str, contestant: Contestant) -> int:
        """How many the budget allows, and stays allowing if the run is resumed."""
        from numseg.bench.compare import epochs_within

        seconds = self.content["budget"].get("seconds")
        if "epochs" not in self.content["networks"][label]:
            if seconds is None:
                self.add(label, epochs=contestant.recipe.epochs)
            else:
                self.add(label, epochs=epochs_within(contestant, seconds))
        return int(self.content["networks"][label]["epochs"])

    def add(self, label: str, **found: Any) -> None:
        from numseg.files import write_whole

        self.content["networks"][label] |= found
        write_whole(self.path, (json.dumps(self.content, indent=1) + "\n").encode())


def _about(
    args: argparse.Namespace, how: Recipe, contestants: dict[str, Contestant]
) -> dict[str, Any]:
    """What is compared, and where."""
    from numseg import __version__, get_num_threads
    from numseg.cli.info import _cpu

    some = next(iter(contestants.values()))
    seconds = args.seconds
    told = {name: value for name, value in how.written().items() if name != "epochs"}
    return {
        "numseg": __version__,
        "cpu": _cpu(),
        "threads": get_num_threads(),
        "data": {
            "name": args.data,
            "pictures": [len(some.dataset), len(some.held_out)],
            "classes": list(some.dataset.classes),
        },
        "recipe": told,
        "budget": {"epochs": args.epochs} if seconds is None else {"seconds": seconds},
        "networks": {label: {"net": dict(c.net)} for label, c in contestants.items()},
    }


def _predictions(out: Path, label: str, contestant: Contestant) -> list[Any]:
    """Of the pictures that are drawn."""
    from numseg.cli._compared import chosen
    from numseg.training import load_checkpoint, predict

    kept = load_checkpoint(out / f"{label}.safetensors")
    params = kept.average if kept.about["recipe"].get("score_average") else kept.params
    unseen = contestant.held_out
    return [predict(contestant.graph, params, unseen.checked(i).image) for i in chosen(unseen)]
