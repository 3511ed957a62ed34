"""AlexNet (Krizhevsky, Sutskever and Hinton, "ImageNet Classification with Deep Convolutional
Neural Networks", 2012).

::

    torchvision                            the paper, as Caffe has it
    conv 11 x 11 /4, 64 > pool             conv 11 x 11 /4, 96 > response norm > pool
    > conv 5 x 5, 192 > pool               > conv 5 x 5, 256, 2 groups > response norm > pool
    > conv 3 x 3, 384                      > conv 3 x 3, 384
    > conv 3 x 3, 256                      > conv 3 x 3, 384, 2 groups
    > conv 3 x 3, 256 > pool               > conv 3 x 3, 256, 2 groups > pool
    > means over 6 x 6 bins
    > linear, 4096 > linear, 4096 > linear

Pooling is the maximum of 3 x 3, at stride 2. The two groups are the paper's two GPUs.
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

from numseg import checks
from numseg.graph import Graph
from numseg.nets import blocks
from numseg.nets.blocks import Stage
from numseg.ops.adaptive_avg_pool2d import adaptive_avg_pool2d
from numseg.ops.flatten import flatten
from numseg.ops.local_response_norm import local_response_norm
from numseg.ops.max_pool2d import max_pool2d


class Layer(NamedTuple):
    """A convolution, and what follows it."""

    kernel: int
    stride: int
    padding: int
    filters: int
    groups: int = 1
    pooled: bool = False
    normalised: bool = False


TORCHVISION = (
    Layer(11, 4, 2, 64, pooled=True),
    Layer(5, 1, 2, 192, pooled=True),
    Layer(3, 1, 1, 384),
    Layer(3, 1, 1, 256),
    Layer(3, 1, 1, 256, pooled=True),
)
PAPER = (
    Layer(11, 4, 0, 96, pooled=True, normalised=True),
    Layer(5, 1, 2, 256, groups=2, pooled=True, normalised=True),
    Layer(3, 1, 1, 384),
    Layer(3, 1, 1, 384, groups=2),
    Layer(3, 1, 1, 256, groups=2, pooled=True),
)
TORCH: dict[str, Any] = {"init": "torch_uniform", "bias": "torch_uniform"}
HIDDEN = 4096
SIDE = 6
"""Rows and columns before the linear layers."""


def alexnet(
    in_channels: int = 3,
    classes: int = 1000,
    *,
    width: int | None = None,
    dropout: float = 0.5,
    variant: str = "torchvision",
) -> Graph:
    """AlexNet; by default torchvision's classifier.

    Parameters
    ----------
    in_channels, classes : int
        Channels of the image, and logits.
    width : int, optional
        Channels of the first convolution (64, or 96 in the paper); all others are in proportion.
    dropout : float
        Probability, twice: of what the hidden linear layers read (torchvision) or give (paper).
    variant : {"torchvision", "paper"}
        "paper" is BVLC's network, by whose names its weights are published: two groups, and
        response normalisation before the pooling; its k is 1, and alpha is divided by the number of
        channels, where the paper's k is 2.

    Returns
    -------
    Graph
        With one input ``x``, (N, in_channels, H, W), and an output (N, classes). H and W at least
        63; in the paper's, from 199 to 230 (it has 227), of which 6 x 6 pixels are left. Parameters
        have torchvision's names, ``features.0.weight`` ... ``classifier.6.bias``, or Caffe's,
        ``conv1.weight`` ... ``fc8.bias``.

    Notes
    -----
    Source: Krizhevsky, Sutskever and Hinton 2012, section 3; Krizhevsky, "One weird trick for
    parallelizing convolutional neural networks", arXiv 1404.5997, whose widths torchvision has;
    torchvision 0.28, ``models.alexnet``; Caffe's ``bvlc_alexnet``.

    Examples
    --------
    >>> import numseg as ns
    >>> ns.nets.alexnet().shapes((1, 3, 224, 224))["features.12"]
    (1, 256, 6, 6)
    >>> ns.nets.alexnet(variant="paper").shapes((1, 3, 227, 227))["pool5"]
    (1, 256, 6, 6)
    """
    paper = checks.choice("variant", variant, ("torchvision", "paper")) == "paper"
    layers = PAPER if paper else TORCHVISION
    first = layers[0].filters
    width = first if width is None else checks.integer("width", width, 1)
    classes = checks.integer("classes", classes, 1)
    places = itertools.count()

    def name(what: str, number: int) -> str:
        return f"{what}{number}" if paper else f"features.{next(places)}"

    net = Graph.build()
    sizes: dict[str, Any] = {"smallest": 199, "largest": 230} if paper else {"smallest": 63}
    stage = Stage(blocks.image(net, in_channels, **sizes), in_channels)
    for number, layer in enumerate(layers, 1):
        filters = layer.filters * width // first
        start = _start(0.01, 0.1 if layer.groups > 1 else 0.0) if paper else TORCH
        h = blocks.conv(
            net, name("conv", number), stage.value, stage.channels, filters,
            layer.kernel, layer.padding, stride=layer.stride, groups=layer.groups,
            activation="relu", activation_name=name("relu", number), **start,
        )  # fmt: skip
        if layer.normalised:
            h = net.add(local_response_norm, h, 5, 1e-4, 0.75, 1.0, name=name("norm", number))
        if layer.pooled:
            h = net.add(max_pool2d, h, 3, 2, ceil_mode=paper, name=name("pool", number))
        stage = Stage(h, filters)

    h = stage.value if paper else net.add(adaptive_avg_pool2d, stage.value, SIDE, name="avgpool")
    h = net.add(flatten, h, name="flatten")
    inputs, hidden = stage.channels * SIDE**2, HIDDEN * width // first
    if paper:
        for number, count in ((6, inputs), (7, hidden)):
            h = blocks.linear(
                net, f"fc{number}", h, count, hidden,
                activation="relu", activation_name=f"relu{number}", **_start(0.005, 0.1),
            )  # fmt: skip
            h = blocks.dropout(net, f"drop{number}", h, dropout)
        return net.output(blocks.linear(net, "fc8", h, hidden, classes, **_start(0.01, 0.0)))
    for number, count in ((1, inputs), (4, hidden)):
        h = blocks.dropout(net, f"classifier.{number - 1}", h, dropout)
        h = blocks.linear(
            net, f"classifier.{number}", h, count, hidden,
            activation="relu", activation_name=f"classifier.{number + 1}", **TORCH,
        )  # fmt: skip
    return net.output(blocks.linear(net, "classifier.6", h, hidden, classes, **TORCH))


def _start(std: float, bias: float) -> dict[str, Any]:
    """Start values of the paper's weights and biases; its biases of 1 are 0.1 in Caffe's."""
    return {"init": ("normal", {"std": std}), "bias": ("constant", {"value": bias})}
