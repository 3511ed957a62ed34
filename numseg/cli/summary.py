"""``numseg summary``: a network's nodes, sizes, parameters, cost and receptive fields."""

from __future__ import annotations

import argparse
from typing import Any

EXAMPLES = """examples:
  numseg summary unet --input 3x256x256 --classes 21
  numseg summary unet --input 1x572x572 --padding valid     the network of the 2015 paper
  numseg summary unet --depth 2 --width 16 --dot unet.dot   then: dot -Tsvg unet.dot -o unet.svg
"""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "summary",
        help="a network's nodes, output sizes, parameters, cost and receptive fields",
        description="Show a network, node by node, for one image of a given size.",
        epilog=EXAMPLES,
    )
    parser.add_argument("net", metavar="NET", choices=["unet"], help="unet")
    parser.add_argument(
        "--input", metavar="CxHxW", type=_shape, default=(3, 256, 256),
        help="channels, rows and columns of the image (default: 3x256x256)",
    )  # fmt: skip
    parser.add_argument("--classes", type=int, default=2, help="default: 2")
    parser.add_argument("--width", type=int, default=64, help="channels at level 1 (default: 64)")
    parser.add_argument("--depth", type=int, default=4, help="times it is halved (default: 4)")
    parser.add_argument(
        "--padding", choices=["same", "valid"], default="same",
        help="same: an output as large as the input (default); valid: none, as in the paper",
    )  # fmt: skip
    parser.add_argument("--norm", action="store_true", help="with batch normalisation")
    parser.add_argument("--dot", metavar="FILE", help="write the graph for Graphviz as well")


def run(args: argparse.Namespace) -> None:
    from numseg import nets
    from numseg.files import write_whole

    channels, rows, columns = args.input
    graph = getattr(nets, args.net)(
        channels,
        args.classes,
        width=args.width,
        depth=args.depth,
        padding=args.padding,
        norm=args.norm,
    )
    shape = (1, channels, rows, columns)
    print(graph.summary(shape))
    if args.dot is not None:
        write_whole(args.dot, graph.to_dot(shape).encode())


def _shape(text: str) -> tuple[int, ...]:
    """``3x256x256`` in numbers."""
    try:
        channels, rows, columns = map(int, text.split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected CxHxW, as in 3x256x256, got {text}") from None
    return channels, rows, columns
