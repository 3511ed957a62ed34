"""ResNet-50 with deformable convolutions (Dai, Qi, Xiong, Li, Zhang, Hu and Wei, "Deformable
Convolutional Networks", 2017; Zhu, Hu, Lin and Dai, "Deformable ConvNets v2", 2018).

In the last layers, each 3 x 3 convolution reads where another one of the same input tells it to::

    x > conv_offset 3 x 3, 18 channels --+
    x ------------------------------> deformable 3 x 3

v2 weighs each sample too, by the sigmoid of ``conv_mask``, 9 channels. Both start at zero: at
first, samples are where those of a convolution are (and in v2 count half, as published).
"""

from __future__ import annotations

import functools

from numseg import checks
from numseg.graph import Builder, Graph, Value, initialiser
from numseg.nets import blocks
from numseg.nets.backbones import resnet
from numseg.ops.deform_conv2d import deform_conv2d


def deformable_resnet50(
    in_channels: int = 3,
    classes: int = 1000,
    *,
    width: int = 64,
    layers: int = 1,
    offset_groups: int = 1,
    modulated: bool = False,
    output_stride: int = 32,
    variant: str = "torchvision",
) -> Graph:
    """A ResNet-50 whose last 3 x 3 convolutions are deformable.

    Parameters
    ----------
    in_channels, classes, width, output_stride, variant
        Of :func:`resnet50`. The paper segments at output stride 16.
    layers : {0, 1, 2, 3, 4}
        In how many layers, from the last: 1 (conv5) in the first paper, 3 (conv3 to conv5) in the
        second.
    offset_groups : int
        Groups of channels that have offsets of their own.
    modulated : bool
        v2: samples are weighed.

    Returns
    -------
    Graph
        As of :func:`resnet50`, and ``layer4.0.conv2.conv_offset`` (and ``conv_mask``), which start
        at zero.

    Notes
    -----
    Source: arXiv 1703.06211, section 3.3; arXiv 1811.11168, section 3. torchvision has the
    operator, :data:`numseg.deform_conv2d`, but no such network.

    Examples
    --------
    >>> import numseg as ns
    >>> graph = ns.nets.deformable_resnet50()
    >>> [p.shape for p in graph.params if p.name == "layer4.0.conv2.conv_offset.weight"]
    [(18, 512, 3, 3)]
    """
    layers = checks.integer("layers", layers, 0, 4)
    groups = checks.integer("offset_groups", offset_groups, 1)
    middle = functools.partial(layer, groups, checks.flag("modulated", modulated))
    plain, deformable = resnet.bottleneck(variant), resnet.bottleneck(variant, middle)
    return resnet.classifier(
        [plain] * (4 - layers) + [deformable] * layers, resnet.UNITS[50], in_channels, classes,
        width=width, output_stride=output_stride,
    )  # fmt: skip


def layer(
    groups: int,
    modulated: bool,
    net: Builder,
    name: str,
    number: int,
    x: Value,
    channels: int,
    filters: int,
    kernel: int,
    *,
    stride: int,
    dilation: int,
) -> Value:
    """As :func:`numseg.nets.backbones.resnet.layer`, for a 3 x 3 convolution with dilation."""
    conv, taps = f"{name}.conv{number}", groups * kernel**2

    def decided(what: str, count: int, activation: str | None = None) -> Value:
        return blocks.conv(
            net, f"{conv}.conv_{what}", x, channels, count, kernel, dilation, bias=True,
            stride=stride, dilation=dilation, init="zeros", activation=activation,
        )  # fmt: skip

    offset = decided("offset", 2 * taps)
    mask = decided("mask", taps, "sigmoid") if modulated else None
    shape = (filters, channels, kernel, kernel)
    weight = net.param(f"{conv}.weight", shape, initialiser(resnet.INIT))
    h = net.add(deform_conv2d, x, offset, weight, None, stride, dilation, dilation, mask, name=conv)
    h = blocks.normalise(net, f"{name}.bn{number}", h, filters)
    return blocks.activate(net, f"{name}.relu{number}", h)
