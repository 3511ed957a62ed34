"""``numseg weights``: what a file of weights holds, whether it fits a network; another format."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numseg.cli._options import apply_to, values
from numseg.cli._trained import fitted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numseg.typing import Array

EXAMPLES = """examples:
  numseg weights deeplabv3_resnet50_coco.pth
  numseg weights run.pth --key model_ema            one dict of several
  numseg weights VGG_ILSVRC_16_layers.caffemodel --to vgg16.npz
  numseg weights run.pth --key model --to model.safetensors
  numseg weights checkpoint.safetensors --to model.pth      torch.load(..., weights_only=True)
  numseg weights pnet.pt --net pnet                 does it fit? All names that do not

Reads PyTorch's .pth and .pt (the zip format and the one before it), .safetensors, .npz and
.caffemodel, by what is in the file and not by its name. Nothing in a file is run: one that wants to
is an error that says what it wanted. Writes .pth, .safetensors and .npz.
"""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "weights",
        help="list or convert a file of weights, PyTorch's, Caffe's or NumPy's",
        description="List the arrays of a file: names, shapes, dtypes.",
        epilog=EXAMPLES,
    )
    add = parser.add_argument
    add("file", metavar="FILE", type=Path, help=".pth, .pt, .safetensors, .npz or .caffemodel")
    add("--key", metavar="KEY", help="which dict of a PyTorch file that has several")
    add("--to", metavar="FILE", type=Path, help="write the arrays to a file of this kind")
    add(
        "--net",
        metavar="NAME",
        help="the network that they are for: of numseg.nets, or module:name",
    )
    add("--set", metavar="NAME=VALUE", action="append", default=[], help="an argument of --net")


def run(args: argparse.Namespace) -> None:
    from numseg import checks
    from numseg.errors import ArgumentError
    from numseg.files import check_writable
    from numseg.interop import weights

    if args.net is None:
        apply_to(args, ["set"], "networks", "a file without --net")
    if args.to is not None:
        checks.choice("--to's ending", args.to.suffix.lower(), weights.WRITES)
        if args.to.resolve() == args.file.resolve():
            raise ArgumentError(f"{args.to} would be written over itself")
        check_writable(args.to)
    arrays = weights.load(args.file, args.key)
    if args.net is not None:
        fitted(args.net, values("--set", args.set), arrays)
    if args.to is not None:
        weights.save(args.to, arrays)
    print("\n".join(table(arrays)))
    if args.net is not None:
        print(f"they are the parameters of {args.net}")
    if args.to is not None:
        print(args.to)


def table(arrays: Mapping[str, Array]) -> list[str]:
    """A line for each array, and their sum."""
    from numseg.errors import printable

    rows = [
        (printable(name), "x".join(map(str, array.shape)) or "1 number", array.dtype.name)
        for name, array in arrays.items()
    ]
    names, shapes = (max((len(row[j]) for row in rows), default=0) for j in (0, 1))
    lines = [f"{name:{names}}  {shape:{shapes}}  {dtype}" for name, shape, dtype in rows]
    size = sum(array.size for array in arrays.values())
    count = sum(array.nbytes for array in arrays.values())
    return [*lines, f"{len(arrays)} arrays, {size:,} numbers, {count:,} bytes"]
