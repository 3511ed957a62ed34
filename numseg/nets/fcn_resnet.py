"""FCN on ResNet, as torchvision has it: a dilated ResNet, a head, and interpolation.

::

    x > backbone (stride 8) > layer4 > classifier      > to the size of x > out
                              layer3 > aux_classifier  > to the size of x > aux

The fully convolutional network of Long, Shelhamer and Darrell (2015) adds scores of several layers
instead; torchvision's keeps its name and its idea, a classifier of every pixel.
"""

from __future__ import annotations

from typing import Any

from numseg import checks
from numseg.graph import Builder, Graph, Value
from numseg.nets import blocks
from numseg.nets.backbones import resnet
from numseg.nets.blocks import Stage
from numseg.ops.upsample_bilinear2d import upsample_bilinear2d

TORCH: dict[str, Any] = {"init": "torch_uniform"}
"""What torch.nn.Conv2d starts its weight with; its bias starts alike."""


def fcn_resnet50(
    in_channels: int = 3,
    classes: int = 21,
    *,
    aux: bool = False,
    width: int = 64,
    output_stride: int = 8,
    dropout: float = 0.1,
) -> Graph:
    """FCN on ResNet-50; the defaults are torchvision's network.

    Parameters
    ----------
    in_channels, classes : int
        Channels of the image and of the output, whose values are logits.
    aux : bool
        A second output ``aux``: logits of a head on ``layer3``, whose loss helps in training
        (torchvision adds half of it). ``graph.at("out")`` is the network without.
    width : int
        Channels of the first convolution. All other widths are in proportion.
    output_stride : {32, 16, 8, 4}
        Of the backbone: :func:`numseg.nets.resnet50`.
    dropout : float
        Probability in the heads.

    Returns
    -------
    Graph
        With one input ``x``, (N, in_channels, H, W) of any size, and an output ``out``, (N,
        classes, H, W), and ``aux`` alike. Parameters have torchvision's names:
        ``backbone.layer1.0.conv1.weight``, ``classifier.4.bias``, ``aux_classifier.0.weight``.

    Notes
    -----
    Source: torchvision 0.28, ``models.segmentation.fcn_resnet50``.

    Examples
    --------
    >>> import numseg as ns
    >>> graph = ns.nets.fcn_resnet50(aux=True)
    >>> [graph.shapes((1, 3, 65, 97))[name] for name in ("classifier.4", "out", "aux")]
    [(1, 21, 9, 13), (1, 21, 65, 97), (1, 21, 65, 97)]
    """
    return _fcn(resnet.UNITS[50], in_channels, classes, aux, width, output_stride, dropout)


def fcn_resnet101(
    in_channels: int = 3,
    classes: int = 21,
    *,
    aux: bool = False,
    width: int = 64,
    output_stride: int = 8,
    dropout: float = 0.1,
) -> Graph:
    """FCN on ResNet-101; the arguments are those of :func:`fcn_resnet50`."""
    return _fcn(resnet.UNITS[101], in_channels, classes, aux, width, output_stride, dropout)


def _fcn(
    units: tuple[int, ...],
    in_channels: int,
    classes: int,
    aux: bool,
    width: int,
    output_stride: int,
    dropout: float,
) -> Graph:
    net = Graph.build()
    x = blocks.image(net, in_channels)
    stages = resnet.features(
        net, Stage(x, in_channels), resnet.bottleneck(), units,
        width=width, output_stride=output_stride, prefix="backbone.",
    )  # fmt: skip

    def scores(name: str, stage: str) -> Value:
        return fcn_head(net, name, stages[stage], classes, dropout)

    outputs = {"out": scores("classifier", "layer4")}
    if checks.flag("aux", aux):
        outputs["aux"] = scores("aux_classifier", "layer3")
    return upsampled(net, x, outputs)


def fcn_head(net: Builder, name: str, x: Stage, classes: int, dropout: float = 0.1) -> Value:
    """3 x 3 to a quarter of the channels, dropout, and 1 x 1: ``name.0`` to ``name.4``."""
    classes = checks.integer("classes", classes, 1)
    channels = x.channels // 4
    h = blocks.conv_norm_act(net, name, x.value, x.channels, channels, 3, **TORCH)
    h = blocks.dropout(net, f"{name}.3", h, dropout)
    return blocks.conv(net, f"{name}.4", h, channels, classes, 1, bias="torch_uniform", **TORCH)


def upsampled(net: Builder, x: Value, scores: dict[str, Value]) -> Graph:
    """The graph whose outputs are the scores, by their names, interpolated to the image's size."""
    return net.output(
        *(net.add(upsample_bilinear2d, h, x.size, name=name) for name, h in scores.items())
    )
