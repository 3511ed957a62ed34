"""A dense CRF behind a network, whose compatibilities and kernel widths are parameters.

::

    scores, image  >  10 x (filter, mix, add, softmax)  >  scores

Zheng, Jayasumana, Romera-Paredes, Vineet, Su, Du, Huang and Torr, "Conditional random fields as
recurrent neural networks", 2015: mean-field inference is differentiable, so that a network and its
CRF train together.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np

from numseg import checks
from numseg.crf import Settings, Term
from numseg.crf import settings as published
from numseg.errors import ArgumentError, ArgumentTypeError, shown
from numseg.graph import Builder, Graph, Value, constant
from numseg.ops.bilateral_features import bilateral_features
from numseg.ops.dense_crf import dense_crf
from numseg.ops.multiply import multiply
from numseg.ops.spatial_features import spatial_features
from numseg.typing import Array, Shape

COMPATIBILITIES = {"number": 0, "labels": 1, "matrix": 2}
"""Axes of a term's compatibilities."""


def crf_rnn(
    net: Builder,
    name: str,
    scores: Value,
    image: Value,
    channels: int,
    classes: int,
    settings: str | Settings = "crf-as-rnn",
    *,
    compat: str = "matrix",
    colour_unit: float = 1.0,
    trainable: bool = True,
    **options: Any,
) -> Value:
    """A dense CRF as nodes of a network: :func:`numseg.dense_crf` and what makes its features.

    Parameters
    ----------
    net : Builder
    name : str
        Of the node; of parameters ``name.compat1``, ``name.width1``, ... for each term, and of
        constants: ``name.sign``, -1, for energies are negative scores, and ``name.scale``.
    scores : Value, (N, classes, H, W)
        Logits.
    image : Value, (N, channels, H, W)
        Of the size of the scores.
    channels, classes : int
    settings : str or Settings
        What parameters start with: published settings by name (:mod:`numseg.crf`), or others.
    compat : {"matrix", "labels", "number"}
        What each term learns: (L, L), as CRF-as-RNN, (L,), or ().
    colour_unit : float
        What one step of 0 to 255 is in the image: 1/255 where colours are in [0, 1]. The image is
        scaled by its inverse (a constant, where that is not 1), so that all widths are learned at
        much the same pace: they are in pixels, and in steps of 0 to 255.
    trainable : bool
        False: constants, for a CRF that follows a network but is not trained.
    **options
        Of :func:`numseg.dense_crf`, ``output="logits"`` by default, ``iterations`` and
        ``normalization`` by the settings.

    Returns
    -------
    Value, (N, classes, H, W)
        Logits: what the last iteration takes the softmax of.
    """
    settings = published(settings) if isinstance(settings, str) else settings
    if not isinstance(settings, Settings):
        raise ArgumentTypeError(f"settings must be a name or Settings, got {shown(settings)}")
    axes = COMPATIBILITIES[checks.choice("compat", compat, tuple(COMPATIBILITIES))]
    unit = checks.positive("colour_unit", colour_unit)
    channels = checks.integer("channels", channels, 1)
    shape = (checks.integer("classes", classes, 1),) * axes
    if unit != 1:
        scale = functools.partial(constant, value=1 / unit)
        factor = net.param(f"{name}.scale", (), scale, trainable=False)
        image = net.add(multiply, image, factor, name=f"{name}.image")
    features, compats = [], []
    for number, term in enumerate(settings.terms, 1):
        start = functools.partial(_attraction, value=term.compat)
        compats.append(net.param(f"{name}.compat{number}", shape, start, trainable))
        widths = functools.partial(_widths, term=term)
        count = 2 if term.colour is None else 2 + channels
        width = net.param(f"{name}.width{number}", (count,), widths, trainable)
        make = spatial_features if term.colour is None else bilateral_features
        features.append(net.add(make, image, width, name=f"{name}.features{number}"))
    sign = net.param(f"{name}.sign", (), functools.partial(constant, value=-1.0), trainable=False)
    unary = net.add(multiply, scores, sign, name=f"{name}.unary")
    how = {
        "iterations": settings.iterations,
        "normalization": settings.normalization,
        "output": "logits",
    }
    return net.add(dense_crf, unary, features, compats, name=name, **{**how, **options})


def with_crf(
    graph: Graph, channels: int, classes: int, *, name: str = "crf", **arguments: Any
) -> Graph:
    """A segmentation network with a dense CRF behind its first output.

    Parameters
    ----------
    graph : Graph
        Of one input, the image, and a first output of its size, logits.
    channels, classes : int
        Of the image and of the logits.
    name, **arguments
        Of :func:`crf_rnn`.

    Returns
    -------
    Graph
        All of the network and, in the place of the first output, ``name``: parameters keep their
        names, so that weights of the network fit (``fresh=["crf.*"]`` where they are loaded).

    Examples
    --------
    >>> import numseg as ns
    >>> net = ns.nets.unet(3, 4, width=2, depth=1, padding="same")
    >>> graph = ns.nets.crf.with_crf(net, 3, 4, colour_unit=1 / 255, compat="labels")
    >>> [param.name for param in graph.params if param.name.startswith("crf.") and param.trainable]
    ['crf.compat1', 'crf.width1', 'crf.compat2', 'crf.width2']
    >>> graph.shapes((1, 3, 16, 16))["crf"]
    (1, 4, 16, 16)
    """
    if len(graph.inputs) != 1 or graph.outputs[0].result:
        raise ArgumentError("the graph must have one input, and a node's first result as its first")
    net = Graph.build()
    image, scores = net.input(graph.inputs[0].name), net.input(graph.outputs[0].source)
    behind = net.output(crf_rnn(net, name, scores, image, channels, classes, **arguments))
    return dataclasses.replace(
        graph,
        params=(*graph.params, *behind.params),
        nodes=(*graph.nodes, *behind.nodes),
        outputs=(*behind.outputs, *graph.outputs[1:]),
    )


def _attraction(shape: Shape, rng: np.random.Generator, value: float) -> Array:
    """Compatibilities by which equal labels gain so much."""
    return -value * np.eye(shape[0]) if len(shape) == 2 else np.full(shape, float(value))


def _widths(shape: Shape, rng: np.random.Generator, term: Term) -> Array:
    return term.widths(shape[0] - 2, np.float64)
