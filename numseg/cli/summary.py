"""``numseg summary``: a network's nodes, sizes, parameters, cost and receptive fields."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from numseg.cli._options import apply_to, check_ending, is_checkpoint, network

if TYPE_CHECKING:
    from numseg.graph import Graph

EXAMPLES = """examples:
  numseg summary unet --input 3x256x256 --classes 21
  numseg summary unet --input 1x572x572 --padding valid     the network of the 2015 paper
  numseg summary unet --set up=bilinear
  numseg summary runs/voc/checkpoint.safetensors --input 3x512x512
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
    add_network(parser)
    parser.add_argument("--dot", metavar="FILE", help="write the graph for Graphviz as well")


def add_network(parser: argparse.ArgumentParser) -> None:
    """``NET`` and its options."""
    add = parser.add_argument
    add(
        "net", metavar="NET",
        help="of numseg.nets (unet), module:function that makes a graph, or a checkpoint",
    )  # fmt: skip
    add(
        "--input", metavar="CxHxW", type=_shape,
        help="channels, rows and columns of the image (default: 3x256x256)",
    )  # fmt: skip
    add("--classes", type=int, help="default: 2")
    add("--width", type=int, help="channels at level 1 (default: 64)")
    add("--depth", type=int, help="times it is halved (default: 4)")
    add(
        "--padding", choices=["same", "valid"],
        help="same: an output as large as the input (default); valid: none, as in the paper",
    )  # fmt: skip
    add("--norm", action="store_const", const=True, help="with batch normalisation")
    add("--set", metavar="NAME=VALUE", action="append", default=[], help="another argument of it")
    add("--net", dest="made_by", metavar="NAME", help="module:function that makes a checkpoint's")


def run(args: argparse.Namespace) -> None:
    from numseg.files import write_whole

    if args.dot is not None:
        check_ending("--dot", args.dot, (".dot", ".gv"), "a description for Graphviz")
    graph, _, shape = given_network(args)
    print(graph.summary(shape))
    print(_tiles(graph))
    if args.dot is not None:
        write_whole(args.dot, graph.to_dot(shape).encode("utf-8", "surrogateescape"))


def _tiles(graph: Graph) -> str:
    """What tiles of larger images need."""
    from numseg.errors import ArgumentError
    from numseg.tiling import halo

    try:
        rows, columns = halo(graph)
    except ArgumentError as error:
        return f"no exact tiles: {error}"
    axes = [
        f"{axis.before} before and {axis.after} after, step {axis.step}" for axis in (rows, columns)
    ]
    if axes[0] == axes[1]:
        return f"exact tiles: halo {axes[0]}"
    return f"exact tiles: halo of rows {axes[0]}; of columns {axes[1]}"


def given_network(args: argparse.Namespace) -> tuple[Graph, Any, tuple[int, ...]]:
    """The network that the options name, its parameters if it is a checkpoint's, and the shape of
    one picture."""
    from numseg import names
    from numseg.errors import ArgumentError
    from numseg.graph import image_channels
    from numseg.training import load_network, make_network

    if not is_checkpoint(args.net):
        apply_to(args, ["made_by"], "checkpoints", args.net)
        channels, *size = args.input or (3, 256, 256)
        classes = 2 if args.classes is None else args.classes
        return make_network(network(args, channels, classes, UNET)), None, (1, channels, *size)
    apply_to(args, ["classes", *UNET, "set"], "networks by name", "a checkpoint, which knows it")
    graph, checkpoint = load_network(args.net, args.made_by and names.load(args.made_by))
    takes = image_channels(graph)
    channels, *size = args.input or (takes, 256, 256)
    if channels != takes:
        raise ArgumentError(f"--input has {channels} channels, but {args.net} takes {takes}")
    return graph, checkpoint.params, (1, channels, *size)


def _shape(text: str) -> tuple[int, ...]:
    """``3x256x256`` in numbers."""
    try:
        channels, rows, columns = map(int, text.split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected CxHxW, as in 3x256x256, got {text}") from None
    return channels, rows, columns
