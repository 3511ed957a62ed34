"""What Fast R-CNN and its descendants do with regions: pool, classify, correct, cut out.

::

    boxes > the level of each > RoI Align > head > logits of the classes, codes of each class
                                          > mask head > a mask of each class
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from numseg import boxes as boxes_
from numseg.boxes.matching import Sample
from numseg.detectors.images import Target
from numseg.detectors.proposals import finite
from numseg.detectors.terms import codes_loss, softmax_loss
from numseg.graph import Builder, Value
from numseg.ops.concat import concat
from numseg.ops.decode_boxes import decode_boxes
from numseg.ops.encode_boxes import encode_boxes
from numseg.ops.roi_align import roi_align
from numseg.ops.sigmoid import sigmoid
from numseg.ops.softmax import softmax
from numseg.typing import Array

# -- where regions are pooled -----------------------------------------------------------------


class Rois(NamedTuple):
    """Regions of the images of a batch, as the inputs of a head."""

    levels: list[Array]
    """Of each level (K, 5): index of the image, x1, y1, x2, y2."""
    order: Array
    """Row k of a head's output belongs to region ``order[k]`` of all images' regions in a row."""

    def sorted(self, rows: Array) -> Array:
        """Numbers of regions in their order, as the head has them."""
        return rows[self.order]

    def unsorted(self, rows: Array) -> Array:
        """What the head gave, in the order of the regions."""
        found = np.empty_like(rows)
        found[self.order] = rows
        return found


@dataclasses.dataclass(frozen=True)
class Levels:
    """Which map of a pyramid a region is pooled from: the larger it is, the coarser.

    A region of area a goes to the level ``floor(canonical_level + log2(sqrt(a) / canonical_scale) +
    eps)``, of those that there are; level k has a stride of 2^k.

    Source: Lin et al., "Feature Pyramid Networks", 2016, equation 1; torchvision 0.28,
    ``ops.poolers``, which infers the strides from sizes without padding, and is wrong where padding
    makes an image more than 1.41 times as high.
    """

    strides: Sequence[int] = (4, 8, 16, 32)
    canonical_scale: float = 224
    canonical_level: int = 4
    eps: float = 1e-6

    def of(self, boxes: Array) -> Array:
        """The number of the map that each box is pooled from."""
        first, last = (int(np.log2(self.strides[end])) for end in (0, -1))
        side = np.sqrt(boxes_.area(boxes))
        with np.errstate(divide="ignore"):  # boxes without area are on the finest level
            level = np.floor(
                self.canonical_level
                + np.log2(side / boxes.dtype.type(self.canonical_scale))
                + boxes.dtype.type(self.eps)
            )
        return np.clip(level, first, last).astype(np.int64) - first

    def rois(self, boxes: Sequence[Array]) -> Rois:
        """The boxes of each image, level by level."""
        every = np.concatenate(boxes)
        image = np.repeat(np.arange(len(boxes)), [len(one) for one in boxes])
        rois = np.concatenate([image[:, None].astype(every.dtype), every], 1)
        level = self.of(every)
        some = [np.flatnonzero(level == number) for number in range(len(self.strides))]
        return Rois([rois[index] for index in some], np.concatenate(some))

    def pooled(self, net: Builder, name: str, output_size: int, sampling_ratio: int = 2) -> Value:
        """RoI Align of every level, (K, C, output_size, output_size) together. The graph takes
        the maps, ``features.0`` and so on, and then the regions, ``rois.0`` and so on."""
        maps = [net.input(f"features.{number}") for number in range(len(self.strides))]
        rois = [net.input(f"rois.{number}") for number in range(len(self.strides))]
        parts = [
            net.add(
                roi_align, x, boxes, output_size,
                spatial_scale=1 / stride, sampling_ratio=sampling_ratio, name=f"{name}.{number}",
            )
            for number, (x, boxes, stride) in enumerate(
                zip(maps, rois, self.strides, strict=True)
            )
        ]  # fmt: skip
        if len(parts) == 1:
            return parts[0]
        return net.add(concat, tuple(parts), 0, name=name)


# -- boxes ------------------------------------------------------------------------------------


class Regions(NamedTuple):
    """The regions of an image that a step learns from."""

    boxes: Array
    """(S, 4)."""
    labels: Array
    """(S,), 0 where it is background."""
    objects: Array
    """(S,), the number of the object, -1 where it is background."""
    truth: Array
    """(P, 4), the boxes of the objects of those that are none."""


class Found(NamedTuple):
    """What is found in an image, the highest score first."""

    boxes: Array
    scores: Array
    labels: Array
    masks: Array | None = None
    """(K, M, M), the probability of each pixel of the box."""


@dataclasses.dataclass(frozen=True)
class BoxHead:
    """Classes and corrected boxes of regions.

    Source: Girshick, "Fast R-CNN", 2015; torchvision 0.28, ``models.detection.roi_heads.RoIHeads``.
    """

    fg_iou_thresh: float = 0.5
    bg_iou_thresh: float = 0.5
    batch_size_per_image: int = 512
    positive_fraction: float = 0.25
    bbox_reg_weights: Sequence[float] = (10.0, 10.0, 5.0, 5.0)
    score_thresh: float = 0.05
    nms_thresh: float = 0.5
    detections_per_img: int = 100
    min_size: float = 1e-2
    beta: float = 1 / 9
    """Of smooth L1."""

    def match(self, boxes: Array, target: Target) -> Array:
        """Of each region the number of its object, -1 or -2 (:func:`numseg.boxes.match`)."""
        quality = boxes_.iou(target.boxes, boxes, zero_area="zero")
        return boxes_.match(quality, self.fg_iou_thresh, self.bg_iou_thresh)

    def sample(self, matches: Array, words: Sequence[int]) -> Sample:
        """The regions that a step learns from."""
        return boxes_.sample(matches, self.batch_size_per_image, self.positive_fraction, seed=words)

    @staticmethod
    def chosen(boxes: Array, target: Target, matches: Array, sample: Sample) -> Regions:
        """What a step learns of those regions, in the order of their numbers."""
        index = np.sort(np.concatenate([sample.positive, sample.negative]))
        objects = np.where(matches[index] >= 0, matches[index], -1)
        labels = np.zeros(len(index), np.int64)
        labels[objects >= 0] = target.labels[objects[objects >= 0]]
        return Regions(boxes[index], labels, objects, target.boxes[objects[objects >= 0]])

    def losses(
        self, logits: Array, codes: Array, regions: Sequence[Regions]
    ) -> tuple[dict[str, float], tuple[Array, Array]]:
        """``loss_classifier``, the mean cross-entropy of the regions of all images, and
        ``loss_box_reg``, smooth L1 of the codes that those with an object have for its class,
        divided by the number of all regions; and the gradients of logits and codes."""
        labels = np.concatenate([part.labels for part in regions])
        classifier, grad_logits = softmax_loss(logits, labels)
        row = np.flatnonzero(labels > 0)
        boxes = np.concatenate([part.boxes for part in regions])[row]
        truth = np.concatenate([part.truth for part in regions])
        target = encode_boxes(truth, boxes, tuple(self.bbox_reg_weights))
        of_class = codes.reshape(len(codes), codes.shape[1] // 4, 4)
        box, grad_codes = codes_loss(
            of_class, (row, labels[row]), target, beta=self.beta, share=1 / max(len(labels), 1)
        )
        terms = {"loss_classifier": classifier, "loss_box_reg": box}
        return terms, (grad_logits, grad_codes.reshape(codes.shape))

    def detections(
        self, logits: Array, codes: Array, boxes: Sequence[Array], sizes: Sequence[tuple[int, int]]
    ) -> list[Found]:
        """What the head says of the proposals of each image: of every class the boxes whose score
        is larger than ``score_thresh``, without those that a better one covers."""
        finite("class logits", logits)
        finite("box codes", codes)
        probabilities = softmax(logits, 1)
        of_class = codes.reshape(len(codes), codes.shape[1] // 4, 4)
        found, begin = [], 0
        for proposals, size in zip(boxes, sizes, strict=True):
            some = slice(begin, begin := begin + len(proposals))
            row, label = np.nonzero(probabilities[some, 1:] > self.score_thresh)
            scores = probabilities[some, 1:][row, label]
            decoded = decode_boxes(
                of_class[some, 1:][row, label], proposals[row], tuple(self.bbox_reg_weights)
            )
            decoded = boxes_.clip(decoded, size)
            kept = boxes_.remove_small(decoded, self.min_size)
            decoded, scores, label = decoded[kept], scores[kept], label[kept] + 1
            kept = boxes_.batched_nms(
                decoded, scores, label, self.nms_thresh, post_nms_top_n=self.detections_per_img
            )
            found.append(Found(decoded[kept], scores[kept], label[kept]))
        return found


# -- masks ------------------------------------------------------------------------------------


def mask_targets(target: Target, regions: Regions, size: int) -> Array:
    """(P, size, size), the mask of the object of each region that has one, as seen in the
    region's box: RoI Align of zeros and ones."""
    positive = regions.objects >= 0
    if target.masks is None or not positive.any():
        return np.zeros((0, size, size), regions.boxes.dtype)
    rois = np.concatenate(
        [regions.objects[positive, None].astype(regions.boxes.dtype), regions.boxes[positive]], 1
    )
    return roi_align(target.masks[:, None], rois, size)[:, 0]


def mask_probabilities(logits: Array, labels: Array) -> Array:
    """(K, M, M): of each region's class."""
    finite("mask logits", logits)
    return sigmoid(np.ascontiguousarray(logits[np.arange(len(labels)), labels]))
