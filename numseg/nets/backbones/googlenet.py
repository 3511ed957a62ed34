"""GoogLeNet (Szegedy, Liu, Jia, Sermanet, Reed, Anguelov, Erhan, Vanhoucke and Rabinovich, "Going
Deeper with Convolutions", 2014).

::

    conv 7 x 7 /2, 64 > pool /2 > conv 1 x 1, 64 > conv 3 x 3, 192 > pool /2
    > inception 3a, 3b > pool /2
    > inception 4a (> aux1), 4b, 4c, 4d (> aux2), 4e > pool /2
    > inception 5a, 5b > mean > dropout > linear

An inception module has four branches, whose channels are stacked: 1 x 1; 1 x 1, 3 x 3; 1 x 1,
5 x 5; max pooling 3 x 3, 1 x 1. The auxiliary classifiers are for training. The paper normalises
responses after the first pooling, and before the second.
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
from numseg.ops.avg_pool2d import avg_pool2d
from numseg.ops.concat import concat
from numseg.ops.flatten import flatten
from numseg.ops.local_response_norm import local_response_norm
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
INIT = ("normal", {"std": 0.01})
NORM = ("batch_norm", {"eps": 1e-3})
XAVIER, BIAS = "xavier_uniform", ("constant", {"value": 0.2})
"""What the paper's layers start with, in Caffe."""

AUXILIARY = {"4a": 1, "4d": 2}

BRANCHES = {
    # in the order of INCEPTIONS, and the pooling
    "torchvision": (
        ".branch1", ".branch2.0", ".branch2.1", ".branch3.0", ".branch3.1", ".branch4.1",
        ".branch4.0",
    ),
    "paper": (
        "/1x1", "/3x3_reduce", "/3x3", "/5x5_reduce", "/5x5", "/pool_proj", "/pool",
    ),
}  # fmt: skip
"""Names within an inception module, torchvision's and Caffe's."""


def googlenet(
    in_channels: int = 3,
    classes: int = 1000,
    *,
    aux: bool = False,
    width: float = 1.0,
    dropout: float | None = None,
    dropout_aux: float = 0.7,
    transform_input: bool = False,
    variant: str = "torchvision",
) -> Graph:
    """GoogLeNet; by default torchvision's classifier.

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
        Probability before the last layer (0.2 in torchvision, 0.4 in the paper), and in the
        auxiliary classifiers.
    transform_input : bool
        First undo ImageNet's normalisation, which torchvision's other networks want, and normalise
        to [-1, 1], which this one's published weights want. Its factors are constants of the
        graph, ``transform_input.weight`` and ``transform_input.bias``, which :meth:`Graph.init`
        gives and no file of torchvision's has.
    variant : {"torchvision", "paper"}
        See the notes.

    Returns
    -------
    Graph
        With one input ``x``, (N, in_channels, H, W), and an output (N, classes). H and W at least
        15; in the paper's at least 31, and with its auxiliary classifiers from 191 to 238.
        Parameters have torchvision's names, ``inception3a.branch2.0.conv.weight`` ...
        ``fc.weight``, or Caffe's, ``inception_3a/3x3_reduce.weight`` ... ``loss3/classifier.bias``.

    Notes
    -----
    torchvision's has batch normalisation after each convolution, 3 x 3 where the paper has 5 x 5 (a
    known mistake, pytorch/vision issue 906), 2 x 2 in the last max pooling, and means over 4 x 4
    bins before its auxiliary classifiers. The paper's, as BVLC published it, has biases and
    response normalisation, and means of 5 x 5, at stride 3. At the end both have the mean of all
    pixels, 7 x 7 of 224 x 224.

    Source: arXiv 1409.4842, table 1; torchvision 0.28, ``models.googlenet``; Caffe's
    ``bvlc_googlenet``.

    Examples
    --------
    >>> import numseg as ns
    >>> graph = ns.nets.googlenet(aux=True)
    >>> [graph.shapes((1, 3, 224, 224))[name] for name in ("inception5b", "aux2.fc2")]
    [(1, 1024, 7, 7), (1, 1000)]
    """
    paper = checks.choice("variant", variant, tuple(BRANCHES)) == "paper"
    classes = checks.integer("classes", classes, 1)
    with_aux, width = checks.flag("aux", aux), checks.positive("width", width)
    if dropout is None:
        dropout = 0.4 if paper else 0.2

    def wide(channels: int) -> int:
        return max(1, round(channels * width))

    def conv(name: str, theirs: str, x: Stage, filters: int, kernel: int, stride: int = 1) -> Stage:
        add = _paper_conv if paper else _conv
        return add(net, theirs if paper else name, x, wide(filters), kernel, stride)

    def pool(number: int, x: Stage, kernel: int = 3) -> Stage:
        name = f"pool{number}/{kernel}x{kernel}_s2" if paper else f"maxpool{number}"
        h = net.add(max_pool2d, x.value, kernel, 2, ceil_mode=True, name=name)
        return Stage(h, x.channels)

    def normalised(name: str, x: Stage) -> Stage:
        if not paper:
            return x
        return x._replace(value=net.add(local_response_norm, x.value, 5, name=name))

    net = Graph.build()
    x = blocks.image(net, in_channels, **_sizes(paper, with_aux))
    if checks.flag("transform_input", transform_input):
        x = _transformed(net, x, in_channels)
    stage = conv("conv1", "conv1/7x7_s2", Stage(x, in_channels), 64, 7, 2)
    stage = normalised("pool1/norm1", pool(1, stage))
    stage = conv("conv2", "conv2/3x3_reduce", stage, 64, 1)
    stage = conv("conv3", "conv2/3x3", stage, 192, 3)
    stage = pool(2, normalised("conv2/norm2", stage))
    outputs = []
    for number, channels in INCEPTIONS.items():
        name = f"inception_{number}" if paper else f"inception{number}"
        stage = _inception(net, name, stage, [wide(c) for c in channels], variant)
        if with_aux and number in AUXILIARY:
            head = _paper_auxiliary if paper else _auxiliary
            outputs.append(head(net, AUXILIARY[number], stage, classes, wide, dropout_aux))
        if number == "3b":
            stage = pool(3, stage)
        if number == "4e":
            stage = pool(4, stage, 3 if paper else 2)
    h = blocks.means(net, stage.value, "pool5" if paper else "avgpool")
    h = blocks.dropout(net, "pool5/drop" if paper else "dropout", h, dropout)
    if paper:
        last = blocks.linear(net, "loss3/classifier", h, stage.channels, classes, init=XAVIER)
    else:
        last = _linear(net, "fc", h, stage.channels, classes)
    return net.output(last, *reversed(outputs))


def _sizes(paper: bool, aux: bool) -> dict[str, Any]:
    """Of images: that leave a window for the last pooling, or 4 x 4 means of the paper's."""
    if not paper:
        return {"smallest": 15}
    return {"smallest": 191, "largest": 238} if aux else {"smallest": 31}


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


def _inception(net: Builder, name: str, x: Stage, channels: list[int], variant: str) -> Stage:
    """Four branches, their channels stacked."""
    one, before_three, three, before_five, five, pooled = channels
    paper = variant == "paper"
    names = [name + branch for branch in BRANCHES[variant]]
    conv, large = (_paper_conv, 5) if paper else (_conv, 3)
    reduced_three = conv(net, names[1], x, before_three, 1)
    reduced_five = conv(net, names[3], x, before_five, 1)
    pool = Stage(net.add(max_pool2d, x.value, 3, 1, 1, name=names[6]), x.channels)
    branches = [
        conv(net, names[0], x, one, 1),
        conv(net, names[2], reduced_three, three, 3),
        conv(net, names[4], reduced_five, five, large),
        conv(net, names[5], pool, pooled, 1),
    ]
    output = f"{name}/output" if paper else name
    h = net.add(concat, [branch.value for branch in branches], name=output)
    return Stage(h, sum(branch.channels for branch in branches))


# -- torchvision's layers ---------------------------------------------------------------------


def _conv(net: Builder, name: str, x: Stage, filters: int, kernel: int, stride: int = 1) -> Stage:
    """``name.conv``, ``name.bn``, ``name.relu``."""
    h = blocks.conv(
        net, f"{name}.conv", x.value, x.channels, filters, kernel, kernel // 2, stride=stride,
        init=INIT, norm=NORM, norm_name=f"{name}.bn",
        activation="relu", activation_name=f"{name}.relu",
    )  # fmt: skip
    return Stage(h, filters)


def _linear(net: Builder, name: str, x: Value, inputs: int, outputs: int, **others: Any) -> Value:
    return blocks.linear(net, name, x, inputs, outputs, "torch_uniform", init=INIT, **others)


def _auxiliary(
    net: Builder,
    number: int,
    x: Stage,
    classes: int,
    wide: Callable[[int], int],
    dropout: float,
) -> Value:
    """Means over 4 x 4 bins, 1 x 1 convolution, two linear layers."""
    name = f"aux{number}"
    h = net.add(adaptive_avg_pool2d, x.value, 4, name=f"{name}.avgpool")
    stage = _conv(net, f"{name}.conv", Stage(h, x.channels), wide(128), 1)
    h = net.add(flatten, stage.value, name=f"{name}.flatten")
    h = _linear(
        net, f"{name}.fc1", h, 16 * stage.channels, wide(1024),
        activation="relu", activation_name=f"{name}.relu",
    )  # fmt: skip
    h = blocks.dropout(net, f"{name}.dropout", h, dropout)
    return _linear(net, f"{name}.fc2", h, wide(1024), classes)


# -- the paper's ------------------------------------------------------------------------------


def _paper_conv(
    net: Builder, name: str, x: Stage, filters: int, kernel: int, stride: int = 1
) -> Stage:
    """A convolution with its bias, ``name.relu``."""
    h = blocks.conv(
        net, name, x.value, x.channels, filters, kernel, kernel // 2, BIAS, stride=stride,
        init=XAVIER, activation="relu",
    )  # fmt: skip
    return Stage(h, filters)


def _paper_auxiliary(
    net: Builder,
    number: int,
    x: Stage,
    classes: int,
    wide: Callable[[int], int],
    dropout: float,
) -> Value:
    """Means of 5 x 5 at stride 3, 1 x 1 convolution, two linear layers."""
    name = f"loss{number}"
    h = net.add(
        avg_pool2d, x.value, 5, 3, ceil_mode=True, ceil_rule="caffe", name=f"{name}/ave_pool"
    )
    stage = _paper_conv(net, f"{name}/conv", Stage(h, x.channels), wide(128), 1)
    h = net.add(flatten, stage.value, name=f"{name}/flatten")
    h = blocks.linear(
        net, f"{name}/fc", h, 16 * stage.channels, wide(1024), BIAS, init=XAVIER,
        activation="relu",
    )  # fmt: skip
    h = blocks.dropout(net, f"{name}/drop_fc", h, dropout)
    return blocks.linear(net, f"{name}/classifier", h, wide(1024), classes, init=XAVIER)
