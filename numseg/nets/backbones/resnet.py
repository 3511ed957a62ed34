"""ResNet (He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", 2015).

::

    conv1 7 x 7 /2, maxpool 3 x 3 /2     width channels                 stride  4
    layer1   units of width      planes                                 stride  4
    layer2   units of width * 2  planes, the first at stride 2          stride  8
    layer3   units of width * 4  planes, the first at stride 2          stride 16
    layer4   units of width * 8  planes, the first at stride 2          stride 32
    avgpool, fc

A unit is ``relu(x + f(x))``; ``downsample`` is a projection of x where its shape changes. The
basic block's f is 3 x 3, 3 x 3; the bottleneck's is 1 x 1, 3 x 3, 1 x 1, the last with four times
the planes.

Where ``output_stride`` is less than 32, the last strides are 1 instead, and each convolution
after a stride that is gone is dilated by it, so that it reads the same pixels of the image.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from numseg import checks
from numseg.errors import ArgumentError
from numseg.graph import Builder, Graph, Value
from numseg.nets import blocks
from numseg.nets.blocks import Stage, Step
from numseg.ops.add import add
from numseg.ops.max_pool2d import max_pool2d

INIT = ("kaiming_normal", {"mode": "fan_out"})
UNITS = {
    18: (2, 2, 2, 2), 34: (3, 4, 6, 3),  # of basic blocks
    50: (3, 4, 6, 3), 101: (3, 4, 23, 3),  # of bottlenecks
}  # fmt: skip
"""How many there are in each layer."""

EXPANSION = 4
"""Of a bottleneck: channels that come out, for each plane."""

Residual = Callable[[Builder, str, Stage, "Place"], Stage]
"""Adds the residual f(x) of a unit under its name, up to and without the sum."""


class Place(NamedTuple):
    """What a unit's place in the network asks of it."""

    planes: int
    step: Step
    factor: int
    """Of its dilation: multi-grid."""


# -- the networks -----------------------------------------------------------------------------


def resnet18(in_channels: int = 3, classes: int = 1000, *, width: int = 64) -> Graph:
    """ResNet-18, of basic blocks; the arguments are those of :func:`resnet50`."""
    return classifier(basic(), UNITS[18], in_channels, classes, width=width)


def resnet34(in_channels: int = 3, classes: int = 1000, *, width: int = 64) -> Graph:
    """ResNet-34, of basic blocks; the arguments are those of :func:`resnet50`."""
    return classifier(basic(), UNITS[34], in_channels, classes, width=width)


def resnet50(
    in_channels: int = 3,
    classes: int = 1000,
    *,
    width: int = 64,
    output_stride: int = 32,
    multi_grid: Sequence[int] | None = None,
    variant: str = "torchvision",
) -> Graph:
    """ResNet-50, of bottlenecks; by default torchvision's classifier.

    Parameters
    ----------
    in_channels, classes : int
        Channels of the image, and logits.
    width : int
        Channels of the first convolution.
    output_stride : {32, 16, 8, 4}
        Pixels of the image from one pixel of ``layer4`` to the next. Less than 32: dilated, as
        torchvision's ``replace_stride_with_dilation`` has it.
    multi_grid : sequence of int, optional
        Factors of the dilations of ``layer4``'s units: (1, 2, 4) in DeepLab v3.
    variant : {"torchvision", "paper"}
        Where a bottleneck has its stride: on the 3 x 3 convolution, or on the first 1 x 1.

    Returns
    -------
    Graph
        With one input ``x``, (N, in_channels, H, W) of any size, and an output (N, classes).
        Parameters and nodes have torchvision's names: ``layer1.0.conv1.weight``.

    Notes
    -----
    Source: He et al., 2015; torchvision 0.28, ``models.resnet``.

    Examples
    --------
    >>> import numseg as ns
    >>> ns.nets.resnet50(output_stride=8).shapes((1, 3, 224, 224))["layer4.2.relu"]
    (1, 2048, 28, 28)
    """
    return classifier(
        bottleneck(variant), UNITS[50], in_channels, classes,
        width=width, output_stride=output_stride, multi_grid=multi_grid,
    )  # fmt: skip


def resnet101(
    in_channels: int = 3,
    classes: int = 1000,
    *,
    width: int = 64,
    output_stride: int = 32,
    multi_grid: Sequence[int] | None = None,
    variant: str = "torchvision",
) -> Graph:
    """ResNet-101, of bottlenecks; the arguments are those of :func:`resnet50`."""
    return classifier(
        bottleneck(variant), UNITS[101], in_channels, classes,
        width=width, output_stride=output_stride, multi_grid=multi_grid,
    )  # fmt: skip


def classifier(
    residual: Residual | Sequence[Residual],
    units: Sequence[int],
    in_channels: int,
    classes: int,
    **options: Any,
) -> Graph:
    """The features, their mean and a linear layer; ``options`` are those of :func:`features`."""
    net = Graph.build()
    x = Stage(blocks.image(net, in_channels), in_channels)
    h = features(net, x, residual, units, **options)["layer4"]
    return net.output(head(net, h, classes))


def head(net: Builder, x: Stage, classes: int) -> Value:
    """Mean of each channel, and a linear layer."""
    h = blocks.means(net, x.value)
    classes = checks.integer("classes", classes, 1)
    return blocks.linear(
        net, "fc", h, x.channels, classes, init="torch_uniform", bias="torch_uniform"
    )


# -- the features -----------------------------------------------------------------------------


def features(
    net: Builder,
    x: Stage,
    residual: Residual | Sequence[Residual],
    units: Sequence[int],
    *,
    width: int = 64,
    output_stride: int = 32,
    multi_grid: Sequence[int] | None = None,
    prefix: str = "",
) -> dict[str, Stage]:
    """All that lies before the classifier.

    Parameters
    ----------
    net : Builder
    x : Stage
        The image.
    residual : function, or four of them
        What units are made of, :func:`basic` or :func:`bottleneck`; of all layers, or of each.
    units : sequence of int
        How many, in each of the four layers: (3, 4, 6, 3) in ResNet-50.
    width, output_stride, multi_grid
        Of :func:`resnet50`.
    prefix : str
        Goes before every name: ``"backbone."``.

    Returns
    -------
    dict of Stage
        By torchvision's names: "relu" (stride 2), "maxpool" and "layer1" (4), "layer2" (8),
        "layer3" (16) and "layer4" (32, if not dilated).
    """
    width = checks.integer("width", width, 1)
    stages = {}
    h = blocks.conv(
        net, f"{prefix}conv1", x.value, x.channels, width, 7, 3, stride=2, init=INIT,
        norm="batch_norm", norm_name=f"{prefix}bn1",
        activation="relu", activation_name=f"{prefix}relu",
    )  # fmt: skip
    stages["relu"] = Stage(h, width)
    h = net.add(max_pool2d, h, 3, 2, 1, name=f"{prefix}maxpool")
    stage = stages["maxpool"] = Stage(h, width)
    layers = _places(units, width, output_stride, multi_grid)
    residuals = [residual] * len(layers) if callable(residual) else residual
    for number, (made_of, places) in enumerate(zip(residuals, layers, strict=True), 1):
        for j, place in enumerate(places):
            stage = unit(net, f"{prefix}layer{number}.{j}", stage, made_of, place)
        stages[f"layer{number}"] = stage
    return stages


def _places(
    units: Sequence[int], width: int, output_stride: int, multi_grid: Sequence[int] | None
) -> list[list[Place]]:
    """Of every unit of every layer."""
    grid = [1] * units[-1] if multi_grid is None else list(multi_grid)
    if len(grid) != units[-1]:
        raise ArgumentError(
            f"multi_grid holds {len(grid)} factors, but layer4 has {units[-1]} units"
        )
    factors = [checks.integer(f"multi_grid[{j}]", factor, 1) for j, factor in enumerate(grid)]
    dilated = blocks.Dilated(output_stride)
    dilated.step(2)  # conv1
    dilated.step(2)  # maxpool
    layers = []
    for number, count in enumerate(units):
        steps = [dilated.step(2 if number > 0 and j == 0 else 1) for j in range(count)]
        of_each = factors if number == 3 else [1] * count
        layers.append(
            [Place(width * 2**number, *both) for both in zip(steps, of_each, strict=True)]
        )
    return layers


def unit(net: Builder, name: str, x: Stage, residual: Residual, place: Place) -> Stage:
    """``relu(f(x) + x)``; x is projected by 1 x 1 where its shape is not that of f(x)."""
    h = residual(net, name, x, place)
    identity, stride = x.value, place.step.stride
    if stride != 1 or x.channels != h.channels:
        identity = blocks.conv(
            net, f"{name}.downsample.0", identity, x.channels, h.channels, 1,
            stride=stride, init=INIT, norm="batch_norm", norm_name=f"{name}.downsample.1",
        )  # fmt: skip
    total = net.add(add, h.value, identity, name=f"{name}.add")
    return Stage(blocks.activate(net, f"{name}.relu", total), h.channels)


def layer(
    net: Builder,
    name: str,
    number: int,
    x: Value,
    channels: int,
    filters: int,
    kernel: int = 1,
    *,
    stride: int = 1,
    dilation: int = 1,
    activation: str | None = "relu",
) -> Value:
    """``conv1``, ``bn1`` and ``relu1`` of the unit with this name, or those of another number."""
    return blocks.conv(
        net, f"{name}.conv{number}", x, channels, filters, kernel, kernel // 2 * dilation,
        stride=stride, dilation=dilation, init=INIT,
        norm="batch_norm", norm_name=f"{name}.bn{number}",
        activation=activation, activation_name=f"{name}.relu{number}",
    )  # fmt: skip


def basic() -> Residual:
    """3 x 3, 3 x 3."""
    return _basic


def _basic(net: Builder, name: str, x: Stage, place: Place) -> Stage:
    if place.step.after * place.factor > 1:
        raise ArgumentError("a basic block is not dilated: output_stride must be 32")
    h = layer(net, name, 1, x.value, x.channels, place.planes, 3, stride=place.step.stride)
    h = layer(net, name, 2, h, place.planes, place.planes, 3, activation=None)
    return Stage(h, place.planes)


def bottleneck(
    variant: str = "torchvision", middle: Callable[..., Value] = layer, scale: Any = None
) -> Residual:
    """1 x 1, 3 x 3, 1 x 1.

    Parameters
    ----------
    variant : {"torchvision", "paper"}
        Of :func:`resnet50`.
    middle : function
        Adds the 3 x 3 convolution, as :func:`layer` does; a deformable one, say.
    scale : function, optional
        ``f(net, name, x)`` is what becomes of the residual x: squeeze and excitation.
    """
    checks.choice("variant", variant, ("torchvision", "paper"))
    return functools.partial(_bottleneck, variant == "paper", middle, scale)


def _bottleneck(
    early: bool,
    middle: Callable[..., Value],
    scale: Callable[[Builder, str, Stage], Value] | None,
    net: Builder,
    name: str,
    x: Stage,
    place: Place,
) -> Stage:
    planes, channels = place.planes, EXPANSION * place.planes
    stride, before, after = place.step
    first, second = (stride, 1) if early else (1, stride)
    h = layer(net, name, 1, x.value, x.channels, planes, stride=first)
    dilation = place.factor * (after if early else before)
    h = middle(net, name, 2, h, planes, planes, 3, stride=second, dilation=dilation)
    h = layer(net, name, 3, h, planes, channels, activation=None)
    return Stage(h if scale is None else scale(net, name, Stage(h, channels)), channels)
