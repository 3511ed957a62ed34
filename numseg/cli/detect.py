"""``numseg detect``: a trained detector applied to pictures."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numseg.cli import _terminal
from numseg.cli._data import class_table
from numseg.cli._options import apply_to, check_ending, check_folder
from numseg.cli._pictures import check_outputs, is_folder, pictures
from numseg.cli._trained import HELP, add_trained, trained_detector

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numseg.data import Detections
    from numseg.detectors import Detector
    from numseg.typing import Array

EXAMPLES = """examples:
  numseg detect street.jpg --weights runs/voc/checkpoint.safetensors --out found.png
  numseg detect photos more/*.jpg --weights runs/voc/checkpoint.safetensors --out found
  numseg detect street.jpg --weights runs/voc/checkpoint.safetensors --json found.json
  numseg detect photos --weights runs/voc/checkpoint.safetensors --csv found.csv --threshold 0.1
  numseg detect street.jpg --weights runs/own/checkpoint.safetensors --net my_nets:make --out f.png
  numseg detect street.jpg --weights yolo.pth --net yolov1 --set norm=batch_norm --out found.png

Draws boxes, names, scores and, where the detector finds them, masks; small pictures are drawn
enlarged. Of several pictures, or those in a folder, --out is a folder of NAME.png; one that cannot
be read is named, the others are done, and the exit code is 2. --json and --csv are one file of all
pictures: boxes x0, y0, x1, y1 are edges in pixels of the picture, masks (in JSON) COCO's run
lengths.
"""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "detect",
        help="find objects in pictures with a trained detector",
        description="Find objects in pictures: draw them, or write them down.",
        epilog=EXAMPLES,
    )
    add = parser.add_argument
    add("images", metavar="IMAGE", type=Path, nargs="+", help="pictures, or folders of them")
    add("--weights", metavar="W", type=Path, required=True, help=HELP)
    add("--out", metavar="PNG", type=Path, help="what is found, drawn; or a folder for several")
    add("--json", metavar="FILE", type=Path, help="what is found, masks included")
    add("--csv", metavar="FILE", type=Path, help="what is found, a line for each object")
    add(
        "--threshold", metavar="X", type=float, default=0.5,
        help="leave out what has a lower score (0.5)",
    )  # fmt: skip
    add("--most", metavar="N", type=int, help="so many of a picture at most, the surest (all)")
    add("--classes", metavar="A,B,... | FILE", help="of weights that others wrote (VOC's)")
    add_trained(add)


def run(args: argparse.Namespace) -> int:
    from numseg import checks
    from numseg.cli._found import as_csv, as_json
    from numseg.errors import ArgumentError, FileError
    from numseg.files import check_writable, write_all

    checks.real("--threshold", args.threshold)
    if args.most is not None:
        checks.integer("--most", args.most, minimum=0)
    if args.out is None and args.json is None and args.csv is None:
        raise ArgumentError("nothing to write to: give --out, --json or --csv")
    many = len(args.images) > 1 or is_folder(args.images[0])
    jobs = _jobs(args, many)
    tables = {args.json: (".json", as_json), args.csv: (".csv", as_csv)}
    tables.pop(None, None)
    outputs = [out for _, out in jobs if out is not None] + list(tables)
    check_outputs([args.weights, *(image for image, _ in jobs)], outputs)
    for path, (end, _) in tables.items():
        check_ending(f"--{end[1:]}", path, (end,), "it")
    for path in outputs[:1] + list(tables):
        check_writable(path)
    detector, checkpoint = trained_detector(args)
    classes = _classes(args, checkpoint.about, detector)
    every: list[tuple[Path, Sequence[int], Detections]] = []
    failed = 0
    for image, out in _shown(jobs) if many else jobs:
        try:
            pixels, found = _found(image, detector, checkpoint.params, args)
            _write(out, pixels, found, classes)
        except FileError as error:
            if not many:
                raise
            failed += 1
            _terminal.say(f"numseg detect: error: {error}")
            continue
        every.append((image, pixels.shape[1:], found))
    write_all({path: form(every, classes) for path, (_, form) in tables.items()})
    _say(every, outputs, classes)
    if failed:
        _terminal.say(f"numseg detect: error: {failed} of {len(jobs)} pictures were not looked at")
    return 2 if failed else 0


def _jobs(args: argparse.Namespace, many: bool) -> list[tuple[Path, Path | None]]:
    """Pictures, and where each is drawn."""
    if not many:
        if args.out is not None:
            check_ending("--out", args.out, (".png",), "a picture")
        return [(args.images[0], args.out)]
    if args.out is not None:
        check_folder("--out", args.out, "pictures")
    outputs = [] if args.out is None else [args.out]
    return [
        (image, None if args.out is None else args.out / f"{image.stem}.png")
        for given in args.images
        for image in pictures(given, outputs, "pictures of objects")
    ]


def _classes(args: argparse.Namespace, about: dict[str, Any], detector: Detector) -> list[str]:
    """Names: the checkpoint's, or those that are said."""
    from numseg.data import VOC_CLASSES
    from numseg.errors import ArgumentError

    if "classes" in about:
        apply_to(args, ["classes"], "weights that others wrote", f"{args.weights}, a checkpoint")
        return list(about["classes"])
    names = class_table(args.classes)[0] if args.classes else VOC_CLASSES
    if len(names) != detector.classes:
        raise ArgumentError(
            f"the detector finds {detector.classes} classes, the background included, but "
            f"{'--classes names' if args.classes else 'VOC has'} {len(names)}"
        )
    return list(names)


def _found(
    path: Path, detector: Detector, params: dict[str, Array], args: argparse.Namespace
) -> tuple[Array, Detections]:
    """A picture, and what is found in it with a score that is high enough, the surest first."""
    from numseg.data import as_input, read_image

    image = read_image(path)
    found = detector.detect(params, [as_input(image, detector.channels)])[0]
    found = found.take(found.order())
    return image, found.take((found.scores >= args.threshold).nonzero()[0][: args.most])


def _write(out: Path | None, image: Array, found: Detections, classes: Sequence[str]) -> None:
    from numseg.cli._found import drawn
    from numseg.data import encode_image
    from numseg.files import write_whole

    if out is not None:
        write_whole(out, encode_image(drawn(image, found, classes)))


def _shown(jobs: list[Any]) -> Any:
    """The jobs, with a progress bar."""
    from numseg.cli._running import progress

    return progress()(jobs, desc="detect", unit="picture", dynamic_ncols=True)


def _say(
    every: Sequence[tuple[Path, Sequence[int], Detections]],
    outputs: Sequence[Path],
    classes: Sequence[str],
) -> None:
    """The files, and of one picture what is found in it, of several how much."""
    for path in outputs:
        print(path)
    for image, _, found in every:
        if len(every) > 1:
            print(f"{len(found):5d}  {image}")
            continue
        for k, label in enumerate(found.labels):
            corners = "  ".join(f"{v:8.1f}" for v in found.boxes[k])
            print(f"  {classes[label]:<16} {found.scores[k]:6.3f}  {corners}")
        if not len(found):
            print("  nothing is found")
