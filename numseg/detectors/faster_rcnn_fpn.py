"""Faster R-CNN with a feature pyramid, as torchvision has it.

Ren, He, Girshick and Sun, "Faster R-CNN", 2015; Lin et al., "Feature Pyramid Networks for Object
Detection", 2016.

::

    images > normalised, resized, padded to multiples of 32
    ResNet-50 > C2 C3 C4 C5 > pyramid > P2 P3 P4 P5 P6, of 256 channels    strides 4 8 16 32 64
    P2 ... P6 > 3 x 3, relu > 1 x 1: 3 logits; 1 x 1: 12 codes              anchors of 32 to 512
    proposals > RoI Align 7 x 7 of P2 ... P5 > fc6, relu > fc7, relu > classes; 4 codes of each
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numseg import checks
from numseg.detectors.generalized import GeneralizedRCNN
from numseg.detectors.heads import BoxHead, Levels
from numseg.detectors.images import ImageTransform
from numseg.detectors.proposals import RegionProposals, rpn_head
from numseg.graph import Graph
from numseg.nets import blocks
from numseg.nets.backbones import resnet
from numseg.nets.blocks import Stage
from numseg.nets.inputs import NORMALISATIONS
from numseg.nets.pyramid import feature_pyramid
from numseg.ops.batch_norm import batch_norm
from numseg.ops.flatten import flatten

LAYERS = ("layer4", "layer3", "layer2", "layer1", "conv1", "bn1")
"""Of the backbone, in the order in which they learn."""

TORCH: dict[str, Any] = {"init": "torch_uniform", "bias": "torch_uniform"}
"""What torch.nn.Linear starts with."""


def fasterrcnn_resnet50_fpn(
    in_channels: int = 3,
    classes: int = 91,
    *,
    width: int = 64,
    units: Sequence[int] = resnet.UNITS[50],
    fpn_channels: int = 256,
    representation_size: int = 1024,
    trainable_backbone_layers: int = 3,
    norm: str = "frozen",
    norm_eps: float = 1e-5,
    min_size: int | Sequence[int] = 800,
    max_size: int = 1333,
    image_mean: Sequence[float] | None = None,
    image_std: Sequence[float] | None = None,
    size_divisible: int = 32,
    anchor_sizes: Sequence[Sequence[float]] = RegionProposals.anchor_sizes,
    aspect_ratios: Sequence[float] = RegionProposals.aspect_ratios,
    rpn_pre_nms_top_n_train: int = 2000,
    rpn_pre_nms_top_n_test: int = 1000,
    rpn_post_nms_top_n_train: int = 2000,
    rpn_post_nms_top_n_test: int = 1000,
    rpn_nms_thresh: float = 0.7,
    rpn_fg_iou_thresh: float = 0.7,
    rpn_bg_iou_thresh: float = 0.3,
    rpn_batch_size_per_image: int = 256,
    rpn_positive_fraction: float = 0.5,
    rpn_score_thresh: float = 0.0,
    rpn_beta: float = 1 / 9,
    box_output_size: int = 7,
    box_score_thresh: float = 0.05,
    box_nms_thresh: float = 0.5,
    box_detections_per_img: int = 100,
    box_fg_iou_thresh: float = 0.5,
    box_bg_iou_thresh: float = 0.5,
    box_batch_size_per_image: int = 512,
    box_positive_fraction: float = 0.25,
    bbox_reg_weights: Sequence[float] = (10.0, 10.0, 5.0, 5.0),
    box_beta: float = 1 / 9,
    sampling_ratio: int = 2,
    canonical_scale: float = 224,
    canonical_level: int = 4,
) -> GeneralizedRCNN:
    """Faster R-CNN on ResNet-50 with a feature pyramid; the defaults are torchvision's network.

    Parameters
    ----------
    in_channels, classes : int
        Channels of the images, whose colours are in [0, 1]; classes with the background, which is
        class 0.
    width, units
        Of the backbone: channels of the first convolution, bottlenecks of each layer.
    fpn_channels : int
        Of the maps of the pyramid.
    representation_size : int
        Numbers for a region in the box head.
    trainable_backbone_layers : int
        How many of layer4, layer3, layer2, layer1 and conv1 learn: 5 is all. torchvision takes 3
        for a backbone that has learned before, and 5 for one that has not.
    norm : {"frozen", "batch_norm"}
        "frozen": running statistics, scale and shift are constants, as torchvision's
        ``FrozenBatchNorm2d``. "batch_norm": they learn, as torchvision has it without weights.
    norm_eps : float
        0 for torchvision's published ``COCO_V1`` weights.
    min_size, max_size, image_mean, image_std, size_divisible
        Of :class:`~numseg.detectors.images.ImageTransform`. The mean and deviation are ImageNet's
        for three channels, else 0 and 1.
    anchor_sizes, aspect_ratios, rpn_...
        Of :class:`~numseg.detectors.proposals.RegionProposals`.
    box_..., bbox_reg_weights
        Of :class:`~numseg.detectors.heads.BoxHead`; ``box_output_size`` is the side of a region in
        RoI Align.
    sampling_ratio : int
        Of RoI Align.
    canonical_scale, canonical_level
        Of :class:`~numseg.detectors.heads.Levels`.

    Returns
    -------
    GeneralizedRCNN
        A :class:`~numseg.detectors.Detector`. Parameters have torchvision's names.

    Notes
    -----
    Source: torchvision 0.28, ``models.detection.fasterrcnn_resnet50_fpn``.

    Examples
    --------
    >>> from numseg.detectors import fasterrcnn_resnet50_fpn
    >>> detector = fasterrcnn_resnet50_fpn()
    >>> norms = ("bn1", "bn2", "bn3", "downsample.1")
    >>> sum(p.size for p in detector.params if not p.name.rpartition(".")[0].endswith(norms))
    41755286
    """
    levels = Levels(canonical_scale=canonical_scale, canonical_level=canonical_level)
    mean, std = _colours(in_channels, image_mean, image_std)
    proposals = RegionProposals(
        anchor_sizes, aspect_ratios, rpn_fg_iou_thresh, rpn_bg_iou_thresh,
        rpn_batch_size_per_image, rpn_positive_fraction, rpn_pre_nms_top_n_train,
        rpn_pre_nms_top_n_test, rpn_post_nms_top_n_train, rpn_post_nms_top_n_test,
        rpn_nms_thresh, rpn_score_thresh, beta=rpn_beta,
    )  # fmt: skip
    boxes = BoxHead(
        box_fg_iou_thresh, box_bg_iou_thresh, box_batch_size_per_image, box_positive_fraction,
        bbox_reg_weights, box_score_thresh, box_nms_thresh, box_detections_per_img, beta=box_beta,
    )  # fmt: skip
    features = _features(
        in_channels, width, units, fpn_channels, len(proposals.anchor_sizes), proposals.per_place
    )
    frozen = _frozen(features, norm, trainable_backbone_layers)
    if norm == "frozen":
        features = features.using(
            batch_norm, (1, in_channels, 64, 64), training=False, eps=norm_eps
        )
    else:
        features = features.using(batch_norm, (1, in_channels, 64, 64), eps=norm_eps)
    head = box_head(
        levels, fpn_channels, representation_size, classes, box_output_size, sampling_ratio
    )
    return GeneralizedRCNN(
        classes,
        ImageTransform(min_size, max_size, mean, std, size_divisible),
        features,
        proposals,
        levels,
        head,
        boxes,
        frozen=frozen,
    )


def _features(
    in_channels: int,
    width: int,
    units: Sequence[int],
    channels: int,
    maps: int,
    anchors: int,
) -> Graph:
    """The four maps that regions are pooled from, and what the RPN's head says of all maps."""
    net = Graph.build()
    x = Stage(blocks.image(net, in_channels), in_channels)
    stages = resnet.features(
        net, x, resnet.bottleneck(), tuple(units), width=width, prefix="backbone.body."
    )
    layers = [stages[f"layer{number}"] for number in (1, 2, 3, 4)]
    pyramid = feature_pyramid(net, "backbone.fpn", layers, channels)
    checks.integer("anchor_sizes, how many levels", maps, len(pyramid), len(pyramid))
    logits, codes = rpn_head(net, "rpn.head", pyramid, anchors)
    return net.output(*(stage.value for stage in pyramid[:4]), *logits, *codes)


def box_head(
    levels: Levels, channels: int, size: int, classes: int, output_size: int, sampling_ratio: int
) -> Graph:
    """Two linear layers, and what they say of a region."""
    net = Graph.build()
    x = levels.pooled(net, "roi_heads.box_roi_pool", output_size, sampling_ratio)
    h = net.add(flatten, x, name="roi_heads.box_head.flatten")
    inputs = channels * output_size**2
    for number in (6, 7):
        name = f"roi_heads.box_head.fc{number}"
        h = blocks.linear(net, name, h, inputs, size, activation="relu", **TORCH)
        inputs = size
    classes = checks.integer("classes", classes, 2)
    name = "roi_heads.box_predictor"
    logits = blocks.linear(net, f"{name}.cls_score", h, size, classes, **TORCH)
    codes = blocks.linear(net, f"{name}.bbox_pred", h, size, 4 * classes, **TORCH)
    return net.output(logits, codes)


def _frozen(features: Graph, norm: str, trainable_layers: int) -> set[str]:
    """The parameters that training leaves as they are."""
    checks.choice("norm", norm, ("frozen", "batch_norm"))
    count = checks.integer("trainable_backbone_layers", trainable_layers, 0, 5)
    body = "backbone.body."
    learning = tuple(f"{body}{layer}" for layer in LAYERS[: 6 if count == 5 else count])
    names = {param.name for param in features.params if param.name.startswith(body)}
    of_norms = {
        f"{node.name}.{what}"
        for node in features.nodes
        if norm == "frozen" and node.operator is batch_norm
        for what in ("weight", "bias")
    }
    return of_norms | {name for name in names if not name.startswith(learning)}


def _colours(
    channels: int, mean: Sequence[float] | None, std: Sequence[float] | None
) -> tuple[Sequence[float], Sequence[float]]:
    """What images are normalised by."""
    channels = checks.integer("in_channels", channels, 1)
    imagenet = NORMALISATIONS["imagenet"]
    usual = (
        (imagenet.mean, imagenet.std) if channels == 3 else ((0.0,) * channels, (1.0,) * channels)
    )
    found = (
        tuple(mean if mean is not None else usual[0]),
        tuple(std if std is not None else usual[1]),
    )
    for name, numbers in zip(("image_mean", "image_std"), found, strict=True):
        checks.integer(f"{name}, how many", len(numbers), channels, channels)
    return found
