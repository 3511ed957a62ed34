"""``numseg segment``: a trained network applied to a picture."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from numseg.cli._options import add_device

EXAMPLES = """examples:
  numseg segment street.jpg --weights runs/voc/checkpoint.safetensors --out mask.png
  numseg segment street.jpg --weights runs/fcn/checkpoint.safetensors --out m.png --net my_nets:fcn
  numseg segment scan.png --weights numseg-demo/coins.safetensors --out mask.png --overlay seen.png

The mask is a PNG of palette indices: its pixels are classes, its colours PASCAL VOC's. Pictures
may be of any size, grey or colour, 8 or 16 bits; transparent ones are laid on white.
"""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "segment",
        help="segment a picture with a trained network",
        description="Write the class of every pixel of a picture, and a picture that shows it.",
        epilog=EXAMPLES,
    )
    parser.add_argument("image", metavar="IMAGE", type=Path, help="a picture")
    parser.add_argument(
        "--weights", metavar="W", type=Path, required=True, help="a checkpoint that numseg wrote"
    )
    parser.add_argument("--out", metavar="PNG", type=Path, required=True, help="the mask")
    parser.add_argument(
        "--overlay", metavar="PNG", type=Path, help="the overlay (OUT with .overlay.png at its end)"
    )
    parser.add_argument(
        "--tile", metavar="N", type=int, default=512, help="pixels per tile and side (512)"
    )
    parser.add_argument(
        "--net", metavar="NAME", help="module:function that makes the network, if it is your own"
    )
    add_device(parser.add_argument)


def run(args: argparse.Namespace) -> None:
    import numpy as np

    from numseg import data, names
    from numseg.files import write_all
    from numseg.training import load_network, predict

    overlay = args.overlay or args.out.with_suffix(".overlay.png")
    _check_outputs([args.image, args.weights], [args.out, overlay])
    graph, checkpoint = load_network(args.weights, args.net and names.load(args.net))
    image = data.read_image(args.image)
    labels = predict(graph, checkpoint.params, image, tile=args.tile, device=args.device)
    # both pictures are made before either is written
    files = {
        args.out: data.encode_mask(labels),
        overlay: data.encode_image(data.overlay(image, labels)),
    }
    write_all(files)
    for path in files:
        print(path)
    classes = checkpoint.about["classes"]
    counts = np.bincount(labels.reshape(-1), minlength=len(classes))
    for name, count in zip(classes, counts, strict=True):
        if count:
            print(f"{100 * count / labels.size:6.2f} %  {name}")


def _check_outputs(inputs: list[Path], outputs: list[Path]) -> None:
    """Nothing may be written over what is read, nor twice."""
    from numseg.errors import ArgumentError

    seen = {path.resolve(): path for path in inputs}
    for path in outputs:
        if path.resolve() in seen:
            raise ArgumentError(f"{path} would be written over {seen[path.resolve()]}")
        seen[path.resolve()] = path
