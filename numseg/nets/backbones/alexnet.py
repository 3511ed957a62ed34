"""AlexNet (Krizhevsky, Sutskever and Hinton, "ImageNet Classification with Deep Convolutional
Neural Networks", 2012), as torchvision has it.

::

    conv 11 x 11 /4, 64 > pool 3 x 3 /2 > conv 5 x 5, 192 > pool 3 x 3 /2
    > conv 3 x 3, 384 > conv 3 x 3, 256 > conv 3 x 3, 256 > pool 3 x 3 /2 > means over 6 x 6 bins
    > linear, 4096 > linear, 4096 > linear
"""

from __future__ import annotations

from typing import Any

from numseg import checks
from numseg.graph import Graph
from numseg.nets import blocks
from numseg.nets.blocks import Stage
from numseg.ops.adaptive_avg_pool2d import adaptive_avg_pool2d
from numseg.ops.flatten import flatten
from numseg.ops.max_pool2d import max_pool2d

CONVS = (
    # number, kernel, stride, padding, filters in multiples of the first's, and whether to pool
    (0, 11, 4, 2, 1, True),
    (3, 5, 1, 2, 3, True),
    (6, 3, 1, 1, 6, False),
    (8, 3, 1, 1, 4, False),
    (10, 3, 1, 1, 4, True),
)
HIDDEN = 64
BINS = 6
SMALLEST = 63
"""Rows and columns of which one window is left for the last pooling."""


def alexnet(
    in_channels: int = 3, classes: int = 1000, *, width: int = 64, dropout: float = 0.5
) -> Graph:
    """AlexNet; torchvision's classifier: one column, without response normalisation.

    Parameters
    ----------
    in_channels, classes : int
        Channels of the image, and logits.
    width : int
        Channels of the first convolution; all other widths are in proportion.
    dropout : float
        Probability before each of the hidden linear layers.

    Returns
    -------
    Graph
        With one input ``x``, (N, in_channels, H, W), H and W at least 63, and an output (N,
        classes). Parameters have torchvision's names: ``features.0.weight``, ``classifier.6.bias``.

    Notes
    -----
    Source: Krizhevsky, "One weird trick for parallelizing convolutional neural networks", arXiv
    1404.5997, whose widths these are; torchvision 0.28, ``models.alexnet``.

    Examples
    --------
    >>> import numseg as ns
    >>> ns.nets.alexnet().shapes((1, 3, 224, 224))["features.12"]
    (1, 256, 6, 6)
    """
    width = checks.integer("width", width, 1)
    classes = checks.integer("classes", classes, 1)
    usual: dict[str, Any] = {"init": "torch_uniform", "bias": "torch_uniform"}
    net = Graph.build()
    stage = Stage(blocks.image(net, in_channels, SMALLEST), in_channels)
    for number, kernel, stride, padding, multiple, pooled in CONVS:
        filters = multiple * width
        h = blocks.conv(
            net, f"features.{number}", stage.value, stage.channels, filters, kernel, padding,
            stride=stride, activation="relu", activation_name=f"features.{number + 1}", **usual,
        )  # fmt: skip
        if pooled:
            h = net.add(max_pool2d, h, 3, 2, name=f"features.{number + 2}")
        stage = Stage(h, filters)
    h = net.add(adaptive_avg_pool2d, stage.value, BINS, name="avgpool")
    h = net.add(flatten, h, name="flatten")
    inputs, hidden = stage.channels * BINS**2, HIDDEN * width
    for number, count in ((1, inputs), (4, hidden)):
        h = blocks.dropout(net, f"classifier.{number - 1}", h, dropout)
        h = blocks.linear(
            net, f"classifier.{number}", h, count, hidden,
            activation="relu", activation_name=f"classifier.{number + 1}", **usual,
        )  # fmt: skip
    return net.output(blocks.linear(net, "classifier.6", h, hidden, classes, **usual))
