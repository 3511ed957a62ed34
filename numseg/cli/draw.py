"""``numseg draw``: a picture of a network."""

from __future__ import annotations

import argparse
from typing import Any

from numseg.cli._options import check_ending
from numseg.cli.summary import add_network, given_network

EXAMPLES = """examples:
  numseg draw unet --out unet.svg
  numseg draw unet --input 1x572x572 --padding valid --out paper.svg
  numseg draw runs/voc/checkpoint.safetensors --out net.svg
  numseg draw my_nets:fcn --input 3x224x224 --set width=32 --out fcn.dot   then: dot -Tpdf fcn.dot

A box has nodes that follow one another, with the shapes of their results. Below stands how many
rows and columns of the image a pixel of the last one sees (its receptive field), and how many lie
between two pixels. Coarser maps stand further to the right.
"""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "draw",
        help="a picture of a network: nodes, shapes, receptive fields",
        description="Draw a network, for one image of a given size.",
        epilog=EXAMPLES,
    )
    add_network(parser)
    parser.add_argument(
        "--out", metavar="FILE", required=True, help="an .svg picture, or .dot for Graphviz"
    )


def run(args: argparse.Namespace) -> None:
    from numseg.files import write_whole

    check_ending("--out", args.out, (".svg", ".dot", ".gv"), "a drawing")
    graph, _, shape = given_network(args)
    graphviz = str(args.out).lower().endswith((".dot", ".gv"))
    text = graph.to_dot(shape) if graphviz else graph.to_svg(shape)
    write_whole(args.out, text.encode("utf-8", "surrogateescape"))
    print(f"{len(graph.nodes)} nodes in {args.out}")
