"""DeepLab v3 (Chen, Papandreou, Schroff and Adam, "Rethinking Atrous Convolution for Semantic
Image Segmentation", 2017).

::

                         > 1 x 1
                         > 3 x 3, rate r1
    x > dilated backbone > 3 x 3, rate r2      > concat > 1 x 1 (> 3 x 3) > 1 x 1 > to x's size
                         > 3 x 3, rate r3
                         > mean of the image > 1 x 1

The 3 x 3 convolution after the pyramid and the dropout are torchvision's; multi-grid, dilations
(1, 2, 4) within the backbone's last layer, is the paper's.
"""

from __future__ import annotations

from collections.abc import Sequence

from numseg import checks
from numseg.graph import Builder, Graph, Value
from numseg.nets import blocks
from numseg.nets.backbones import mobilenet_v3, resnet
from numseg.nets.blocks import Stage
from numseg.nets.fcn_resnet import TORCH, fcn_head, upsampled
from numseg.ops.concat import concat
from numseg.ops.global_avg_pool2d import global_avg_pool2d
from numseg.ops.upsample_bilinear2d import upsample_bilinear2d

RATES = (6, 12, 18)
"""Of the pyramid at output stride 16; they double as the stride halves."""


def deeplabv3_resnet50(
    in_channels: int = 3,
    classes: int = 21,
    *,
    aux: bool = False,
    width: int = 64,
    output_stride: int | None = None,
    rates: Sequence[int] | None = None,
    multi_grid: Sequence[int] | None = None,
    variant: str = "torchvision",
    dropout: float | None = None,
) -> Graph:
    """DeepLab v3 on ResNet-50.

    Parameters
    ----------
    in_channels, classes : int
        Channels of the image and of the output, whose values are logits.
    aux : bool
        A second output ``aux``: logits of an FCN's head on ``layer3``, whose loss helps in training
        (torchvision adds half of it). ``graph.at("out")`` is the network without.
    width : int
        Channels of the first convolution. All other widths are in proportion.
    output_stride : {16, 8, 4, 32}, optional
        Of the backbone: 8 in torchvision, 16 in the paper, which also evaluates at 8.
    rates : sequence of int, optional
        Dilations of the pyramid. By default 6, 12, 18 at output stride 16, twice that at 8.
    multi_grid : sequence of int, optional
        Factors of the dilations in ``layer4``: (1, 2, 4) in the paper, none in torchvision.
    variant : {"torchvision", "paper"}
        See the notes.
    dropout : float, optional
        Probability after the pyramid (0.5 in torchvision, 0 in the paper), and in the auxiliary
        head (0.1).

    Returns
    -------
    Graph
        With one input ``x``, (N, in_channels, H, W) of any size, and an output ``out``, (N,
        classes, H, W), and ``aux`` alike. Parameters have torchvision's names:
        ``classifier.0.convs.1.0.weight``. In training a batch has two images at least: the norm
        after the image's mean sees one number of each.

    Notes
    -----
    "paper" differs from "torchvision" in the output stride, the multi-grid, strides on the first
    1 x 1 convolution of a bottleneck, and in that logits follow the pyramid's projection at once.

    Source: arXiv 1706.05587, sections 3.2, 3.3 and 4; torchvision 0.28,
    ``models.segmentation.deeplabv3_resnet50``.

    Examples
    --------
    >>> import numseg as ns
    >>> graph = ns.nets.deeplabv3_resnet50(variant="paper")
    >>> graph.shapes((1, 3, 513, 513))["classifier.0.project.2"]
    (1, 256, 33, 33)
    """
    return _deeplab(
        resnet.UNITS[50], in_channels, classes, aux, width, output_stride, rates, multi_grid,
        variant, dropout,
    )  # fmt: skip


def deeplabv3_resnet101(
    in_channels: int = 3,
    classes: int = 21,
    *,
    aux: bool = False,
    width: int = 64,
    output_stride: int | None = None,
    rates: Sequence[int] | None = None,
    multi_grid: Sequence[int] | None = None,
    variant: str = "torchvision",
    dropout: float | None = None,
) -> Graph:
    """DeepLab v3 on ResNet-101; the arguments are those of :func:`deeplabv3_resnet50`."""
    return _deeplab(
        resnet.UNITS[101], in_channels, classes, aux, width, output_stride, rates, multi_grid,
        variant, dropout,
    )  # fmt: skip


def deeplabv3_mobilenet_v3_large(
    in_channels: int = 3,
    classes: int = 21,
    *,
    aux: bool = False,
    width: float = 1.0,
    rates: Sequence[int] = (12, 24, 36),
    dropout: float | None = None,
) -> Graph:
    """DeepLab v3 on a dilated MobileNetV3-Large (output stride 16), torchvision's network.

    Parameters
    ----------
    width : float
        Multiplier of all channels.
    in_channels, classes, aux, rates, dropout
        Of :func:`deeplabv3_resnet50`. The auxiliary head is on ``backbone.4``, at stride 8.

    Returns
    -------
    Graph
        As of :func:`deeplabv3_resnet50`; the backbone's names are ``backbone.0.0.weight`` ...

    Notes
    -----
    Source: torchvision 0.28, ``models.segmentation.deeplabv3_mobilenet_v3_large``.
    """
    net = Graph.build()
    x = blocks.image(net, in_channels)
    stages = mobilenet_v3.features(
        net, Stage(x, in_channels), width=width, output_stride=16, name="backbone"
    )
    inner = max(1, round(256 * width))
    main, side = (0.5, 0.1) if dropout is None else (dropout, dropout)
    outputs = {"out": head(net, "classifier", stages[-1], classes, rates, inner, main)}
    if checks.flag("aux", aux):
        outputs["aux"] = fcn_head(net, "aux_classifier", stages[4], classes, side)
    return upsampled(net, x, outputs)


def _deeplab(
    units: tuple[int, ...],
    in_channels: int,
    classes: int,
    aux: bool,
    width: int,
    output_stride: int | None,
    rates: Sequence[int] | None,
    multi_grid: Sequence[int] | None,
    variant: str,
    dropout: float | None,
) -> Graph:
    paper = checks.choice("variant", variant, ("torchvision", "paper")) == "paper"
    stride = (16 if paper else 8) if output_stride is None else output_stride
    grid = (1, 2, 4) if paper and multi_grid is None else multi_grid
    main, side = (0.0 if paper else 0.5, 0.1) if dropout is None else (dropout, dropout)

    net = Graph.build()
    x = blocks.image(net, in_channels)
    stages = resnet.features(
        net, Stage(x, in_channels), resnet.bottleneck(variant), units,
        width=width, output_stride=stride, multi_grid=grid, prefix="backbone.",
    )  # fmt: skip
    rates = [rate * 16 // stride for rate in RATES] if rates is None else rates
    h = head(net, "classifier", stages["layer4"], classes, rates, 4 * width, main, extra=not paper)
    outputs = {"out": h}
    if checks.flag("aux", aux):
        outputs["aux"] = fcn_head(net, "aux_classifier", stages["layer3"], classes, side)
    return upsampled(net, x, outputs)


def head(
    net: Builder,
    name: str,
    x: Stage,
    classes: int,
    rates: Sequence[int] = (12, 24, 36),
    width: int = 256,
    dropout: float = 0.5,
    extra: bool = True,
) -> Value:
    """The pyramid and a classifier: ``name.0`` to ``name.4``; ``name.1`` is the classifier where
    there is no ``extra`` 3 x 3 convolution."""
    classes = checks.integer("classes", classes, 1)
    h, last = aspp(net, f"{name}.0", x, rates, width, dropout), f"{name}.1"
    if extra:
        last = f"{name}.4"
        h = blocks.conv(
            net, f"{name}.1", h, width, width, 3, 1, norm="batch_norm", norm_name=f"{name}.2",
            activation="relu", activation_name=f"{name}.3", **TORCH,
        )  # fmt: skip
    return blocks.conv(net, last, h, width, classes, 1, bias="torch_uniform", **TORCH)


def aspp(
    net: Builder,
    name: str,
    x: Stage,
    rates: Sequence[int] = (12, 24, 36),
    width: int = 256,
    dropout: float = 0.5,
) -> Value:
    """Atrous spatial pyramid pooling: branches ``name.convs.0`` ... of ``width`` channels each,
    stacked and projected (``name.project``) to ``width`` channels.

    1 x 1; 3 x 3 of each rate; and the image's mean, the same at every pixel.
    """
    branches = [
        blocks.conv_norm_act(net, f"{name}.convs.0", x.value, x.channels, width, 1, **TORCH)
    ]
    for j, rate in enumerate(rates, 1):
        branch = f"{name}.convs.{j}"
        rate = checks.integer(f"rates[{j - 1}]", rate, 1)
        branches.append(
            blocks.conv_norm_act(net, branch, x.value, x.channels, width, 3, dilation=rate, **TORCH)
        )
    pool = f"{name}.convs.{len(branches)}"
    h = net.add(global_avg_pool2d, x.value, name=f"{pool}.0")
    h = blocks.conv(
        net, f"{pool}.1", h, x.channels, width, 1, norm="batch_norm", norm_name=f"{pool}.2",
        activation="relu", activation_name=f"{pool}.3", **TORCH,
    )  # fmt: skip
    branches.append(net.add(upsample_bilinear2d, h, x.value.size, name=f"{pool}.size"))
    h = net.add(concat, branches, name=f"{name}.concat")
    h = blocks.conv_norm_act(net, f"{name}.project", h, len(branches) * width, width, 1, **TORCH)
    return blocks.dropout(net, f"{name}.project.3", h, dropout)
