"""Lite R-ASPP (Howard et al., "Searching for MobileNetV3", 2019, section 6.4), as torchvision has
it.

::

    x > MobileNetV3 (stride 16) > 1 x 1 ---------------> times > to low's size > 1 x 1 > plus > to
                                > mean > 1 x 1 > sigmoid                                      x's
        (stride 8) low ---------------------------------------------------------> 1 x 1       size

The paper's mean is over 49 x 49 pixels, 16 x 20 apart, for images of one size; torchvision's is
over the whole image.
"""

from __future__ import annotations

from numseg import checks
from numseg.graph import Builder, Graph, Value
from numseg.nets import blocks
from numseg.nets.backbones import mobilenet_v3
from numseg.nets.blocks import Stage
from numseg.nets.fcn_resnet import TORCH, upsampled
from numseg.ops.add import add
from numseg.ops.global_avg_pool2d import global_avg_pool2d
from numseg.ops.multiply import multiply
from numseg.ops.upsample_bilinear2d import upsample_bilinear2d


def lraspp_mobilenet_v3_large(
    in_channels: int = 3, classes: int = 21, *, width: float = 1.0
) -> Graph:
    """LR-ASPP on a dilated MobileNetV3-Large; the defaults are torchvision's network.

    Parameters
    ----------
    in_channels, classes : int
        Channels of the image and of the output, whose values are logits.
    width : float
        Multiplier of all channels.

    Returns
    -------
    Graph
        With one input ``x``, (N, in_channels, H, W) of any size, and an output ``out``, (N,
        classes, H, W). Parameters have torchvision's names: ``backbone.0.0.weight``,
        ``classifier.cbr.0.weight``.

    Notes
    -----
    Gates, the backbone's and the head's, multiply features by what a mean over the image gives:
    each pixel of the output reads the whole image. Where that is a multiple of 16, from 32 on, its
    receptive field is 659 rows and columns larger, for layers read beyond the borders.

    Source: arXiv 1905.02244; torchvision 0.28, ``models.segmentation.lraspp_mobilenet_v3_large``.

    Examples
    --------
    >>> import numseg as ns
    >>> graph = ns.nets.lraspp_mobilenet_v3_large()
    >>> graph.shapes((1, 3, 65, 97))["classifier.low_classifier"]
    (1, 21, 9, 13)
    """
    net = Graph.build()
    x = blocks.image(net, in_channels)
    stages = mobilenet_v3.features(
        net, Stage(x, in_channels), width=width, output_stride=16, name="backbone"
    )
    inner = max(1, round(128 * width))
    return upsampled(
        net, x, {"out": head(net, "classifier", stages[4], stages[-1], classes, inner)}
    )


def head(net: Builder, name: str, low: Stage, high: Stage, classes: int, width: int = 128) -> Value:
    """Scores of the size of ``low``."""
    classes = checks.integer("classes", classes, 1)
    h = blocks.conv_norm_act(net, f"{name}.cbr", high.value, high.channels, width, 1, **TORCH)
    s = net.add(global_avg_pool2d, high.value, name=f"{name}.scale.0")
    s = blocks.conv(
        net, f"{name}.scale.1", s, high.channels, width, 1, bias=False,
        activation="sigmoid", activation_name=f"{name}.scale.2", **TORCH,
    )  # fmt: skip
    h = net.add(multiply, h, s, name=f"{name}.scale")
    h = net.add(upsample_bilinear2d, h, low.value.size, name=f"{name}.size")
    scores = (
        blocks.conv(net, f"{name}.{which}", of, channels, classes, 1, bias="torch_uniform", **TORCH)
        for which, of, channels in (
            ("low_classifier", low.value, low.channels),
            ("high_classifier", h, width),
        )
    )
    return net.add(add, *scores, name=f"{name}.add")
