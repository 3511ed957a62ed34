"""Mask R-CNN on C4 (He, Gkioxari, Dollar and Girshick, "Mask R-CNN", 2017, figure 4, left).

::

    image      ResNet's conv1 ... layer3                        once          1024, stride 16
    map        proposals, as in Faster R-CNN                    once
    proposals  RoI Align, 14 x 14 x 1024                        per region
               layer4 (conv5), 7 x 7 x 2048                     per region
               its mean, then scores and boxes                  per region
    the best   layer4 again, on the boxes that were found
               transposed convolution, 14 x 14 x 256            per detection
               1 x 1, a mask for each class                     per detection    14 x 14 x 80

    loss       Faster R-CNN's, + the binary cross-entropy of the mask of the region's class
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from numseg import boxes, checks
from numseg.data.instances import Detections, Instances
from numseg.detectors import region_proposals as rpn
from numseg.detectors import regions as r
from numseg.detectors.faster_rcnn_vgg import Back, FasterRCNN, Proposing, Run
from numseg.detectors.given_regions import Settings
from numseg.detectors.heads import mask_probabilities
from numseg.detectors.images import dtype_of
from numseg.detectors.terms import masks_loss
from numseg.detectors.vgg_parts import siblings
from numseg.errors import ArgumentError
from numseg.graph import Graph
from numseg.nets import blocks
from numseg.nets.backbones import resnet
from numseg.nets.blocks import Stage, Step
from numseg.ops.roi_align import roi_align
from numseg.typing import Array

STRIDE = 16
MASK = 14
MASK_WIDTH = 256
STEM = ("conv1", "bn1")


@checks.named("mask_rcnn_c4")
def mask_rcnn_c4(
    in_channels: int = 3,
    classes: int = 81,
    *,
    width: int = 64,
    units: Sequence[int] = resnet.UNITS[50],
    variant: str = "torchvision",
    pooled: int = 14,
    sampling_ratio: int = 0,
    aligned: bool = True,
    rpn_width: int | None = None,
    mask_width: int = MASK_WIDTH,
    norm: str = "frozen",
    fixed_layers: int = 2,
    mean: float | Sequence[float] = 0.5,
    std: float | Sequence[float] = 0.25,
    min_size: int | None = 800,
    max_size: int | None = 1333,
    anchors: Mapping[str, Any] | None = None,
    proposals: Mapping[str, Any] | None = None,
    sampling: Mapping[str, Any] | None = None,
    codes: Mapping[str, Any] | None = None,
    finding: Mapping[str, Any] | None = None,
) -> MaskRCNN:
    """Mask R-CNN on the fourth stage of a ResNet.

    Parameters
    ----------
    width : int
        Channels of the first convolution.
    units : four of int
        Units of each layer; (3, 4, 23, 3) is ResNet-101.
    variant : {"torchvision", "paper"}
        Where a bottleneck has its stride.
    pooled : {14, 7}
        Rows and columns that RoI Align gives. 14, as in figure 4 and in detectron2: layer4 has
        its stride of 2. 7, as the text has it: layer4 has stride 1. Either way its map is 7 x 7.
    sampling_ratio, aligned
        Of :data:`numseg.roi_align`; the paper has 4 samples in a bin (2), detectron2 as many as
        there are pixels (0).
    rpn_width, mask_width : int
        Channels of the proposal network (1024: those of the map) and of the mask's layer (256).
    norm : {"frozen", "batch_norm"}
        Norms are constants, as in the paper, whose start is an ImageNet network; or they learn.
    fixed_layers : int
        How many of the stem, layer1, layer2, layer3 training leaves as they are: 2 in detectron2.
    in_channels, classes, mean, std, min_size, max_size
        As in :func:`~numseg.detectors.fast_rcnn`.
    anchors, proposals, sampling, codes, finding
        As in :func:`~numseg.detectors.faster_rcnn_vgg16`. By default five sizes, 32 to 512, not
        rounded; 1000 proposals of an image; boxes are edges.

    Returns
    -------
    MaskRCNN
        Parameters have torchvision's names, ``layer3.0.conv1.weight``, and ``mask_deconv``
        (2,097,408 numbers), ``mask_predictor`` (20,560 for 81 classes). Detections have masks.

    Notes
    -----
    The proposal network is Faster R-CNN's, with a softmax of two for each anchor.

    Source: He et al. 2017, figure 4; detectron2, ``Res5ROIHeads``, ``mask_rcnn_R_50_C4``.
    """
    classes = checks.integer("classes", classes, 2)
    settings = Settings(
        classes,
        r.scaling(in_channels, mean, std, min_size, max_size),
        r.settings(r.Sampling, "sampling", sampling, least=0.0, rounding="down"),
        r.settings(r.Codes, "codes", codes),
        r.settings(r.Finding, "finding", finding, nms_threshold=0.5),
        offset=0,
    )
    proposing = Proposing(
        rpn.anchors(anchors, sizes=(32, 64, 128, 256, 512), rounding="none", variant="caffe"),
        r.settings(rpn.Proposals, "proposals", proposals, post_nms=(2000, 1000), min_size=0),
        STRIDE,
    )
    checks.choice("norm", norm, ("frozen", "batch_norm"))
    count = len(proposing.anchors.sizes) * len(proposing.anchors.ratios)
    layers = checks.integer("fixed_layers", fixed_layers, 0, 4)
    residual, channels = resnet.bottleneck(variant), 16 * checks.integer("width", width, 1)
    rpn_width = channels if rpn_width is None else checks.integer("rpn_width", rpn_width, 1)
    first = trunk(in_channels, width, units, residual)
    last = head(width, units, residual, classes, pooled, sampling_ratio, aligned)
    names = [param.name for graph in (first, last) for param in graph.params]
    return MaskRCNN(
        first,
        rpn.network(channels, rpn_width, count),
        last,
        settings,
        proposing,
        {n for n in names if _fixed(n, layers) or (norm == "frozen" and _of_norm(n))},
        mask=masks(2 * channels, checks.integer("mask_width", mask_width, 1), classes - 1),
        still=norm == "frozen",
    )


# -- the graphs -------------------------------------------------------------------------------


def trunk(in_channels: int, width: int, units: Sequence[int], residual: Any) -> Graph:
    """From the image to the map of layer3."""
    net = Graph.build()
    x = Stage(blocks.image(net, in_channels), in_channels)
    stages = resnet.features(net, x, residual, units, width=width)
    return net.output(stages["layer3"].value, prune=True)


def head(
    width: int, units: Sequence[int], residual: Any, classes: int, pooled: Any,
    sampling_ratio: int, aligned: bool,
) -> Graph:  # fmt: skip
    """From the map and boxes (K, 5) to scores (K, classes), codes without the background's (K, 4
    (classes - 1)), and the map of layer4 (K, 32 * width, 7, 7)."""
    if pooled not in (7, 14):
        raise ArgumentError(f"pooled must be 7 or 14, got {pooled}")
    net = Graph.build()
    h = net.add(
        roi_align, net.input("features"), net.input("boxes"), pooled, 1 / STRIDE,
        sampling_ratio=sampling_ratio, aligned=aligned, name="roi_align",
    )  # fmt: skip
    stage = Stage(h, 16 * width)
    for j in range(units[3]):
        step = Step(pooled // 7 if j == 0 else 1, 1, 1)
        place = resnet.Place(8 * width, step, 1)
        stage = resnet.unit(net, f"layer4.{j}", stage, residual, place)
    vector = Stage(blocks.means(net, stage.value), stage.channels)
    return net.output(*siblings(net, vector, classes, classes - 1), stage.value)


def masks(channels: int, width: int, classes: int) -> Graph:
    """From the map of layer4, of some regions, to a mask for each class: logits."""
    net = Graph.build()
    h = blocks.conv_transpose(
        net, "mask_deconv", net.input("maps"), channels, width, 2, 2,
        activation="relu", activation_name="mask_relu",
    )  # fmt: skip
    last = ("normal", {"std": 0.001})
    return net.output(blocks.conv(net, "mask_predictor", h, width, classes, 1, init=last))


def _fixed(name: str, layers: int) -> bool:
    """Whether a parameter is of the first so many: the stem, layer1, ..."""
    first = ("conv1.", "bn1.", *(f"layer{number}." for number in range(1, layers)))
    return layers > 0 and name.startswith(first)


def _of_norm(name: str) -> bool:
    """Whether a parameter is a norm's."""
    *_, layer, _ = name.split(".")
    return layer.startswith("bn") or ".downsample.1." in name


# -- the detector -----------------------------------------------------------------------------


class MaskRCNN(FasterRCNN):
    """Faster R-CNN whose regions also have masks."""

    def __init__(
        self,
        trunk: Graph,
        network: Graph,
        head: Graph,
        settings: Settings,
        proposing: Proposing,
        frozen: Collection[str],
        *,
        mask: Graph,
        still: bool,
    ) -> None:
        super().__init__(trunk, network, head, settings, proposing, frozen, (mask,))
        self.mask, self.still = mask, still
        self.scoring = self.head.at("cls_score", "bbox_pred")
        self.looking = self.head.at(self.head.outputs[2].source)
        """The part of the head that gives the map of layer4."""

    def _detect(self, params: Mapping[str, Array], image: Array) -> Detections:
        how = self.settings
        x, (size,), (factor,) = r.batch([image], how.scaling, dtype_of(params))
        features, scores, codes = self.maps(params, x)
        regions, _ = self.propose(scores[0], codes[0], size, factor, training=False)
        edges, labels, sure = self.boxes_of(params, features, regions, size)
        found = r.detections(edges, labels, sure, factor, how.offset, image)
        if not len(found):
            none = np.zeros((0, *image.shape[1:]), bool)
            return Detections(found.boxes, found.labels, found.scores, none)
        rows = r.rows_of([edges], x.dtype)
        maps = self.looking.run(self.of(self.looking, params), features, rows)
        logits = self.mask.run(self.of(self.mask, params), maps)
        own = mask_probabilities(logits, labels - 1)
        pasted = boxes.paste_masks(own, found.boxes.astype(own.dtype), image.shape[1:])
        return Detections(found.boxes, found.labels, found.scores, pasted)

    def of_regions(
        self, run: Run, picked: Sequence[r.Chosen], instances: Sequence[Instances]
    ) -> tuple[dict[str, float], Back]:
        """The terms of the regions, those of their masks too, and their gradients."""
        how = self.settings
        rows = r.rows_of([one.boxes for one in picked], run.x.dtype)
        (scores, codes, maps), tape = run.run(self.head, run.features, rows)
        lost = r.joint_loss(scores, codes, picked, how.codes, offset=how.offset)
        which = positive(picked)
        term, mask_back = self._masks(run, maps[which], picked, instances)

        def back(share: float, needs: Collection[str]) -> dict[str, Array]:
            factor = run.x.dtype.type(share)
            found = mask_back(share, needs)
            grad_maps = np.zeros_like(maps)
            grad_maps[which] = found.pop("maps", 0)
            grads_y = lost.grad_scores * factor, lost.grad_codes * factor, grad_maps
            own = r.gradients(self.head, tape, grads_y, needs, *run.features_if(needs))
            return found | own

        return {"classes": lost.classes, "boxes": lost.boxes, "masks": term}, back

    def _masks(
        self,
        run: Run,
        maps: Array,
        picked: Sequence[r.Chosen],
        instances: Sequence[Instances],
    ) -> tuple[float, Back]:
        """The masks' term: the mean over the pixels of the masks of all regions with objects."""
        if not len(maps):
            return 0.0, lambda share, needs: {}
        logits, tape = run.run(self.mask, maps)
        labels = np.concatenate([one.labels[: len(one.objects)] for one in picked])
        wanted = np.concatenate([
            mask_targets(one, own, factor, logits.shape[2:], self.settings.offset)
            for one, own, factor in zip(picked, instances, run.factors, strict=True)
        ]).astype(logits.dtype)  # fmt: skip
        loss, grad = masks_loss(logits, labels - 1, wanted)

        def back(share: float, needs: Collection[str]) -> dict[str, Array]:
            return r.gradients(self.mask, tape, grad * grad.dtype.type(share), needs, "maps")

        return loss, back


def positive(picked: Sequence[r.Chosen]) -> Array:
    """The rows of regions that have an object."""
    starts = np.cumsum([0, *(len(one.boxes) for one in picked)])
    rows = [start + np.arange(len(one.objects)) for start, one in zip(starts, picked, strict=False)]
    return np.concatenate(rows).astype(np.int64)


def mask_targets(
    picked: r.Chosen, instances: Instances, factor: float, size: Sequence[int], offset: int
) -> Array:
    """Of each region with an object the object's mask in it, (P, rows, columns) of bools.

    A pixel of the target is where the mean over it of the object's mask is at least a half.
    """
    count = len(picked.objects)
    if not count:
        return np.zeros((0, *size), bool)
    if instances.masks is None:
        raise ArgumentError("instances have no masks, from which masks could be learned")
    edges = r.outer(picked.boxes[:count], factor, offset)
    rows = np.concatenate([np.arange(count)[:, None], edges], 1)
    masks_of = instances.masks[picked.which][:, None].astype(np.float64)
    return roi_align(masks_of, rows, tuple(size), sampling_ratio=0, aligned=True)[:, 0] >= 0.5
