"""``numseg segment``: a trained network applied to pictures."""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from numseg.cli import _terminal
from numseg.cli._crf import USUAL, Crf, add_crf, chosen, options, settings
from numseg.cli._data import class_table
from numseg.cli._options import add_device, apply_to, check_ending, check_folder
from numseg.cli._pictures import check_outputs, is_folder, pictures
from numseg.cli._trained import HELP, add_trained, trained

if TYPE_CHECKING:
    from numseg.graph import Graph
    from numseg.training import Checkpoint
    from numseg.typing import Array

EXAMPLES = """examples:
  numseg segment street.jpg --weights runs/voc/checkpoint.safetensors --out mask.png
  numseg segment street.jpg --weights runs/fcn/checkpoint.safetensors --out m.png --net my_nets:fcn
  numseg segment scan.png --weights numseg-demo/coins.safetensors --out mask.png --overlay seen.png
  numseg segment photos more/*.jpg --weights runs/voc/checkpoint.safetensors --out masks
  numseg segment street.jpg --weights runs/voc/checkpoint.safetensors --out mask.png --crf
  numseg segment street.jpg --weights runs/voc/checkpoint.safetensors --out m.png --crf --srgb 8
  numseg segment cat.jpg --weights deeplabv3_resnet50_coco.pth --net deeplabv3_resnet50 --out m.png
  numseg segment slide.tif --weights runs/cells/checkpoint.safetensors --out labels.tif --batch 4

The mask is a PNG of palette indices: its pixels are classes, its colours those the network was
trained with, or PASCAL VOC's. Pictures may be of any size, grey or colour, 8 or 16 bits;
transparent ones are laid on white, those that a camera stored turned are turned upright. Weights of
torchvision's networks are given colours normalised as torchvision does, others colours in [0, 1];
their classes are PASCAL VOC's unless --classes names them.

Large pictures are done in tiles that give the labels of the whole picture, to the last pixel. TIFF,
Zarr and npy are read tile by tile, and may be larger than memory; --out may be any of these, too.
Killed, the same command goes on where it was. A network that cannot be cut, because of a global
pooling for example, is run on whole pictures; with --tile, and for pictures that are read tile by
tile, it is refused.

Of several
pictures, or those in a folder, --out is a folder of NAME.png and NAME.overlay.png; one that cannot
be read is named, the others are done, and the exit code is 2.
"""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "segment",
        help="segment pictures with a trained network",
        description="Write the class of every pixel of a picture, and a picture that shows it.",
        epilog=EXAMPLES,
    )
    add = parser.add_argument
    add("images", metavar="IMAGE", type=Path, nargs="+", help="pictures, or folders of them")
    add("--weights", metavar="W", type=Path, required=True, help=HELP)
    add("--out", metavar="PNG", type=Path, required=True, help="the mask; or a folder for several")
    add(
        "--overlay", metavar="PNG", type=Path,
        help="the overlay (OUT with .overlay.png at its end); or a folder for several",
    )  # fmt: skip
    add(
        "--tile", metavar="N", type=int,
        help="rows and columns of a tile (512, where the network can be cut)",
    )  # fmt: skip
    add("--batch", metavar="N", type=int, default=1, help="tiles that are run at a time (1)")
    add("--classes", metavar="A,B,... | FILE", help="of weights that others wrote (VOC's)")
    add(
        "--crf", metavar="SETTINGS", nargs="?", const=USUAL,
        help=f"refine by a dense CRF, of published values ({USUAL}); see numseg crf",
    )  # fmt: skip
    add_trained(add)
    add_device(add)
    add_crf(parser.add_argument_group("the CRF, changes to its values").add_argument)


class _Job(NamedTuple):
    """A picture, and what is made of it."""

    image: Path
    mask: Path
    overlay: Path


def run(args: argparse.Namespace) -> int:
    import numpy as np

    from numseg import checks
    from numseg.errors import FileError
    from numseg.files import check_writable
    from numseg.tiling.streaming import KINDS
    from numseg.training import devices

    checks.integer("batch", args.batch, minimum=1)
    if args.tile is not None:
        checks.integer("tile", args.tile, minimum=1)
    if args.crf is None:
        apply_to(args, options(args), "--crf", "a network alone")
    crf = None if args.crf is None else chosen(args, settings(args.crf))
    many = len(args.images) > 1 or is_folder(args.images[0])
    jobs = _jobs_in_folder(args) if many else [_single(args)]
    outputs = [path for job in jobs for path in (job.mask, job.overlay)]
    check_outputs([args.weights, *(job.image for job in jobs)], outputs)
    for job in jobs:
        check_ending("--out", job.mask, KINDS, "a mask")
        check_ending("--overlay", job.overlay, (".png",), "an overlay")
    check_writable(jobs[0].mask)
    check_writable(jobs[0].overlay)
    graph, checkpoint = trained(args)
    checkpoint = checkpoint._replace(about=_with_classes(args, checkpoint.about))
    params = devices.all_moved(checkpoint.params, devices.named(args.device))
    checkpoint = checkpoint._replace(params=params)
    classes = checkpoint.about["classes"]
    counts, failed = np.zeros(len(classes), np.int64), 0
    for job in _shown(jobs) if many else jobs:
        try:
            found = _by_tiles if _is_large(job) else _segment
            counts += found(job, graph, checkpoint, args, crf)
        except FileError as error:
            if not many:
                raise
            failed += 1
            _terminal.say(f"numseg segment: error: {error}")
            continue
        print(job.mask, job.overlay, sep="\n")
    for name, count in zip(classes, counts, strict=True):
        if count:
            print(f"{100 * count / counts.sum():6.2f} %  {name}")
    if failed:
        _terminal.say(f"numseg segment: error: {failed} of {len(jobs)} pictures were not segmented")
    return 2 if failed else 0


def _with_classes(args: argparse.Namespace, about: dict[str, Any]) -> dict[str, Any]:
    """What is known of the classes: the checkpoint's, or those that are said."""
    from numseg import data

    if "classes" in about:
        apply_to(args, ["classes"], "weights that others wrote", f"{args.weights}, a checkpoint")
        return about
    names, colours = class_table(args.classes) if args.classes else (data.VOC_CLASSES, None)
    return {**about, "classes": names, "colours": colours}


def _is_large(job: _Job) -> bool:
    """It is read and written tile by tile, and may not fit into memory."""
    from numseg.tiling.sources import stated_size

    if job.mask.suffix.lower() not in ("", ".png") or job.image.suffix.lower() in (".npy", ".zarr"):
        return True
    rows, columns, _ = stated_size(job.image) or (0, 0, 0)
    return rows * columns > _LARGE


_LARGE = 2**26
"""Pixels."""


def _by_tiles(
    job: _Job, graph: Graph, checkpoint: Checkpoint, args: argparse.Namespace, crf: Crf | None
) -> Array:
    """How many pixels each class has. The overlay shows every so-many-th pixel."""
    from numseg import data, tiling
    from numseg.errors import ArgumentError
    from numseg.files import write_whole
    from numseg.training.predict import TILE, check_takes

    if crf is not None:
        raise ArgumentError("--crf reads whole pictures, not those that are done tile by tile")
    colours = checkpoint.about.get("colours")
    with (
        contextlib.closing(tiling.open_image(job.image)) as source,
        contextlib.ExitStack() as stack,
    ):
        check_takes(graph, source.channels, source.size, len(checkpoint.about["classes"]))
        seen = tiling.segment(
            graph, checkpoint.params, source, job.mask, tile=args.tile or TILE,
            batch=args.batch, colours=colours, progress=_Bar(stack),
        )  # fmt: skip
    write_whole(job.overlay, data.encode_image(data.overlay(seen.image, seen.labels, colours)))
    return seen.counts


class _Bar:
    """A progress bar of tiles, which begins where an earlier run was."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self.stack, self.bar = stack, cast(Any, None)

    def __call__(self, done: int, tiles: int) -> None:
        from numseg.cli._running import progress

        if self.bar is None:
            self.bar = progress()(
                total=tiles, initial=done, desc="segment", unit="tile", dynamic_ncols=True
            )
            self.stack.callback(self.bar.close)
        self.bar.update(done - self.bar.n)


def _segment(
    job: _Job, graph: Graph, checkpoint: Checkpoint, args: argparse.Namespace, crf: Crf | None
) -> Array:
    """How many pixels each class has. Both files are made before either is written."""
    import numpy as np

    from numseg import data
    from numseg.cli._crf import last, steps
    from numseg.files import write_all
    from numseg.training import predict, predict_logits
    from numseg.training.predict import check_takes

    colours = checkpoint.about.get("colours")
    image = data.read_image(job.image)
    classes = len(checkpoint.about["classes"])
    check_takes(graph, len(image), image.shape[1:], classes)
    how = {"tile": args.tile, "batch": args.batch}
    if crf is None:
        labels = predict(graph, checkpoint.params, image, **how)
    else:
        logits = predict_logits(graph, checkpoint.params, image, **how)
        labels = last(steps(image, -logits, crf)).argmax(axis=0)
    files = {
        job.mask: data.encode_mask(labels, colours),
        job.overlay: data.encode_image(data.overlay(image, labels, colours)),
    }
    write_all(files)
    return np.bincount(labels.reshape(-1), minlength=classes)


def _shown(jobs: list[_Job]) -> Any:
    """The jobs, with a progress bar."""
    from numseg.cli._running import progress

    return progress()(jobs, desc="segment", unit="picture", dynamic_ncols=True)


def _single(args: argparse.Namespace) -> _Job:
    """One picture, and files of the names given."""
    return _Job(args.images[0], args.out, args.overlay or args.out.with_suffix(".overlay.png"))


def _jobs_in_folder(args: argparse.Namespace) -> list[_Job]:
    """Several pictures, and files named after them in folders."""
    check_folder("--out", args.out, "masks")
    overlays = args.overlay or args.out
    check_folder("--overlay", overlays, "overlays")
    end = ".png" if args.overlay and overlays.resolve() != args.out.resolve() else ".overlay.png"
    return [
        _Job(image, args.out / f"{image.stem}.png", overlays / f"{image.stem}{end}")
        for given in args.images
        for image in pictures(given, [args.out, overlays], "masks")
    ]
