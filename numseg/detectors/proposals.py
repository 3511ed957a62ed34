"""The region proposal network (Ren et al., "Faster R-CNN", 2015), on one map or a pyramid's.

::

    map > 3 x 3, relu > 1 x 1: A logits, is there an object?
                      > 1 x 1: 4 A codes, where?
    codes and anchors > boxes > the best of each map > clipped, not small > suppression > proposals
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from numseg import boxes as boxes_
from numseg import checks
from numseg.boxes.matching import Sample
from numseg.detectors.images import Batch, Target
from numseg.detectors.terms import codes_loss
from numseg.errors import ArgumentError
from numseg.graph import Builder, Value, initialiser, zeros
from numseg.nets.blocks import Stage
from numseg.ops.binary_cross_entropy_with_logits import binary_cross_entropy_with_logits
from numseg.ops.conv2d import conv2d
from numseg.ops.decode_boxes import decode_boxes
from numseg.ops.encode_boxes import encode_boxes
from numseg.ops.relu import relu
from numseg.ops.sigmoid import sigmoid
from numseg.typing import Array


def rpn_head(
    net: Builder, name: str, maps: Sequence[Stage], anchors: int
) -> tuple[list[Value], list[Value]]:
    """Logits (N, A, H, W) and codes (N, 4 A, H, W) of each map, all by the same weights.

    Parameters are named as in torchvision 0.28: ``name.conv.0.0.weight``,
    ``name.cls_logits.weight``, ``name.bbox_pred.weight``.
    """
    channels = maps[0].channels
    init = initialiser(("normal", {"std": 0.01}))

    def layer(of: str, filters: int, kernel: int) -> Any:
        weight = net.param(f"{name}.{of}.weight", (filters, channels, kernel, kernel), init)
        bias = net.param(f"{name}.{of}.bias", (filters,), zeros)
        return lambda x, level: net.add(
            conv2d, x, weight, bias, padding=kernel // 2, name=f"{name}.{of}.{level}"
        )

    conv = layer("conv.0.0", channels, 3)
    cls_logits, bbox_pred = layer("cls_logits", anchors, 1), layer("bbox_pred", 4 * anchors, 1)
    logits, codes = [], []
    for level, stage in enumerate(maps):
        h = net.add(relu, conv(stage.value, level), name=f"{name}.relu.{level}")
        logits.append(cls_logits(h, level))
        codes.append(bbox_pred(h, level))
    return logits, codes


class Heads(NamedTuple):
    """What the head says of all anchors of all levels, image by image."""

    objectness: Array
    """(N, K)."""
    codes: Array
    """(N, K, 4)."""
    maps: tuple[tuple[int, ...], ...]
    """The shape of each level's logits, (N, A, H, W)."""

    @staticmethod
    def of(logits: Sequence[Array], codes: Sequence[Array]) -> Heads:
        """From the maps of the head."""
        n = logits[0].shape[0]
        flat = [a.transpose(0, 2, 3, 1).reshape(n, -1) for a in logits]
        quadruples = [
            c.reshape(n, -1, 4, *c.shape[2:]).transpose(0, 3, 4, 1, 2).reshape(n, -1, 4)
            for c in codes
        ]
        shapes = tuple(a.shape for a in logits)
        return Heads(np.concatenate(flat, 1), np.concatenate(quadruples, 1), shapes)

    @property
    def levels(self) -> Array:
        """(K,), of each anchor the number of its level."""
        return np.repeat(np.arange(len(self.maps)), self._counts())

    def _counts(self) -> list[int]:
        return [a * h * w for _, a, h, w in self.maps]

    def as_maps(self) -> tuple[list[Array], list[Array]]:
        """Back: what :meth:`of` was given."""
        logits, codes, begin = [], [], 0
        for (n, a, h, w), count in zip(self.maps, self._counts(), strict=True):
            some = slice(begin, begin + count)
            logit = self.objectness[:, some].reshape(n, h, w, a).transpose(0, 3, 1, 2)
            code = self.codes[:, some].reshape(n, h, w, a, 4).transpose(0, 3, 4, 1, 2)
            logits.append(np.ascontiguousarray(logit))
            codes.append(np.ascontiguousarray(code.reshape(n, 4 * a, h, w)))
            begin += count
        return logits, codes


@dataclasses.dataclass(frozen=True)
class RegionProposals:
    """Which boxes may hold an object, and what the network learns from.

    Source: torchvision 0.28, ``models.detection.rpn.RegionProposalNetwork``.
    """

    anchor_sizes: Sequence[Sequence[float]] = ((32,), (64,), (128,), (256,), (512,))
    """Of each level."""
    aspect_ratios: Sequence[float] = (0.5, 1.0, 2.0)
    """Height over width, on every level."""
    fg_iou_thresh: float = 0.7
    bg_iou_thresh: float = 0.3
    batch_size_per_image: int = 256
    positive_fraction: float = 0.5
    pre_nms_top_n_train: int = 2000
    pre_nms_top_n_test: int = 1000
    post_nms_top_n_train: int = 2000
    post_nms_top_n_test: int = 1000
    nms_thresh: float = 0.7
    score_thresh: float = 0.0
    min_size: float = 1e-3
    beta: float = 1 / 9
    """Of smooth L1."""

    def __post_init__(self) -> None:
        sizes = tuple(tuple(level) for level in self.anchor_sizes)
        if not sizes or len({len(level) for level in sizes}) != 1 or not sizes[0]:
            raise ArgumentError(
                f"anchor_sizes is {sizes}, expected equally many for each level, and some"
            )
        object.__setattr__(self, "anchor_sizes", sizes)
        object.__setattr__(self, "aspect_ratios", tuple(self.aspect_ratios))

    @property
    def per_place(self) -> int:
        """Anchors of a place of a map."""
        return len(self.anchor_sizes[0]) * len(self.aspect_ratios)

    def anchors(self, maps: Sequence[tuple[int, ...]], batch: Array) -> Array:
        """(K, 4), the anchors of all levels, given the shapes of the logits and the batch."""
        rows, columns = batch.shape[-2:]
        found = []
        for (_, _, h, w), sizes in zip(maps, self.anchor_sizes, strict=True):
            base = _base(tuple(sizes), tuple(self.aspect_ratios), batch.dtype)
            found.append(boxes_.anchors((h, w), (rows // h, columns // w), base))
        return np.concatenate(found)

    def propose(self, heads: Heads, anchors: Array, batch: Batch, *, training: bool) -> list[Array]:
        """Boxes (P, 4) of each image, the best first."""
        finite("objectness", heads.objectness)
        finite("codes", heads.codes)
        top = self.pre_nms_top_n_train if training else self.pre_nms_top_n_test
        most = self.post_nms_top_n_train if training else self.post_nms_top_n_test
        levels = heads.levels
        ends = np.cumsum(np.bincount(levels, minlength=len(heads.maps)))
        found = []
        for logits, codes, size in zip(heads.objectness, heads.codes, batch.sizes, strict=True):
            parts = np.split(logits, ends[:-1])
            begins = (0, *ends[:-1])
            best = np.concatenate(
                [begin + highest(part, top) for begin, part in zip(begins, parts, strict=True)]
            )
            boxes = boxes_.clip(decode_boxes(codes[best], anchors[best]), size)
            scores, level = sigmoid(logits[best]), levels[best]
            kept = boxes_.remove_small(boxes, self.min_size)
            kept = kept[scores[kept] >= self.score_thresh]
            boxes, scores, level = boxes[kept], scores[kept], level[kept]
            kept = boxes_.batched_nms(boxes, scores, level, self.nms_thresh, post_nms_top_n=most)
            found.append(boxes[kept])
        return found

    def match(self, anchors: Array, target: Target) -> Array:
        """Of each anchor the number of its object, -1 or -2 (:func:`numseg.boxes.match`)."""
        return boxes_.match(
            boxes_.iou(target.boxes, anchors, zero_area="zero"),
            self.fg_iou_thresh, self.bg_iou_thresh, allow_low_quality_matches=True,
        )  # fmt: skip

    def sample(self, matches: Array, words: Sequence[int]) -> Sample:
        """The anchors that a step learns from."""
        return boxes_.sample(matches, self.batch_size_per_image, self.positive_fraction, seed=words)

    def losses(
        self,
        heads: Heads,
        anchors: Array,
        targets: Sequence[Target],
        matches: Sequence[Array],
        samples: Sequence[Sample],
    ) -> tuple[dict[str, float], Heads]:
        """``loss_objectness``, the mean cross-entropy of the samples of all images, and
        ``loss_rpn_box_reg``, smooth L1 of the codes of those that match, divided by the number of
        all samples; and their gradients."""
        dtype, grad_objectness = heads.codes.dtype, np.zeros_like(heads.objectness)
        positive, negative = (
            (_images(part), np.concatenate(part) if part else np.zeros(0, np.int64))
            for part in zip(*samples, strict=True)
        )
        every = tuple(np.concatenate(both) for both in zip(positive, negative, strict=True))
        said = np.repeat(np.array([1, 0], dtype), [len(positive[0]), len(negative[0])])
        objectness, saved = binary_cross_entropy_with_logits.forward(heads.objectness[every], said)
        grad_objectness[every] = binary_cross_entropy_with_logits.backward(
            saved, np.ones((), dtype), needs=["x"]
        )[0]
        truth = [
            target.boxes[match[sample.positive]]
            for target, match, sample in zip(targets, matches, samples, strict=True)
        ]
        codes = encode_boxes(np.concatenate(truth), anchors[positive[1]])
        share = 1 / max(len(said), 1)
        box, grad = codes_loss(heads.codes, positive, codes, beta=self.beta, share=share)
        terms = {"loss_objectness": float(objectness), "loss_rpn_box_reg": box}
        return terms, Heads(grad_objectness, grad, heads.maps)


def highest(scores: Array, count: int) -> Array:
    """Indices of the highest scores, in descending order; of equal scores the lower index first."""
    if count < len(scores):
        least = -np.partition(-scores, count - 1)[count - 1] if count else np.inf
        above, equal = np.flatnonzero(scores > least), np.flatnonzero(scores == least)
        some = np.sort(np.concatenate([above, equal[: count - len(above)]]))
    else:
        some = np.arange(len(scores))
    return some[np.argsort(-scores[some], kind="stable")]


def finite(name: str, array: Array) -> None:
    """No decision is made by a number that is none."""
    if not np.isfinite(array).all():
        value = array[~np.isfinite(array)][0]
        raise ArgumentError(
            f"{name} hold {value}: an image or a parameter is not finite, or training has diverged"
        )


def _images(parts: Sequence[Array]) -> Array:
    return np.repeat(np.arange(len(parts)), [len(part) for part in parts])


@functools.lru_cache
def _base(sizes: tuple[float, ...], ratios: tuple[float, ...], dtype: Any) -> Array:
    base = boxes_.base_anchors(sizes, ratios, dtype=dtype)
    checks.axes("anchors", base, "a 4")
    base.flags.writeable = False
    return base
