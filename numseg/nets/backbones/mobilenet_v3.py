"""MobileNetV3-Large (Howard, Sandler, Chu, Chen, Chen, Tan, Wang, Zhu, Pang, Vasudevan, Le and
Adam, "Searching for MobileNetV3", 2019).

::

    conv 3 x 3 /2, 16 > 15 inverted residuals (SETTINGS, the paper's table 1) > conv 1 x 1, 960
    > mean > linear, 1280 > linear

An inverted residual is MobileNetV2's; some squeeze and excite between the depthwise and the last
convolution.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from numseg import checks
from numseg.errors import ArgumentError, shown
from numseg.graph import Builder, Graph
from numseg.nets import blocks
from numseg.nets.blocks import Stage
from numseg.ops.add import add


class Setting(NamedTuple):
    """An inverted residual."""

    kernel: int
    expanded: int
    channels: int
    squeeze: bool
    activation: str
    stride: int


SETTINGS = (
    Setting(3, 16, 16, False, "relu", 1),
    Setting(3, 64, 24, False, "relu", 2),
    Setting(3, 72, 24, False, "relu", 1),
    Setting(5, 72, 40, True, "relu", 2),
    Setting(5, 120, 40, True, "relu", 1),
    Setting(5, 120, 40, True, "relu", 1),
    Setting(3, 240, 80, False, "hard_swish", 2),
    Setting(3, 200, 80, False, "hard_swish", 1),
    Setting(3, 184, 80, False, "hard_swish", 1),
    Setting(3, 184, 80, False, "hard_swish", 1),
    Setting(3, 480, 112, True, "hard_swish", 1),
    Setting(3, 672, 112, True, "hard_swish", 1),
    Setting(5, 672, 160, True, "hard_swish", 2),
    Setting(5, 960, 160, True, "hard_swish", 1),
    Setting(5, 960, 160, True, "hard_swish", 1),
)
FIRST, LAST = 16, 1280
DILATED = range(12, 15)
"""The last stage, in which torchvision's dilated network has dilations for its stride."""

INIT = ("kaiming_normal", {"mode": "fan_out"})
USUAL: dict[str, Any] = {"norm": ("batch_norm", {"eps": 1e-3, "momentum": 0.01}), "init": INIT}


def mobilenet_v3_large(
    in_channels: int = 3,
    classes: int = 1000,
    *,
    width: float = 1.0,
    output_stride: int = 32,
    dropout: float = 0.2,
) -> Graph:
    """MobileNetV3-Large; by default torchvision's classifier.

    Parameters
    ----------
    in_channels, classes : int
        Channels of the image, and logits.
    width : float
        The paper's multiplier of all channels, which are rounded to multiples of 8.
    output_stride : {32, 16}
        Of the features. 16 is torchvision's ``dilated=True``: all depthwise convolutions of the
        last stage are dilated by 2, the one that has lost its stride too (which, by the rule of
        :func:`resnet50`, would not be).
    dropout : float
        Probability before the last layer.

    Returns
    -------
    Graph
        With one input ``x``, (N, in_channels, H, W) of any size, and an output (N, classes).
        Parameters and nodes have torchvision's names: ``features.4.block.2.fc1.weight``.

    Notes
    -----
    Source: arXiv 1905.02244; torchvision 0.28, ``models.mobilenet_v3_large``.

    Examples
    --------
    >>> import numseg as ns
    >>> ns.nets.mobilenet_v3_large().shapes((1, 3, 224, 224))["features.16.2"]
    (1, 960, 7, 7)
    """
    net = Graph.build()
    x = Stage(blocks.image(net, in_channels), in_channels)
    *_, last = features(net, x, width=width, output_stride=output_stride)
    hidden, init = blocks.divisible(LAST * width), ("normal", {"std": 0.01})
    h = blocks.linear(
        net, "classifier.0", blocks.means(net, last.value), last.channels, hidden, init=init,
        activation="hard_swish", activation_name="classifier.1",
    )  # fmt: skip
    h = blocks.dropout(net, "classifier.2", h, dropout)
    classes = checks.integer("classes", classes, 1)
    return net.output(blocks.linear(net, "classifier.3", h, hidden, classes, init=init))


def features(
    net: Builder,
    x: Stage,
    *,
    width: float = 1.0,
    output_stride: int = 32,
    name: str = "features",
) -> list[Stage]:
    """All that lies before the classifier: ``name.0`` to ``name.16``, in this order."""
    width = checks.positive("width", width)
    if output_stride not in (16, 32):
        raise ArgumentError(f"output_stride must be 16 or 32, got {shown(output_stride)}")

    def wide(channels: int) -> int:
        return blocks.divisible(channels * width)

    h = blocks.conv_norm_act(
        net, f"{name}.0", x.value, x.channels, wide(FIRST), 3, stride=2,
        activation="hard_swish", **USUAL,
    )  # fmt: skip
    stages = [Stage(h, wide(FIRST))]
    for j, setting in enumerate(SETTINGS):
        scaled = setting._replace(expanded=wide(setting.expanded), channels=wide(setting.channels))
        dilation = 2 if output_stride == 16 and j in DILATED else 1
        stages.append(inverted_residual(net, f"{name}.{j + 1}", stages[-1], scaled, dilation))
    before = stages[-1]
    h = blocks.conv_norm_act(
        net, f"{name}.{len(stages)}", before.value, before.channels, 6 * before.channels, 1,
        activation="hard_swish", **USUAL,
    )  # fmt: skip
    return [*stages, Stage(h, 6 * before.channels)]


def inverted_residual(
    net: Builder, name: str, x: Stage, setting: Setting, dilation: int = 1
) -> Stage:
    """1 x 1 (where it expands), depthwise, squeeze and excitation (where there is any), 1 x 1:
    ``name.block.0`` ...; x is added where it has the same shape."""
    kernel, expanded, channels, squeeze, activation, stride = setting
    h, names = x.value, iter(f"{name}.block.{j}" for j in range(4))
    if expanded != x.channels:
        h = blocks.conv_norm_act(
            net, next(names), h, x.channels, expanded, 1, activation=activation, **USUAL
        )
    h = blocks.conv_norm_act(
        net, next(names), h, expanded, expanded, kernel, stride=1 if dilation > 1 else stride,
        dilation=dilation, groups=expanded, activation=activation, **USUAL,
    )  # fmt: skip
    if squeeze:
        h = blocks.squeeze_excitation(
            net, next(names), h, expanded, blocks.divisible(expanded // 4),
            scale_activation="hard_sigmoid", init=INIT,
        )  # fmt: skip
    h = blocks.conv_norm_act(net, next(names), h, expanded, channels, 1, activation=None, **USUAL)
    if stride == 1 and x.channels == channels:
        h = net.add(add, h, x.value, name=f"{name}.add")
    return Stage(h, channels)
