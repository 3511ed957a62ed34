"""``numseg profile``: where a network's time goes, node by node."""

from __future__ import annotations

import argparse
from typing import Any

from numseg.cli.summary import add_network, given_network

EXAMPLES = """examples:
  numseg profile runs/voc/checkpoint.safetensors --input 3x512x512
  numseg profile unet --input 3x256x256 --classes 21 --runs 20
  numseg profile my_nets:fcn --input 3x224x224 --set width=32

Times every node of an inference on one picture of random numbers, beside what this machine can do
at most. Let the machine do nothing else.
"""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "profile",
        help="where a network's time goes, node by node",
        description="Time every node of a network, for one image of a given size.",
        epilog=EXAMPLES,
    )
    add_network(parser)
    parser.add_argument("--runs", metavar="N", type=int, default=5, help="medians of (5)")


def run(args: argparse.Namespace) -> None:
    import numpy as np

    from numseg import checks

    checks.integer("--runs", args.runs, minimum=1)
    graph, params, shape = given_network(args)
    graph.shapes(shape)
    x = np.random.default_rng(0).random(shape, np.float32)
    print(graph.profile(graph.init() if params is None else params, x, runs=args.runs))
