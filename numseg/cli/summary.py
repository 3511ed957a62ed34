"""``numseg summary``: a network's nodes, sizes, parameters, cost and receptive fields."""

from __future__ import annotations

import argparse
from typing import Any

from numseg.cli._options import network

EXAMPLES = """examples:
  numseg summary unet --input 3x256x256 --classes 21
  numseg summary unet --input 1x572x572 --padding valid     the network of the 2015 paper
  numseg summary unet --set up=bilinear
  numseg summary my_nets:fcn --input 3x224x224 --set width=32
  numseg summary unet --depth 2 --width 16 --dot unet.dot   then: dot -Tsvg unet.dot -o unet.svg
"""


UNET = {"width": 64, "depth": 4, "padding": "same", "norm": False}
"""The U-Net that is shown where nothing else is said."""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "summary",
        help="a network's nodes, output sizes, parameters, cost and receptive fields",
        description="Show a network, node by node, for one image of a given size.",
        epilog=EXAMPLES,
    )
    parser.add_argument(
        "net", metavar="NET", help="of numseg.nets (unet), or module:function that makes a graph"
    )
    parser.add_argument(
        "--input", metavar="CxHxW", type=_shape, default=(3, 256, 256),
        help="channels, rows and columns of the image (default: 3x256x256)",
    )  # fmt: skip
    parser.add_argument("--classes", type=int, default=2, help="default: 2")
    parser.add_argument("--width", type=int, help="channels at level 1 (default: 64)")
    parser.add_argument("--depth", type=int, help="times it is halved (default: 4)")
    parser.add_argument(
        "--padding", choices=["same", "valid"],
        help="same: an output as large as the input (default); valid: none, as in the paper",
    )  # fmt: skip
    parser.add_argument("--norm", action="store_const", const=True, help="with batch normalisation")
    parser.add_argument(
        "--set", metavar="NAME=VALUE", action="append", default=[], help="another argument of it"
    )
    parser.add_argument("--dot", metavar="FILE", help="write the graph for Graphviz as well")


def run(args: argparse.Namespace) -> None:
    from numseg.files import write_whole
    from numseg.training import make_network

    channels, rows, columns = args.input
    graph = make_network(network(args, channels, args.classes, UNET))
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
