"""What a network's weights expect of a picture's colours, as the first node of its graph."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from numseg import checks
from numseg.errors import ArgumentError, ArgumentTypeError
from numseg.graph import Graph, Node, Param, Value
from numseg.graph.node import Entry
from numseg.ops.conv2d import conv2d
from numseg.typing import Array, Shape

NODE = "normalise"
"""The node's name; its constants are ``normalise.weight`` and ``normalise.bias``."""


class Normalisation(NamedTuple):
    """``(x - mean) / std`` by channel, for pictures in [0, 1]."""

    mean: tuple[float, ...]
    """In the order in which the network takes the channels, as ``std``."""
    std: tuple[float, ...]
    order: str = "rgb"
    """"bgr": blue, green and red, as OpenCV reads pictures, and Caffe's models take them."""


_CAFFE = (104.00698793, 116.66876762, 122.67891434)

NORMALISATIONS: Mapping[str, Normalisation] = {
    "imagenet": Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "caffe": Normalisation(tuple(c / 255 for c in _CAFFE), (1 / 255,) * 3, "bgr"),
    "tensorflow": Normalisation((0.5,) * 3, (0.5,) * 3),
}
"""By name: torchvision's models; those of Caffe, BGR in 0 to 255 less ImageNet's mean; TensorFlow's
Inception and Xception, -1 to 1."""


def normalised(graph: Graph, normalisation: str | Mapping[str, Any] = "imagenet") -> Graph:
    """The graph that normalises its input first: it takes pictures with colours in [0, 1].

    Parameters
    ----------
    graph : Graph
    normalisation : {"imagenet", "caffe", "tensorflow"} or mapping
        :data:`NORMALISATIONS`; or ``{"mean": [...], "std": [...], "order": "bgr"}``, numbers for
        each channel.

    Returns
    -------
    Graph
        With a node ``normalise``, a 1 x 1 convolution of two constants, which training leaves as
        they are.

    Raises
    ------
    ArgumentError
        For a normalisation that is none; if the graph has one already.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> from numseg.nets.inputs import normalised
    >>> graph = normalised(ns.nets.unet(3, 2, width=1, depth=0, padding="same"), "caffe")
    >>> white = np.ones((1, 3, 1, 1), np.float32)
    >>> first = graph.at("normalise")
    >>> [f"{value:.2f}" for value in first.run(first.init(), white).ravel()]  # 255 less the mean
    ['150.99', '138.33', '132.32']
    """
    how = _checked(normalisation)
    if NODE in graph.names:
        raise ArgumentError("the graph normalises its input already")
    image = graph.inputs[0].name
    channels = len(how.mean)
    params = (
        Param(f"{NODE}.weight", (channels, channels, 1, 1), _Weight(how), False),
        Param(f"{NODE}.bias", (channels,), _Bias(how), False),
    )
    first = Node(NODE, conv2d, (Value(image), *(Value(param.name) for param in params)), ())

    def behind(entry: Entry) -> Entry:
        if isinstance(entry, tuple):
            return tuple(Value(NODE) if v.source == image else v for v in entry)
        return Value(NODE) if entry is not None and entry.source == image else entry

    nodes = (
        dataclasses.replace(node, inputs=tuple(map(behind, node.inputs))) for node in graph.nodes
    )
    return dataclasses.replace(graph, params=(*params, *graph.params), nodes=(first, *nodes))


def _checked(given: str | Mapping[str, Any]) -> Normalisation:
    if isinstance(given, str):
        return NORMALISATIONS[checks.choice("normalise", given, list(NORMALISATIONS))]
    if not isinstance(given, Mapping) or not {"mean", "std"} <= given.keys():
        raise ArgumentTypeError(f"normalise must be a word or have mean and std, got {given!r}")
    if unknown := given.keys() - set(Normalisation._fields):
        raise ArgumentError(f"normalise has mean, std and order, not {', '.join(unknown)}")
    mean = tuple(checks.real("normalise's mean", value) for value in given["mean"])
    std = tuple(checks.positive("normalise's std", value) for value in given["std"])
    order = checks.choice("normalise's order", given.get("order", "rgb"), ("rgb", "bgr"))
    if len(mean) != len(std) or not mean:
        raise ArgumentError(f"normalise has {len(mean)} means, but {len(std)} stds")
    return Normalisation(mean, std, order)


@dataclasses.dataclass(frozen=True)
class _Weight:
    """The inverse of std on the diagonal, which runs the other way for BGR."""

    how: Normalisation

    def __call__(self, shape: Shape, rng: np.random.Generator) -> Array:
        weight = np.diag(1 / np.array(self.how.std))
        return (weight[:, ::-1] if self.how.order == "bgr" else weight).reshape(shape)


@dataclasses.dataclass(frozen=True)
class _Bias:
    how: Normalisation

    def __call__(self, shape: Shape, rng: np.random.Generator) -> Array:
        return -np.array(self.how.mean) / np.array(self.how.std)
