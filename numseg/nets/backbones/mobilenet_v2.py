"""MobileNetV2 (Sandler, Howard, Zhu, Zhmoginov and Chen, "MobileNetV2: Inverted Residuals and
Linear Bottlenecks", 2018).

::

    conv 3 x 3 /2, 32 > 17 inverted residuals (SETTINGS, the paper's table 2) > conv 1 x 1, 1280
    > mean > linear

An inverted residual widens by 1 x 1, convolves each channel by itself, and narrows by 1 x 1
without an activation; x is added where it has the same shape.
"""

from __future__ import annotations

from typing import Any

from numseg import checks
from numseg.graph import Builder, Graph
from numseg.nets import blocks
from numseg.nets.blocks import Stage, Step
from numseg.ops.add import add

SETTINGS = (
    # expansion, channels, units, stride of the first
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
FIRST, LAST = 32, 1280

RELU6 = ("clip", {"min": 0.0, "max": 6.0})
INIT = ("kaiming_normal", {"mode": "fan_out"})
USUAL: dict[str, Any] = {"activation": RELU6, "init": INIT}


def mobilenet_v2(
    in_channels: int = 3,
    classes: int = 1000,
    *,
    width: float = 1.0,
    output_stride: int = 32,
    dropout: float = 0.2,
) -> Graph:
    """MobileNetV2; by default torchvision's classifier.

    Parameters
    ----------
    in_channels, classes : int
        Channels of the image, and logits.
    width : float
        The paper's multiplier of all channels, which are rounded to multiples of 8.
    output_stride : {32, 16, 8, 4}
        Of the features. Less than 32: convolutions are dilated by the strides that are gone before
        them, as in DeepLab.
    dropout : float
        Probability before the last layer.

    Returns
    -------
    Graph
        With one input ``x``, (N, in_channels, H, W) of any size, and an output (N, classes).
        Parameters and nodes have torchvision's names: ``features.1.conv.0.0.weight``.

    Notes
    -----
    Source: arXiv 1801.04381; torchvision 0.28, ``models.mobilenet_v2``.

    Examples
    --------
    >>> import numseg as ns
    >>> ns.nets.mobilenet_v2().shapes((1, 3, 224, 224))["features.18.2"]
    (1, 1280, 7, 7)
    """
    net = Graph.build()
    x = Stage(blocks.image(net, in_channels), in_channels)
    *_, last = features(net, x, width=width, output_stride=output_stride)
    h = blocks.dropout(net, "classifier.0", blocks.means(net, last.value), dropout)
    classes = checks.integer("classes", classes, 1)
    init = ("normal", {"std": 0.01})
    return net.output(blocks.linear(net, "classifier.1", h, last.channels, classes, init=init))


def features(
    net: Builder,
    x: Stage,
    *,
    width: float = 1.0,
    output_stride: int = 32,
    name: str = "features",
) -> list[Stage]:
    """All that lies before the classifier: ``name.0`` to ``name.18``, in this order."""
    width = checks.positive("width", width)
    dilated = blocks.Dilated(output_stride)
    filters = blocks.divisible(FIRST * width)
    h = blocks.conv_norm_act(
        net, f"{name}.0", x.value, x.channels, filters, 3, stride=dilated.step(2).stride, **USUAL
    )
    stages = [Stage(h, filters)]
    for expansion, channels, units, first in SETTINGS:
        for j in range(units):
            stride = first if j == 0 else 1
            filters = blocks.divisible(channels * width)
            unit = f"{name}.{len(stages)}"
            stages.append(
                inverted_residual(
                    net, unit, stages[-1], filters, expansion, stride, dilated.step(stride)
                )
            )
    before, filters = stages[-1], blocks.divisible(LAST * max(1.0, width))
    last = f"{name}.{len(stages)}"
    h = blocks.conv_norm_act(net, last, before.value, before.channels, filters, 1, **USUAL)
    return [*stages, Stage(h, filters)]


def inverted_residual(
    net: Builder, name: str, x: Stage, filters: int, expansion: int, stride: int, step: Step
) -> Stage:
    """1 x 1 (where it expands), 3 x 3 of each channel, 1 x 1: ``name.conv.0`` ...; x is added
    where it has the same channels, and the network that is not dilated the same size."""
    h, channels, number = x.value, expansion * x.channels, 0
    if expansion != 1:
        h = blocks.conv_norm_act(net, f"{name}.conv.0", h, x.channels, channels, 1, **USUAL)
        number = 1
    h = blocks.conv_norm_act(
        net, f"{name}.conv.{number}", h, channels, channels, 3,
        stride=step.stride, dilation=step.before, groups=channels, **USUAL,
    )  # fmt: skip
    h = blocks.conv(
        net, f"{name}.conv.{number + 1}", h, channels, filters, 1, init=INIT,
        norm="batch_norm", norm_name=f"{name}.conv.{number + 2}",
    )  # fmt: skip
    if stride == 1 and x.channels == filters:
        h = net.add(add, x.value, h, name=f"{name}.add")
    return Stage(h, filters)
