"""``numseg diff``: where an ONNX model's results come apart."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from numseg.cli._onnx import HELP, add_inputs, inputs
from numseg.cli._options import check_ending

EXAMPLES = f"""examples:
  numseg diff model.onnx --input x.npy
  numseg diff model.onnx --input street.png --imagenet --multiple 32 --picture errors.png
  numseg diff model.onnx --input image=x.npy --input mask=m.npy --tolerance 1e-5 --all

ONNX Runtime, numseg's definition (NumPy, sums in float64) and numseg's kernels run the model, each
on its own results, and are compared after every node: the first value that is further from the
definition than --tolerance, by how much, at which index, and which side it is.
Errors are in shares of the
largest number that the definition has for the value. The exit code is 1 if any deviates.

{HELP}"""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "diff",
        help="where an ONNX model's results come apart, node by node",
        description="Compare ONNX Runtime, the definition and numseg's kernels after every node.",
        epilog=EXAMPLES,
    )
    add_inputs(parser)
    parser.add_argument("--tolerance", metavar="T", type=float, default=1e-4, help="(1e-4)")
    parser.add_argument("--picture", metavar="PNG", type=Path, help="draw how errors grow")
    parser.add_argument("--all", action="store_true", help="a line for every value")


def run(args: argparse.Namespace) -> int:
    from numseg.cli._running import progress
    from numseg.errors import ArgumentError
    from numseg.files import check_writable, write_whole
    from numseg.interop import onnx
    from numseg.interop.onnx import files

    if not args.tolerance >= 0:
        raise ArgumentError(f"--tolerance must be 0 or more, got {args.tolerance}")
    if args.picture is not None:
        check_ending("--picture", args.picture, (".png",), "a picture")
        check_writable(args.picture)
    given = inputs(args, files.read(args.model))
    tqdm = progress()
    with tqdm(total=1, desc="diff", unit="node", dynamic_ncols=True) as bar:

        def steps(count: int) -> Any:
            bar.reset(count)
            return bar

        found = onnx.difference(args.model, given.arrays, tolerance=args.tolerance, steps=steps)
    print(found.table(every=args.all))
    print(found.verdict)
    if args.picture is not None:
        write_whole(args.picture, found.picture())
        print(args.picture)
    return 0 if found.first is None else 1
