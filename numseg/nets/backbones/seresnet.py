"""SE-ResNet-50 (Hu, Shen, Albanie, Sun and Wu, "Squeeze-and-Excitation Networks", 2017): a
ResNet-50 in which each residual's channels are scaled by what their means decide."""

from __future__ import annotations

from numseg import checks
from numseg.graph import Builder, Graph, Value
from numseg.nets import blocks
from numseg.nets.backbones import resnet
from numseg.nets.blocks import Stage


def se_resnet50(
    in_channels: int = 3,
    classes: int = 1000,
    *,
    width: int = 64,
    reduction: int = 16,
    output_stride: int = 32,
    variant: str = "torchvision",
) -> Graph:
    """SE-ResNet-50.

    Parameters
    ----------
    in_channels, classes, width, output_stride
        Of :func:`resnet50`.
    reduction : int
        How many times fewer numbers decide than there are channels.
    variant : {"torchvision", "paper"}
        Of the ResNet; the paper's has its strides on the first 1 x 1 convolutions.

    Returns
    -------
    Graph
        As of :func:`resnet50`, and in each unit ``layer1.0.se.fc1`` and ``fc2``, 1 x 1
        convolutions with biases.

    Notes
    -----
    Source: arXiv 1709.01507, table 1. torchvision has no such network.

    Examples
    --------
    >>> import numseg as ns
    >>> ns.nets.se_resnet50().summary((1, 3, 224, 224)).parameters
    28088024
    """
    reduction = checks.integer("reduction", reduction, 1)

    def scale(net: Builder, name: str, x: Stage) -> Value:
        squeezed = max(1, x.channels // reduction)
        return blocks.squeeze_excitation(net, f"{name}.se", x.value, x.channels, squeezed)

    return resnet.classifier(
        resnet.bottleneck(variant, scale=scale), resnet.UNITS[50], in_channels, classes,
        width=width, output_stride=output_stride,
    )  # fmt: skip
