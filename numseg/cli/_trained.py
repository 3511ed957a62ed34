"""A trained network: a checkpoint that numseg wrote, or anybody's weights and a network's name."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from numseg.cli._options import apply_to, values

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numseg.detectors import Detector
    from numseg.graph import Graph
    from numseg.training import Checkpoint
    from numseg.typing import Array

HELP = "a checkpoint that numseg wrote, or with --net any file of weights (numseg weights --help)"


def add_trained(add: Any) -> None:
    """``--average``, ``--net``, ``--set`` and ``--key``, by a parser's or a group's
    ``add_argument``."""
    add("--average", action="store_true", help="with a checkpoint's moving averages of parameters")
    add(
        "--net", metavar="NAME",
        help="module:function that makes a checkpoint's network, if it is your own; or the network "
        "that somebody's weights are for: of numseg.nets or numseg.detectors, or module:function",
    )  # fmt: skip
    add("--set", metavar="NAME=VALUE", action="append", default=[], help="an argument of that one")
    add("--key", metavar="KEY", help="which dict of a PyTorch file that has several")


def trained(args: argparse.Namespace) -> tuple[Graph, Checkpoint]:
    """The network of ``args.weights``. What only a checkpoint knows (classes, colours) is not in
    ``about`` of anybody else's."""
    from numseg import names
    from numseg.errors import ArgumentError
    from numseg.interop import torchvision, weights
    from numseg.training import Checkpoint, load_network

    path, net = args.weights, args.net
    if is_ours(path):
        apply_to(args, ["set", "key"], "weights that others wrote", f"{path}, a checkpoint")
        return load_network(path, net and names.load(net), args.average)
    arrays = weights.load(path, args.key)
    if args.average:
        raise ArgumentError(
            f"--average is for checkpoints, not for {path}, weights that others wrote"
        )
    if net is None:
        raise ArgumentError(
            f"{path} is no checkpoint that numseg wrote: --net says for which network"
        )
    graph, params = fitted(net, values("--set", args.set), arrays)
    if net in torchvision.NETWORKS:
        graph, params = torchvision.normalised(graph, params)
    return graph, Checkpoint(params, {}, 0, [], {})


def is_detector(args: argparse.Namespace) -> bool:
    """Whether it is a detector: a checkpoint says so, of other weights the network's name."""
    from numseg.training import load_checkpoint
    from numseg.training.detecting import detectors_by_name

    if is_ours(args.weights):
        return load_checkpoint(args.weights).about.get("task") == "detection"
    return args.net in detectors_by_name()


def trained_detector(args: argparse.Namespace) -> tuple[Detector, Checkpoint]:
    """The detector of ``args.weights``, as :func:`trained` gives networks."""
    from numseg import names
    from numseg.errors import ArgumentError
    from numseg.interop import torchvision, weights
    from numseg.training import Checkpoint, load_detector, make_detector

    path, net = args.weights, args.net
    if is_ours(path):
        apply_to(args, ["set", "key"], "weights that others wrote", f"{path}, a checkpoint")
        return load_detector(path, net and names.load(net), args.average)
    if args.average:
        raise ArgumentError(
            f"--average is for checkpoints, not for {path}, weights that others wrote"
        )
    if net is None:
        raise ArgumentError(
            f"{path} is no checkpoint that numseg wrote: --net says for which detector"
        )
    detector = make_detector({"name": net, **values("--set", args.set)})
    params = torchvision.match(detector, weights.load(path, args.key))
    return detector, Checkpoint(params, {}, 0, [], {})


def fitted(
    net: str, arguments: Mapping[str, Any], arrays: Mapping[str, Array]
) -> tuple[Graph, dict[str, Array]]:
    """A network by name, and its parameters out of a file's arrays."""
    from numseg.interop import torchvision, weights
    from numseg.training import make_network

    graph = make_network({"name": net, **arguments})
    match = torchvision.match if net in torchvision.NETWORKS else weights.match
    return graph, match(graph, arrays)


def is_ours(path: Path) -> bool:
    """Whether a file is a checkpoint; or one that was, whose reader will say what is wrong."""
    from numseg.errors import FileError
    from numseg.files import read_whole
    from numseg.interop import safetensors, weights

    content = read_whole(path)
    try:
        ours = weights.kind_of(content) == "safetensors"
        return ours and "format" in safetensors.read(content)[1]
    except FileError:
        return path.suffix == ".safetensors"
