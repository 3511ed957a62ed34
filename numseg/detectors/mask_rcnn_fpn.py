"""Mask R-CNN with a feature pyramid, as torchvision has it.

He, Gkioxari, Dollar and Girshick, "Mask R-CNN", 2017, the right side of figure 4: all that Faster
R-CNN has, and of each box that it finds

::

    RoI Align 14 x 14 of P2 ... P5 > 4 of (3 x 3, relu) > 2 x 2 transposed, stride 2, relu > 1 x 1:
    a mask of 28 x 28 for each class
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numseg.detectors.faster_rcnn_fpn import fasterrcnn_resnet50_fpn
from numseg.detectors.generalized import GeneralizedRCNN
from numseg.detectors.heads import Levels
from numseg.graph import Graph
from numseg.nets import blocks

INIT = ("kaiming_normal", {"mode": "fan_out"})


def maskrcnn_resnet50_fpn(
    in_channels: int = 3,
    classes: int = 91,
    *,
    mask_layers: Sequence[int] = (256, 256, 256, 256),
    mask_dim_reduced: int = 256,
    mask_output_size: int = 14,
    mask_threshold: float = 0.5,
    fpn_channels: int = 256,
    sampling_ratio: int = 2,
    **arguments: Any,
) -> GeneralizedRCNN:
    """Mask R-CNN on ResNet-50 with a feature pyramid; the defaults are torchvision's network.

    Parameters
    ----------
    in_channels, classes : int
        Of :func:`fasterrcnn_resnet50_fpn`.
    mask_layers : sequence of int
        Channels of the mask head's convolutions.
    mask_dim_reduced : int
        Of its transposed convolution.
    mask_output_size : int
        The side of a region in RoI Align, half of the mask's.
    mask_threshold : float
        From which probability on a pixel belongs to an object.
    fpn_channels, sampling_ratio, **arguments
        Of :func:`fasterrcnn_resnet50_fpn`.

    Returns
    -------
    GeneralizedRCNN
        A :class:`~numseg.detectors.Detector`. Parameters have torchvision's names.

    Notes
    -----
    Source: torchvision 0.28, ``models.detection.maskrcnn_resnet50_fpn``.
    """
    found = fasterrcnn_resnet50_fpn(
        in_channels, classes, fpn_channels=fpn_channels, sampling_ratio=sampling_ratio, **arguments
    )
    mask = mask_head(
        found.levels, fpn_channels, mask_layers, mask_dim_reduced, classes,
        mask_output_size, sampling_ratio,
    )  # fmt: skip
    return found.with_masks(mask, mask_threshold)


def mask_head(
    levels: Levels,
    channels: int,
    layers: Sequence[int],
    reduced: int,
    classes: int,
    output_size: int,
    sampling_ratio: int,
) -> Graph:
    """The logits of a mask of each class."""
    net = Graph.build()
    h = levels.pooled(net, "roi_heads.mask_roi_pool", output_size, sampling_ratio)
    for number, filters in enumerate(layers):
        h = blocks.conv(
            net, f"roi_heads.mask_head.{number}.0", h, channels, filters, 3, 1,
            init=INIT, activation="relu", activation_name=f"roi_heads.mask_head.{number}.1",
        )  # fmt: skip
        channels = filters
    name = "roi_heads.mask_predictor"
    h = blocks.conv_transpose(
        net, f"{name}.conv5_mask", h, channels, reduced, 2, 2, bias="torch_uniform",
        init=INIT, activation="relu", activation_name=f"{name}.relu",
    )  # fmt: skip
    name = f"{name}.mask_fcn_logits"
    return net.output(
        blocks.conv(net, name, h, reduced, classes, 1, init=INIT, bias="torch_uniform")
    )
