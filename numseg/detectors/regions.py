"""What the detectors that look at regions have in common: R-CNN, SPPNet, Fast and Faster R-CNN.

::

    images     made one batch, scaled and padded                                    batch
    regions    some of them chosen, each with a class and, if it has one, a box     chosen
    scores and codes of them, from a network                                        joint_loss
    boxes      of each class, without those that another one of the class covers    found

Boxes of this file are those of the scaled image. With ``offset=1`` they are pixels, the last one
included, as in the papers' programs; else edges, as those of :class:`numseg.data.Instances`.
"""

from __future__ import annotations

import functools
import types
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from numseg import boxes, checks
from numseg.data.instances import Detections, Instances
from numseg.detectors.images import check_truth, checked, together
from numseg.detectors.terms import codes_loss, softmax_loss
from numseg.errors import ArgumentError, shown
from numseg.graph import Graph
from numseg.ops.softmax import softmax
from numseg.ops.upsample_bilinear2d import upsample_bilinear2d
from numseg.typing import Array

IN_CROWD = 0.7
"""Regions of which more lies in a crowd, or in an object that need not be found, are not used."""


# -- images -----------------------------------------------------------------------------------


class Scaling(NamedTuple):
    """How images become a network's input."""

    in_channels: int
    mean: float | Sequence[float] = 0.5
    std: float | Sequence[float] = 0.25
    min_size: int | None = None
    """The shorter side becomes this (600 in Fast R-CNN), None: the image stays;"""
    max_size: int | None = None
    """unless the longer one would be larger than that (1000)."""

    def factor(self, rows: int, columns: int) -> float:
        """Pixels of the input, for each of the image."""
        if self.min_size is None:
            return 1.0
        factor = self.min_size / min(rows, columns)
        if self.max_size is not None:
            factor = min(factor, self.max_size / max(rows, columns))
        return factor


def scaling(
    in_channels: int,
    mean: float | Sequence[float],
    std: float | Sequence[float],
    min_size: int | None,
    max_size: int | None,
) -> Scaling:
    """The arguments, checked."""
    count = checks.integer("in_channels", in_channels, 1)
    for name, given in (("mean", mean), ("std", std)):
        numbers = list(given) if isinstance(given, (list, tuple)) else [given]
        if len(numbers) not in (1, count):
            raise ArgumentError(
                f"{name} has {len(numbers)} numbers, but there are {count} channels"
            )
        for number in numbers:
            (checks.positive if name == "std" else checks.real)(name, number)
    sizes = [
        None if size is None else checks.integer(name, size, 1)
        for name, size in (("min_size", min_size), ("max_size", max_size))
    ]
    return Scaling(count, mean, std, *sizes)


class Batch(NamedTuple):
    """Images as one array."""

    x: Array
    """(N, C, H, W); images are at the top left, with zeros around."""
    sizes: list[tuple[int, int]]
    """Rows and columns of each in x."""
    factors: list[float]
    """Pixels of x, for each of the image."""


def batch(images: Sequence[Array], how: Scaling, dtype: Any) -> Batch:
    """Images less their mean, scaled, padded to the size of the largest."""
    if not len(images):
        raise ArgumentError("images must hold at least one image, got none")
    scaled, factors = [], []
    for j, given in enumerate(images):
        image = checked(j, given, how.in_channels, dtype)
        _, rows, columns = image.shape
        mean, std = (np.asarray(v, image.dtype).reshape(-1, 1, 1) for v in (how.mean, how.std))
        x, factor = (image - mean) / std, how.factor(rows, columns)
        if factor != 1:
            size = max(round(rows * factor), 1), max(round(columns * factor), 1)
            x = upsample_bilinear2d(x[None], size)[0]
        scaled.append(x)
        factors.append(factor)
    return Batch(together(scaled), [x.shape[1:] for x in scaled], factors)


def inner(edges: Array, factor: float, offset: int) -> Array:
    """Boxes of the image as those of the scaled one."""
    first, last = edges[:, :2], edges[:, 2:]
    return np.concatenate([first, np.maximum(last - offset, first)], 1) * factor


def outer(found: Array, factor: float, offset: int) -> Array:
    """The way back."""
    return found / factor + np.array([0, 0, offset, offset])


def rows_of(regions: Sequence[Array], dtype: Any) -> Array:
    """Boxes of several images as (K, 5), the image first: what RoI operators take."""
    rows = [np.insert(one, 0, j, axis=1) for j, one in enumerate(regions)]
    return np.concatenate(rows).astype(dtype)


def proposed(given: Any, image: Array, factor: float, offset: int) -> Array:
    """Regions of an image from elsewhere: clipped, without those that have no area left."""
    edges = np.asarray(given, np.float64).reshape(-1, 4) if np.size(given) == 0 else given
    edges = boxes.clip(np.asarray(edges, np.float64), image.shape[1:])
    edges = edges[boxes.remove_small(edges, 0, comparison=">")]
    return inner(edges, factor, offset)


# -- learning ---------------------------------------------------------------------------------


class Sampling(NamedTuple):
    """Which regions a step learns from, and what."""

    batch_size_per_image: int = 64
    """128 of two images in Fast R-CNN."""
    positive_fraction: float = 0.25
    high: float = 0.5
    """A region with that overlap has the object's class,"""
    low: float = 0.5
    """one with less than this is background,"""
    least: float = 0.1
    """unless it has less than that: Fast R-CNN leaves easy ones out. (Not in an image without
    objects.)"""
    add_truth: bool = True
    """The objects' own boxes are regions too."""
    rounding: str = "nearest"
    """Of the number with an object: :func:`numseg.boxes.sample`."""


class Truth(NamedTuple):
    """What an image has to teach."""

    boxes: Array
    labels: Array
    unused: Array
    """Boxes of crowds, and of what need not be found."""
    which: Array
    """The indices of the objects among the instances."""


def truth(instances: Instances, factor: float, offset: int) -> Truth:
    """Objects that have an area, in the scaled image."""
    edges = instances.boxes
    sized = (edges[:, 2] > edges[:, 0]) & (edges[:, 3] > edges[:, 1])
    out = instances.crowd | instances.difficult
    which = np.flatnonzero(sized & ~out)
    return Truth(
        inner(edges[which], factor, offset),
        instances.labels[which],
        inner(edges[sized & out], factor, offset),
        which,
    )


class Chosen(NamedTuple):
    """Regions that a step learns from: those with an object first."""

    boxes: Array
    """(K, 4)"""
    labels: Array
    """(K,) int64, 0 for background"""
    objects: Array
    """(P, 4), of the first P the boxes that they should be;"""
    which: Array
    """(P,), and the numbers of those objects among the instances."""


def chosen(regions: Array, there: Truth, how: Sampling, offset: int, seed: Any) -> Chosen:
    """Give regions their classes, and choose some."""
    if how.add_truth:
        regions = np.concatenate([there.boxes, regions])
    overlap = boxes.iou(there.boxes, regions, offset=offset, zero_area="zero")
    unused = boxes.iof(regions, there.unused, offset=offset, zero_area="zero") > IN_CROWD
    ignored = unused.any(1)
    if len(there.boxes):
        ignored |= overlap.max(0) < how.least
    matches = boxes.match(overlap, how.high, how.low, ignored=ignored)
    positive, negative = boxes.sample(
        matches, how.batch_size_per_image, how.positive_fraction, seed=seed, rounding=how.rounding
    )
    objects = matches[positive]
    taken = np.concatenate([positive, negative])
    labels = np.zeros(len(taken), np.int64)
    labels[: len(positive)] = there.labels[objects]
    return Chosen(regions[taken], labels, there.boxes[objects], there.which[objects])


class Codes(NamedTuple):
    """How boxes are told to a network."""

    weights: tuple[float, float, float, float] = (10.0, 10.0, 5.0, 5.0)
    """One over the standard deviations 0.1, 0.1, 0.2, 0.2 by which Fast R-CNN divides."""
    beta: float = 1.0
    """Of the smooth L1 loss."""
    factor: float = 1.0
    """Of the boxes' term of the loss: lambda."""


class Loss(NamedTuple):
    """A loss of two terms and its gradients by what went in."""

    classes: float
    boxes: float
    grad_scores: Array
    grad_codes: Array


def joint_loss(
    scores: Array,
    codes: Array,
    picked: Sequence[Chosen],
    how: Codes,
    *,
    offset: int = 0,
    kind: str = "softmax",
    least: float = 0.0,
) -> Loss:
    """Fast R-CNN's loss: ``-log p[u] + lambda [u >= 1] sum smooth_l1(t[u] - v)``, the mean over
    all regions.

    Parameters
    ----------
    scores : array, (R, classes)
        Logits; without the background's in "hinge".
    codes : array, (R, 4 * columns)
        Of each class, with or without the background's.
    picked : sequence of Chosen
        Of each image, in the order of the rows.
    how : Codes
    offset : {0, 1}
    kind : {"softmax", "hinge"}
        "hinge": a support vector machine for each class, the sum of ``max(0, 1 - y s)`` with y = 1
        for regions of the class, else -1. At the kink the gradient is 0.
    least : float
        Boxes are learned only of regions with that overlap: 0.6 in R-CNN.
    """
    labels = np.concatenate([one.labels for one in picked])
    score_loss = softmax_loss if kind == "softmax" else hinge_loss
    classes, grad_scores = score_loss(scores, labels)
    columns = codes.shape[1] // 4
    without = scores.shape[1] + (kind == "hinge") - columns  # 1, if background has no code
    rows, regions, objects = _positive(picked, offset, least)
    at = rows, labels[rows] - without
    each = codes.reshape(len(codes), columns, 4)
    targets = boxes.encode(objects, regions, weights=how.weights, offset=offset)
    share = how.factor / max(len(codes), 1)
    term, grad_codes = codes_loss(each, at, targets, beta=how.beta, share=share)
    return Loss(classes, term, grad_scores, grad_codes.reshape(codes.shape))


def hinge_loss(scores: Array, labels: Array) -> tuple[float, Array]:
    """The mean over the rows of the sum over classes from 1 on of ``max(0, 1 - y s)``."""
    sign = np.where(labels[:, None] == np.arange(1, scores.shape[1] + 1), 1, -1)
    margin = 1 - sign.astype(scores.dtype) * scores
    count = max(len(scores), 1)
    loss = np.maximum(margin, 0).sum(dtype=np.float64) / count
    return float(loss), (np.where(margin > 0, -sign, 0) / count).astype(scores.dtype)


def _positive(picked: Sequence[Chosen], offset: int, least: float) -> tuple[Array, Array, Array]:
    """The rows of regions that have an object, those regions and the boxes of the objects."""
    rows, regions, objects, start = [], [], [], 0
    for one in picked:
        count = len(one.objects)
        own = one.boxes[:count]
        pairs = boxes.iou(own, one.objects, offset=offset, zero_area="zero").diagonal()
        near = np.flatnonzero(pairs >= least)
        rows.append(start + near)
        regions.append(own[near])
        objects.append(one.objects[near])
        start += len(one.boxes)
    return np.concatenate(rows), np.concatenate(regions), np.concatenate(objects)


# -- finding ----------------------------------------------------------------------------------


class Finding(NamedTuple):
    """What of scores and codes becomes a detection."""

    score_threshold: float = 0.05
    nms_threshold: float = 0.3
    max_detections: int = 100


FINDING: Mapping[str, Mapping[str, float]] = {
    "softmax": {}, "hinge": {"score_threshold": -1.0},
}  # fmt: skip
"""What differs by default, by what scores are: a score of -1 is the margin."""


def found(
    scores: Array,
    codes: Array,
    regions: Array,
    size: tuple[int, int],
    how: Finding,
    coded: Codes,
    *,
    offset: int = 0,
) -> tuple[Array, Array, Array]:
    """Boxes, labels and scores, the best first: class by class, without what better ones cover.

    Parameters
    ----------
    scores : array, (R, classes)
        The background's first. NaN is below every threshold.
    codes : array, (R, 4 * columns)
    regions : array, (R, 4)
    size : (int, int)
        Boxes are clipped to so many rows and columns.
    """
    columns = codes.shape[1] // 4
    without = scores.shape[1] - columns
    row, label = np.nonzero(scores[:, 1:] > how.score_threshold)
    label += 1
    each = codes.reshape(-1, columns, 4)[row, label - without].astype(np.float64)
    edges = boxes.decode(each, regions[row], weights=coded.weights, offset=offset)
    edges = boxes.clip(edges, size, offset=offset)
    sure = scores[row, label].astype(np.float64)
    sized = boxes.remove_small(edges, 0, offset=offset, comparison=">")
    edges, label, sure = edges[sized], label[sized], sure[sized]
    edges[:, 2:] = np.maximum(edges[:, 2:], edges[:, :2])  # with an offset, a pixel at least
    best = boxes.batched_nms(
        edges, sure, label, how.nms_threshold, offset=offset, post_nms_top_n=how.max_detections
    )
    return edges[best], label[best], sure[best]


def probabilities(scores: Array) -> Array:
    """Softmax of logits."""
    return softmax(scores, dim=1) if len(scores) else scores


def with_background(scores: Array) -> Array:
    """Scores of classes from 1 on, with a column for class 0 before them."""
    return np.pad(scores, ((0, 0), (1, 0)))


def nothing() -> Detections:
    """No detections."""
    return Detections(np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0))


def detections(
    edges: Array, labels: Array, scores: Array, factor: float, offset: int, image: Array
) -> Detections:
    """In the pixels of the image as given."""
    edges = boxes.clip(outer(edges, factor, offset), image.shape[1:])
    return Detections(edges, labels, scores)


# -- settings ---------------------------------------------------------------------------------


def settings(kind: Any, name: str, given: Mapping[str, Any] | None, **defaults: Any) -> Any:
    """A tuple of settings from a dict, such as a file holds."""
    values, hints = {}, typing.get_type_hints(kind)
    for key, value in (given or {}).items():
        checks.choice(name, key, kind._fields)
        values[key] = _setting(f"{name}[{key!r}]", value, hints[key])
    return kind(**(defaults | values))


def _setting(name: str, value: Any, hint: Any) -> Any:
    """Of the type that the field has."""
    if isinstance(hint, types.UnionType):
        return None if value is None else _setting(name, value, typing.get_args(hint)[0])
    if typing.get_origin(hint) is tuple:
        if not checks.is_sequence(value) or not len(value):
            raise ArgumentError(f"{name} is {shown(value)}, expected several numbers")
        each = typing.get_args(hint)[0]
        return tuple(_setting(f"{name}[{j}]", number, each) for j, number in enumerate(value))
    return _CHECKS[hint](name, value)


def _word(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ArgumentError(f"{name} is {shown(value)}, expected a word")
    return value


_CHECKS: Mapping[Any, Callable[[str, Any], Any]] = {
    bool: checks.flag,
    float: checks.real,
    int: functools.partial(checks.integer, minimum=0),
    str: _word,
}
"""By the types that settings have."""


def kind_of(kind: Any) -> str:
    """The loss of scores."""
    return checks.choice("kind", kind, ("softmax", "hinge"))


# -- what a forward pass gives ----------------------------------------------------------------


class Losses(NamedTuple):
    """What :meth:`~numseg.detectors.Detector.forward` of these detectors gives."""

    terms: Mapping[str, float]
    updates: Mapping[str, Array]
    back: Callable[[float, Collection[str]], dict[str, Array]]
    """Gradients of so many times the sum of the terms, of the named parameters."""


def gradients(
    graph: Graph, tape: Any, grads_y: Any, needs: Collection[str], *inputs: str
) -> dict[str, Array]:
    """Those of a graph's parameters that are needed, and of the named inputs."""
    wanted = [param.name for param in graph.params if param.name in needs]
    if not wanted and not inputs:
        return {}
    return graph.backward(tape, grads_y, needs=[*wanted, *inputs])


def paired(
    images: Sequence[Array],
    instances: Sequence[Instances],
    classes: int,
    regions: Sequence[Array] | None = None,
) -> None:
    """As many of the one as of the others, and objects that a detector of so many classes can find
    in their images."""
    if len(images) != len(instances):
        raise ArgumentError(f"{len(images)} images, but the instances of {len(instances)}")
    if regions is not None and len(images) != len(regions):
        raise ArgumentError(f"{len(images)} images, but the regions of {len(regions)}")
    for j, (image, one) in enumerate(zip(images, instances, strict=True)):
        _, rows, columns = checks.axes(f"images[{j}]", image, "c h w")
        check_truth(f"instances[{j}]", one, (rows, columns), classes)
