"""GoogLeNet (Szegedy, Liu, Jia, Sermanet, Reed, Anguelov, Erhan, Vanhoucke and Rabinovich, "Going
Deeper with Convolutions", 2014).

::

    conv 7 x 7 /2, 64 > pool /2 > conv 1 x 1, 64 > conv 3 x 3, 192 > pool /2
    > inception 3a, 3b > pool /2
    > inception 4a (> aux1), 4b, 4c, 4d (> aux2), 4e > pool /2
    > inception 5a, 5b > mean > dropout > linear

An inception module has four branches, whose channels are stacked: 1 x 1; 1 x 1, 3 x 3; 1 x 1,
5 x 5; max pooling 3 x 3, 1 x 1. The auxiliary classifiers are for training.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from numseg import checks
from numseg.errors import ArgumentError
from numseg.graph import Builder, Graph, Value
from numseg.nets import blocks
from numseg.nets.blocks import Stage
from numseg.ops.adaptive_avg_pool2d import adaptive_avg_pool2d
from numseg.ops.add import add
from numseg.ops.concat import concat
from numseg.ops.flatten import flatten
from numseg.ops.max_pool2d import max_pool2d
from numseg.ops.multiply import multiply
from numseg.typing import Array, Shape

INCEPTIONS = {
    # 1 x 1; before 3 x 3, 3 x 3; before 5 x 5, 5 x 5; after pooling
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
"""The paper's table 1."""
AUXILIARY = {"4a": "aux1", "4d": "aux2"}
SMALLEST = 31
"""Rows and columns that leave one window for the last pooling."""

INIT = ("normal", {"std": 0.01})
NORM = ("batch_norm", {"eps": 1e-3})


def googlenet(
    in_channels: int = 3,
    classes: int = 1000,
    *,
    aux: bool = False,
    width: float = 1.0,
    dropout: float = 0.2,
    dropout_aux: float = 0.7,
    transform_input: bool = False,
) -> Graph:
    """GoogLeNet as torchvision has it: batch normalisation after each convolution, and 3 x 3
    where the paper has 5 x 5.

    Parameters
    ----------
    in_channels, classes : int
        Channels of the image, and logits.
    aux : bool
        Two more outputs, logits of the auxiliary classifiers, in torchvision's order: ``fc``,
        ``aux2.fc2``, ``aux1.fc2``. The paper adds 0.3 of their losses. ``graph.at("fc")`` is the
        network without.
    width : float
        Multiplier of all channels.
    dropout, dropout_aux : float
        Probability before the last layer, and in the auxiliary classifiers.
    transform_input : bool
        First undo ImageNet's normalisation, which torchvision's other networks want, and normalise
        to [-1, 1], which this one's published weights want. Its factors are constants of the
        graph, ``transform_input.weight`` and ``transform_input.bias``, which :meth:`Graph.init`
        gives and no file of torchvision's has.

    Returns
    -------
    Graph
        With one input ``x``, (N, in_channels, H, W), H and W at least 31, and an output (N,
        classes). Parameters have torchvision's names: ``inception3a.branch2.0.conv.weight``.

    Notes
    -----
    Source: arXiv 1409.4842; torchvision 0.28, ``models.googlenet``, whose 3 x 3 for 5 x 5 is a
    known mistake (pytorch/vision issue 906).

    Examples
    --------
    >>> import numseg as ns
    >>> graph = ns.nets.googlenet(aux=True)
    >>> [graph.shapes((1, 3, 224, 224))[name] for name in ("inception5b", "aux2.fc2")]
    [(1, 1024, 7, 7), (1, 1000)]
    """
    classes = checks.integer("classes", classes, 1)
    width = checks.positive("width", width)
    with_aux = checks.flag("aux", aux)

    def wide(channels: int) -> int:
        return max(1, round(channels * width))

    net = Graph.build()
    x = blocks.image(net, in_channels, SMALLEST)
    if checks.flag("transform_input", transform_input):
        x = _transformed(net, x, in_channels)
    stage = _conv(net, "conv1", Stage(x, in_channels), wide(64), 7, stride=2)
    stage = _pool(net, "maxpool1", stage)
    stage = _conv(net, "conv2", stage, wide(64), 1)
    stage = _conv(net, "conv3", stage, wide(192), 3)
    stage = _pool(net, "maxpool2", stage)
    outputs = {}
    for number, channels in INCEPTIONS.items():
        stage = _inception(net, f"inception{number}", stage, [wide(c) for c in channels])
        if number in AUXILIARY and with_aux:
            name = AUXILIARY[number]
            outputs[name] = _auxiliary(net, name, stage, classes, wide, dropout_aux)
        if number == "3b":
            stage = _pool(net, "maxpool3", stage)
        if number == "4e":
            stage = _pool(net, "maxpool4", stage, 2)
    h = blocks.dropout(net, "dropout", blocks.means(net, stage.value), dropout)
    outputs["fc"] = _linear(net, "fc", h, stage.channels, classes)
    return net.output(*reversed(outputs.values()))


def _transformed(net: Builder, x: Value, channels: int) -> Value:
    """``(x * std + mean - 0.5) / 0.5``, by ImageNet's statistics."""
    if channels != 3:
        raise ArgumentError(f"transform_input is for images of 3 channels, not {channels}")
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])

    def constant(name: str, values: Array) -> Value:
        def start(shape: Shape, rng: np.random.Generator) -> Array:
            return values.reshape(shape)

        return net.param(f"transform_input.{name}", (3, 1, 1), start, trainable=False)

    h = net.add(multiply, x, constant("weight", std / 0.5), name="transform_input.scaled")
    return net.add(add, h, constant("bias", (mean - 0.5) / 0.5), name="transform_input")


def _conv(net: Builder, name: str, x: Stage, filters: int, kernel: int, stride: int = 1) -> Stage:
    """``name.conv``, ``name.bn``, ``name.relu``."""
    h = blocks.conv(
        net, f"{name}.conv", x.value, x.channels, filters, kernel, kernel // 2, stride=stride,
        init=INIT, norm=NORM, norm_name=f"{name}.bn",
        activation="relu", activation_name=f"{name}.relu",
    )  # fmt: skip
    return Stage(h, filters)


def _pool(net: Builder, name: str, x: Stage, kernel: int = 3) -> Stage:
    h = net.add(max_pool2d, x.value, kernel, 2, ceil_mode=True, name=name)
    return Stage(h, x.channels)


def _inception(net: Builder, name: str, x: Stage, channels: list[int]) -> Stage:
    """Four branches, their channels stacked."""
    one, before_three, three, before_five, five, pooled = channels
    reduced_three = _conv(net, f"{name}.branch2.0", x, before_three, 1)
    reduced_five = _conv(net, f"{name}.branch3.0", x, before_five, 1)
    pool = Stage(net.add(max_pool2d, x.value, 3, 1, 1, name=f"{name}.branch4.0"), x.channels)
    branches = [
        _conv(net, f"{name}.branch1", x, one, 1),
        _conv(net, f"{name}.branch2.1", reduced_three, three, 3),
        _conv(net, f"{name}.branch3.1", reduced_five, five, 3),
        _conv(net, f"{name}.branch4.1", pool, pooled, 1),
    ]
    h = net.add(concat, [branch.value for branch in branches], name=name)
    return Stage(h, sum(branch.channels for branch in branches))


def _auxiliary(
    net: Builder,
    name: str,
    x: Stage,
    classes: int,
    wide: Callable[[int], int],
    dropout: float,
) -> Value:
    """Means over 4 x 4 bins, 1 x 1 convolution, two linear layers."""
    h = net.add(adaptive_avg_pool2d, x.value, 4, name=f"{name}.avgpool")
    stage = _conv(net, f"{name}.conv", Stage(h, x.channels), wide(128), 1)
    h = net.add(flatten, stage.value, name=f"{name}.flatten")
    h = _linear(
        net, f"{name}.fc1", h, 16 * stage.channels, wide(1024),
        activation="relu", activation_name=f"{name}.relu",
    )  # fmt: skip
    h = blocks.dropout(net, f"{name}.dropout", h, dropout)
    return _linear(net, f"{name}.fc2", h, wide(1024), classes)


def _linear(net: Builder, name: str, x: Value, inputs: int, outputs: int, **others: Any) -> Value:
    return blocks.linear(net, name, x, inputs, outputs, "torch_uniform", init=INIT, **others)
