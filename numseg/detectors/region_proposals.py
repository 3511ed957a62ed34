"""Faster R-CNN's region proposal network, as the paper has it: a softmax for each anchor.

::

    features    3 x 3 convolution, relu                                    512 channels
    each place  rpn_cls_score  1 x 1                                       2 A: no, then yes
                rpn_bbox_pred  1 x 1                                       4 A
                A = 9 anchors: three areas times three shapes

    loss        -log p[u] of 256 anchors, half of them on objects, + lambda / N_reg sum of smooth_l1
    proposals   anchors moved by their codes, clipped, the best of them, thinned out
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from numseg import boxes, checks
from numseg.detectors.regions import IN_CROWD, Truth, settings
from numseg.detectors.terms import codes_loss, softmax_loss
from numseg.graph import Graph
from numseg.nets import blocks
from numseg.typing import Array


class Anchors(NamedTuple):
    """Of the map, and what is learned of them."""

    sizes: tuple[float, ...] = (128, 256, 512)
    ratios: tuple[float, ...] = (0.5, 1, 2)
    rounding: str = "sides"
    high: float = 0.7
    low: float = 0.3
    batch_size_per_image: int = 256
    positive_fraction: float = 0.5
    border: float | None = 0.0
    """Anchors that leave the image by more take no part in learning; None: all do."""
    variant: str = "paper"
    """Of the boxes' term. "paper": it is ``10 / (places of the map)`` times smooth L1 losses
    of beta 1. "caffe": ``1 / (anchors sampled)``, beta is 1 / 9, as in py-faster-rcnn."""


class Proposals(NamedTuple):
    """Which anchors become regions; of the two numbers, for learning and for finding."""

    pre_nms: tuple[int, int] = (12000, 6000)
    post_nms: tuple[int, int] = (2000, 300)
    nms_threshold: float = 0.7
    min_size: float = 16
    """In pixels of the image as given."""


class Terms(NamedTuple):
    """A loss of two terms and its gradients by the network's two maps."""

    objectness: float
    boxes: float
    grad_scores: Array
    grad_codes: Array


def anchors(given: Mapping[str, Any] | None, **defaults: Any) -> Anchors:
    """From a dict, checked."""
    how = settings(Anchors, "anchors", given, **defaults)
    checks.choice("variant", how.variant, ("paper", "caffe"))
    return how


def network(channels: int, width: int, anchors: int) -> Graph:
    """From a map to scores (N, 2 A, h, w), "no" of all anchors before "yes", and codes (N, 4 A, h,
    w); names as in Caffe's model."""
    net = Graph.build()
    normal = ("normal", {"std": 0.01})
    h = blocks.conv(
        net, "rpn_conv", net.input("features"), channels, width, 3, 1, init=normal,
        activation="relu", activation_name="rpn_relu",
    )  # fmt: skip
    scores = blocks.conv(net, "rpn_cls_score", h, width, 2 * anchors, 1, init=normal)
    codes = blocks.conv(net, "rpn_bbox_pred", h, width, 4 * anchors, 1, init=normal)
    return net.output(scores, codes)


def base(how: Anchors, stride: int, offset: int) -> Array:
    """The anchors of the first place, (A, 4) float64. The paper's, counted from 1 as MATLAB does,
    begin with -83 -39 100 56; here the first pixel is 0."""
    found = boxes.base_anchors(
        how.sizes, how.ratios, rounding=how.rounding, base_size=stride, dtype=np.float64
    )
    return found + np.array([0, 0, 1 - offset, 1 - offset]) if how.rounding == "sides" else found


def by_anchor(maps: Array, each: int) -> Array:
    """Of maps (A * each, h, w) the numbers of each anchor, (h * w * A, each)."""
    h, w = maps.shape[-2:]
    return np.ascontiguousarray(maps.reshape(-1, each, h, w).transpose(2, 3, 0, 1)).reshape(
        -1, each
    )


def by_place(rows: Array, like: Array) -> Array:
    """The way back of :func:`by_anchor`."""
    h, w = like.shape[-2:]
    return rows.reshape(h, w, -1, rows.shape[1]).transpose(2, 3, 0, 1).reshape(like.shape)


def pairs(scores: Array) -> Array:
    """(2 A, h, w), "no" of all anchors before "yes", as (h * w * A, 2)."""
    two = scores.reshape(2, -1, *scores.shape[-2:])
    return np.ascontiguousarray(two.transpose(2, 3, 1, 0)).reshape(-1, 2)


def unpaired(rows: Array, like: Array) -> Array:
    """The way back of :func:`pairs`."""
    h, w = like.shape[-2:]
    return rows.reshape(h, w, -1, 2).transpose(3, 2, 0, 1).reshape(like.shape)


# -- learning ---------------------------------------------------------------------------------


def loss(
    scores: Array,
    codes: Array,
    anchors: Array,
    there: Sequence[Truth],
    sizes: Sequence[tuple[int, int]],
    how: Anchors,
    seed: Any,
    *,
    offset: int,
) -> Terms:
    """What the network should have said of the anchors that are chosen, those of all images.

    Parameters
    ----------
    scores, codes : array, (N, 2 A, h, w) and (N, 4 A, h, w)
    anchors : array, (h * w * A, 4)
    there : sequence of Truth
        Of each image.
    sizes : sequence of (rows, columns)
        Of each image, without what it was padded with.
    how : Anchors
    seed : sequence of int
        The place of the image in the batch is added.
    offset : {0, 1}
    """
    picked = [
        sampled(anchors, one, size, how, (*seed, j), offset)
        for j, (one, size) in enumerate(zip(there, sizes, strict=True))
    ]
    rows = [pairs(one)[taken] for one, (taken, _, _) in zip(scores, picked, strict=True)]
    labels = np.concatenate([np.arange(len(t)) < len(o) for t, o, _ in picked]).astype(np.int64)
    objectness, grad = softmax_loss(np.concatenate(rows), labels)
    grad_scores, grad_codes, term, at = np.zeros_like(scores), np.zeros_like(codes), 0.0, 0
    paper = how.variant == "paper"
    of = scores[0, 0].size * len(scores) / 10 if paper else max(len(labels), 1)
    for j, (taken, objects, targets) in enumerate(picked):
        every = np.zeros((len(anchors), 2), scores.dtype)
        every[taken] = grad[at : at + len(taken)]
        grad_scores[j], at = unpaired(every, scores[j]), at + len(taken)
        own, positive = by_anchor(codes[j], 4), taken[: len(objects)]
        lost, grad_own = codes_loss(
            own, positive, targets, beta=1 if paper else 1 / 9, share=1 / of
        )
        grad_codes[j], term = by_place(grad_own, codes[j]), term + lost
    return Terms(objectness, term, grad_scores, grad_codes)


def sampled(
    anchors: Array, there: Truth, size: tuple[int, int], how: Anchors, seed: Any, offset: int
) -> tuple[Array, Array, Array]:
    """Anchors that a step learns from, those on objects first; their objects, and codes of them."""
    overlap = boxes.iou(there.boxes, anchors, offset=offset, zero_area="zero")
    in_crowd = boxes.iof(anchors, there.unused, offset=offset, zero_area="zero") > IN_CROWD
    ignored = in_crowd.any(1)
    if how.border is not None:
        ignored |= ~within(anchors, size, how.border, offset)
    matches = boxes.match(
        overlap, how.high, how.low,
        allow_low_quality_matches=True, min_quality=np.nextafter(0, 1), ignored=ignored,
    )  # fmt: skip
    positive, negative = boxes.sample(
        matches, how.batch_size_per_image, how.positive_fraction, seed=seed
    )
    objects = matches[positive]
    targets = boxes.encode(there.boxes[objects], anchors[positive], offset=offset)
    return np.concatenate([positive, negative]), objects, targets


def within(anchors: Array, size: tuple[int, int], border: float, offset: int) -> Array:
    """Whether they lie in the image, or leave it by so little."""
    rows, columns = size
    last = np.array([columns, rows]) - offset + border
    inside = (anchors[:, :2] >= -border) & (anchors[:, 2:] <= last)
    return np.asarray(inside.all(axis=1))


# -- proposing --------------------------------------------------------------------------------


def propose(
    scores: Array,
    codes: Array,
    anchors: Array,
    size: tuple[int, int],
    how: Proposals,
    *,
    training: bool,
    offset: int,
    factor: float = 1.0,
) -> tuple[Array, Array]:
    """Regions of one image, the surest first, and how sure: of maps (2 A, h, w), (4 A, h, w)."""
    two = pairs(scores).astype(np.float64)
    sure = 1 / (1 + np.exp(np.clip(two[:, 0] - two[:, 1], -700, 700)))
    moved = boxes.decode(by_anchor(codes, 4).astype(np.float64), anchors, offset=offset)
    moved = boxes.clip(moved, size, offset=offset)
    large = boxes.remove_small(moved, how.min_size * factor, offset=offset)
    moved, sure = moved[large], sure[large]
    kept = boxes.nms(
        moved, sure, how.nms_threshold, offset=offset, zero_area="zero",
        pre_nms_top_n=how.pre_nms[not training], max_output=how.post_nms[not training],
    )  # fmt: skip
    return moved[kept], sure[kept]
