"""VGG-16 (Simonyan and Zisserman, "Very deep convolutional networks for large-scale image
recognition", 2014; configuration D).

::

    2 x conv 3 x 3, width        pool1   stride  2
    2 x conv 3 x 3, width * 2    pool2   stride  4
    3 x conv 3 x 3, width * 4    pool3   stride  8
    3 x conv 3 x 3, width * 8    pool4   stride 16
    3 x conv 3 x 3, width * 8    pool5   stride 32
    fc6 (of 7 x 7), fc7, width * 64 each; fc8

FCN, DeepLab, SegNet, DeconvNet and Hypercolumns are built on it. :func:`trunk` is its thirteen
convolutions and five poolings, whatever those are and whatever they are called.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, TypeAlias

from numseg import checks
from numseg.graph import Builder, Graph, Value
from numseg.nets import blocks
from numseg.nets.blocks import Stage
from numseg.ops.adaptive_avg_pool2d import adaptive_avg_pool2d
from numseg.ops.flatten import flatten
from numseg.ops.max_pool2d import max_pool2d

CONVS = (2, 2, 3, 3, 3)
"""Convolutions before each pooling."""

HIDDEN = 64
"""fc6 and fc7 have so many times the channels of the first convolution."""

INIT = ("kaiming_normal", {"mode": "fan_out"})
CLASSIFIER = ("normal", {"std": 0.01})

Convolve: TypeAlias = Callable[[str, Value, int, int], Value]
"""Adds a convolution, and what follows it up to the next: its place ("1_1" to "5_3"), what goes
in, channels, filters."""

Pool: TypeAlias = Callable[[str, Value], Value]
"""Adds a pooling: its name ("pool1" to "pool5"), what goes in."""


def vgg16(
    in_channels: int = 3,
    classes: int = 1000,
    *,
    width: int = 64,
    dropout: float = 0.5,
    fully_convolutional: bool = False,
) -> Graph:
    """VGG-16, torchvision's classifier.

    Parameters
    ----------
    in_channels, classes : int
        Channels of the image, and logits.
    width : int
        Channels of the first convolution.
    dropout : float
        Of fc6 and of fc7, in training.
    fully_convolutional : bool
        fc6, fc7 and fc8 are convolutions (7 x 7, 1 x 1, 1 x 1) instead of linear layers: the output
        is a map of logits, one for each 224 x 224 pixels, 32 pixels apart. The numbers are the
        same, ``weight.reshape(-1, channels, 7, 7)`` of a linear layer's.

    Returns
    -------
    Graph
        With one input ``x``, (N, in_channels, H, W), and an output (N, classes); H and W at least
        32, for a mean over 7 x 7 bins makes any size one. If fully convolutional, H and W at least
        224, and the output (N, classes, H // 32 - 6, W // 32 - 6).

        Parameters have torchvision's names: ``features.0.weight`` to ``features.28.bias``, and
        ``classifier.0.weight``, ``classifier.3`` and ``classifier.6``. Nodes too, but for the
        poolings, ``pool1`` to ``pool5``.

    Notes
    -----
    Source: Simonyan and Zisserman 2014, whose input is 224 x 224; torchvision 0.28,
    ``models.vgg``, which has the mean over 7 x 7 bins for other sizes.

    Examples
    --------
    >>> import numseg as ns
    >>> ns.nets.vgg16(fully_convolutional=True).shapes((1, 3, 224, 320))["classifier.6"]
    (1, 1000, 1, 4)
    """
    return _classifier(in_channels, classes, width, dropout, fully_convolutional, None)


def vgg16_bn(
    in_channels: int = 3,
    classes: int = 1000,
    *,
    width: int = 64,
    dropout: float = 0.5,
    fully_convolutional: bool = False,
) -> Graph:
    """VGG-16 with a batch normalisation after each convolution (``features.1``, ...), as
    torchvision has it; the arguments are those of :func:`vgg16`."""
    return _classifier(in_channels, classes, width, dropout, fully_convolutional, "batch_norm")


def _classifier(
    in_channels: int, classes: int, width: int, dropout: float, convolutional: bool, norm: Any
) -> Graph:
    convolutional = checks.flag("fully_convolutional", convolutional)
    net = Graph.build()
    x = Stage(blocks.image(net, in_channels, 224 if convolutional else 32), in_channels)
    place = itertools.count()

    def layer() -> str:
        return f"features.{next(place)}"

    def conv(_: str, x: Value, channels: int, filters: int) -> Value:
        return blocks.conv(
            net, layer(), x, channels, filters, 3, 1, bias=True, init=INIT,
            norm=norm, norm_name=layer() if norm else None,
            activation="relu", activation_name=layer(),
        )  # fmt: skip

    def pool(name: str, x: Value) -> Value:
        next(place)
        return net.add(max_pool2d, x, 2, name=name)

    def fc(at: int, x: Stage, filters: int, kernel: int = 1, **others: Any) -> Value:
        name = f"classifier.{at}"
        if convolutional:
            others["kernel"] = kernel
        add = blocks.conv if convolutional else blocks.linear
        return add(net, name, x.value, x.channels, filters, init=CLASSIFIER, **others)

    def hidden(at: int, x: Stage, kernel: int = 1) -> Stage:
        filters = HIDDEN * width
        h = fc(at, x, filters, kernel, activation="relu", activation_name=f"classifier.{at + 1}")
        return Stage(blocks.dropout(net, f"classifier.{at + 2}", h, dropout), filters)

    h = trunk(x, checks.integer("width", width, 1), conv, pool)["pool5"]
    if not convolutional:
        y = net.add(adaptive_avg_pool2d, h.value, 7, name="avgpool")
        h = Stage(net.add(flatten, y, name="flatten"), 7 * 7 * h.channels)
    h = hidden(3, hidden(0, h, 7))
    return net.output(fc(6, h, checks.integer("classes", classes, 1)))


# -- the features -----------------------------------------------------------------------------


def trunk(x: Stage, width: int, conv: Convolve, pool: Pool) -> dict[str, Stage]:
    """The thirteen convolutions and five poolings.

    Parameters
    ----------
    x : Stage
        The image.
    width : int
        Channels of the first convolution.
    conv, pool : functions
        That add one of them: what a network calls it, and how it pads, dilates and strides.

    Returns
    -------
    dict of Stage
        What each gave, by Caffe's names: "conv1_1" to "conv5_3", "pool1" to "pool5".
    """
    stages = {}
    for level, count in enumerate(CONVS, 1):
        filters = width * min(2 ** (level - 1), 8)
        for j in range(1, count + 1):
            x = Stage(conv(f"{level}_{j}", x.value, x.channels, filters), filters)
            stages[f"conv{level}_{j}"] = x
        x = stages[f"pool{level}"] = Stage(pool(f"pool{level}", x.value), filters)
    return stages


def caffe_conv(
    net: Builder,
    place: str,
    x: Value,
    channels: int,
    filters: int,
    padding: int = 1,
    dilation: int = 1,
) -> Value:
    """A convolution of the trunk by Caffe's names: ``conv1_1`` and ``relu1_1``."""
    return blocks.conv(
        net, f"conv{place}", x, channels, filters, 3, padding, dilation=dilation, init=INIT,
        activation="relu", activation_name=f"relu{place}",
    )  # fmt: skip


def caffe_hidden(
    net: Builder,
    x: Stage,
    filters: int,
    kernel: int = 7,
    padding: int = 0,
    dilation: int = 1,
    *,
    dropout: float = 0.5,
    branch: str = "",
) -> Stage:
    """fc6 and fc7 as convolutions, each with its relu and dropout, by Caffe's names: ``fc6``,
    ``relu6`` and ``drop6``, with the name of the branch, if there are several."""
    for name, size, pad, rate in (("6", kernel, padding, dilation), ("7", 1, 0, 1)):
        h = blocks.conv(
            net, f"fc{name}{branch}", x.value, x.channels, filters, size, pad, dilation=rate,
            init=INIT, activation="relu", activation_name=f"relu{name}{branch}",
        )  # fmt: skip
        x = Stage(blocks.dropout(net, f"drop{name}{branch}", h, dropout), filters)
    return x
