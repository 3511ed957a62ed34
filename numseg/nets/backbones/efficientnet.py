"""EfficientNet-B0 (Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural
Networks", 2019).

::

    conv 3 x 3 /2, 32 > 16 inverted residuals (SETTINGS, the paper's table 1) > conv 1 x 1, 1280
    > mean > linear

An inverted residual is MobileNetV2's, with silu, and squeezes and excites between the depthwise and
the last convolution. The channels that decide are a quarter of those that go into it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg import checks
from numseg.graph import Builder, Graph
from numseg.nets import blocks
from numseg.nets.blocks import Stage
from numseg.ops.add import add
from numseg.typing import Array, Shape

SETTINGS = (
    # expansion, kernel, stride of the first, channels, units
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
FIRST = 32

INIT = ("kaiming_normal", {"mode": "fan_out"})
USUAL: dict[str, Any] = {"activation": "silu", "init": INIT}


def efficientnet_b0(
    in_channels: int = 3,
    classes: int = 1000,
    *,
    width: float = 1.0,
    dropout: float = 0.2,
) -> Graph:
    """EfficientNet-B0; by default torchvision's classifier.

    Parameters
    ----------
    in_channels, classes : int
        Channels of the image, and logits.
    width : float
        The paper's multiplier of all channels, which are rounded to multiples of 8.
    dropout : float
        Probability before the last layer.

    Returns
    -------
    Graph
        With one input ``x``, (N, in_channels, H, W) of any size, and an output (N, classes).
        Parameters and nodes have torchvision's names: ``features.1.0.block.1.fc1.weight``.

    Notes
    -----
    Source: arXiv 1905.11946; torchvision 0.28, ``models.efficientnet_b0``.

    Examples
    --------
    >>> import numseg as ns
    >>> ns.nets.efficientnet_b0().shapes((1, 3, 224, 224))["features.8.2"]
    (1, 1280, 7, 7)
    """
    net = Graph.build()
    x = Stage(blocks.image(net, in_channels), in_channels)
    *_, last = features(net, x, width=width)
    h = blocks.dropout(net, "classifier.0", blocks.means(net, last.value), dropout)
    classes = checks.integer("classes", classes, 1)
    return net.output(blocks.linear(net, "classifier.1", h, last.channels, classes, init=_linear))


def _linear(shape: Shape, rng: np.random.Generator) -> Array:
    """Uniform in ``[-b, b]``, ``b = 1 / sqrt(outputs)``."""
    return rng.uniform(-1, 1, shape) / np.sqrt(shape[0])


def features(net: Builder, x: Stage, *, width: float = 1.0, name: str = "features") -> list[Stage]:
    """All that lies before the classifier: ``name.0`` to ``name.8``, in this order."""
    width = checks.positive("width", width)
    filters = blocks.divisible(FIRST * width)
    h = blocks.conv_norm_act(net, f"{name}.0", x.value, x.channels, filters, 3, stride=2, **USUAL)
    stages = [Stage(h, filters)]
    for number, (expansion, kernel, stride, channels, units) in enumerate(SETTINGS, 1):
        stage, filters = stages[-1], blocks.divisible(channels * width)
        for j in range(units):
            stage = mbconv(
                net, f"{name}.{number}.{j}", stage, filters, expansion, kernel,
                stride if j == 0 else 1,
            )  # fmt: skip
        stages.append(stage)
    before, filters = stages[-1], 4 * stages[-1].channels
    last = f"{name}.{len(stages)}"
    h = blocks.conv_norm_act(net, last, before.value, before.channels, filters, 1, **USUAL)
    return [*stages, Stage(h, filters)]


def mbconv(
    net: Builder, name: str, x: Stage, filters: int, expansion: int, kernel: int, stride: int
) -> Stage:
    """1 x 1 (where it expands), depthwise, squeeze and excitation, 1 x 1: ``name.block.0`` ...;
    x is added where it has the same shape."""
    h, expanded = x.value, blocks.divisible(x.channels * expansion)
    names = iter(f"{name}.block.{j}" for j in range(4))
    if expanded != x.channels:
        h = blocks.conv_norm_act(net, next(names), h, x.channels, expanded, 1, **USUAL)
    h = blocks.conv_norm_act(
        net, next(names), h, expanded, expanded, kernel, stride=stride, groups=expanded, **USUAL
    )
    squeezed = max(1, x.channels // 4)
    h = blocks.squeeze_excitation(
        net, next(names), h, expanded, squeezed, activation="silu", init=INIT
    )
    h = blocks.conv_norm_act(net, next(names), h, expanded, filters, 1, activation=None, init=INIT)
    if stride == 1 and x.channels == filters:
        h = net.add(add, h, x.value, name=f"{name}.add")
    return Stage(h, filters)
