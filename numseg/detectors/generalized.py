"""Detectors that look twice: where may an object be, and what is it?

::

    images > one batch > features: maps of a pyramid > RPN head > proposals
                                   maps, proposals > RoI Align > box head > classes, boxes
                                   maps, boxes     > RoI Align > mask head > masks

The graphs compute and have gradients; between them boxes are chosen, which have none.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from numseg import boxes as boxes_
from numseg.boxes.matching import Sample
from numseg.data.instances import Detections, Instances
from numseg.detectors.heads import (
    BoxHead,
    Found,
    Levels,
    Regions,
    Rois,
    mask_probabilities,
    mask_targets,
)
from numseg.detectors.images import Batch, ImageTransform, Target, dtype_of, resized_boxes
from numseg.detectors.parts import Parts, total
from numseg.detectors.proposals import Heads, RegionProposals
from numseg.detectors.terms import masks_loss
from numseg.errors import ArgumentError
from numseg.graph import Graph, Param, Tape
from numseg.typing import Array, ArrayLike


@dataclasses.dataclass(frozen=True)
class Chosen:
    """The decisions of a step, image by image: what it learned from."""

    anchors: Sequence[Sample]
    """Numbers of the anchors that the region proposal network learned from."""
    proposals: Sequence[Array]
    """(P, 4), in the pixels of the batch, the boxes of the objects at the end."""
    regions: Sequence[Sample]
    """Numbers of those proposals that the heads learned from."""


@dataclasses.dataclass(frozen=True, eq=False)
class StepLosses:
    """What :meth:`GeneralizedRCNN.forward` gives."""

    terms: Mapping[str, float]
    updates: Mapping[str, Array]
    chosen: Chosen
    features: tuple[Tape, Heads]
    """The tape of the features, and the gradients of what the RPN's head says."""
    heads: Sequence[tuple[Tape, tuple[Array, ...]]]
    """The tapes of the others, and the gradients of their outputs."""


class GeneralizedRCNN:
    """A detector in two stages, by the graphs that it is made of.

    Parameters
    ----------
    classes : int
        The background included.
    transform : ImageTransform
    features : Graph
        Of a batch the maps that regions are pooled from, as many as ``levels`` has, then the logits
        and then the codes of :func:`~numseg.detectors.proposals.rpn_head`, of every level.
    proposals : RegionProposals
    levels : Levels
    box : Graph
        Of the maps and regions of each level the logits (K, classes) and the codes (K, 4 classes).
    boxes : BoxHead
    mask : Graph, optional
        Of the same the logits (K, classes, M, M) of masks.
    mask_threshold : float
        From which probability on a pixel belongs to an object.
    frozen : collection of str
        Names of parameters that training leaves as they are, besides state and constants.
    """

    def __init__(
        self,
        classes: int,
        transform: ImageTransform,
        features: Graph,
        proposals: RegionProposals,
        levels: Levels,
        box: Graph,
        boxes: BoxHead,
        mask: Graph | None = None,
        *,
        mask_threshold: float = 0.5,
        frozen: Collection[str] = (),
    ) -> None:
        self.classes, self.channels = classes, len(transform.image_mean)
        self.transform, self.proposals, self.levels, self.boxes = (
            transform, proposals, levels, boxes
        )  # fmt: skip
        self.features, self.box, self.mask = features, box, mask
        self.mask_threshold, self.frozen = mask_threshold, frozenset(frozen)
        graphs = [graph for graph in (features, box, mask) if graph is not None]
        self.parts = Parts(*graphs, frozen=frozen)
        self.params: tuple[Param, ...] = self.parts.params
        self.names, self.trainable = self.parts.names, self.parts.trainable

    def with_masks(self, mask: Graph, mask_threshold: float = 0.5) -> GeneralizedRCNN:
        """The same detector with a mask head."""
        return GeneralizedRCNN(
            self.classes, self.transform, self.features, self.proposals, self.levels,
            self.box, self.boxes, mask, mask_threshold=mask_threshold, frozen=self.frozen,
        )  # fmt: skip

    def init(self, seed: int = 0, dtype: Any = np.float32) -> dict[str, Array]:
        """Start values; each depends on the seed and its own name only."""
        return self.parts.init(seed, dtype)

    def check(self, params: Mapping[str, ArrayLike]) -> None:
        """Raise MismatchError unless the names and shapes are this detector's."""
        self.parts.check(params)

    # -- inference ----------------------------------------------------------------------------

    def detect(self, params: Mapping[str, Array], images: Sequence[Array]) -> list[Detections]:
        """What is found in each image, the highest score first."""
        return [
            self._detections(found, (image.shape[-2], image.shape[-1]))
            for found, image in zip(self.find(params, images), images, strict=True)
        ]

    def _detections(self, found: Found, size: tuple[int, int]) -> Detections:
        masks = None
        if found.masks is not None:
            masks = boxes_.paste_masks(
                found.masks, found.boxes, size, threshold=self.mask_threshold, method="resize"
            )
        return Detections(found.boxes, found.labels, found.scores, masks)

    def find(self, params: Mapping[str, Array], images: Sequence[Array]) -> list[Found]:
        """The same with the masks as the head gives them: a number for each of M x M pixels of a
        box, its probability."""
        self.check(params)
        if not images:
            return []
        batch = self.transform.batch(images, dtype_of(params))
        maps, heads = self._split(self.features.run(self.parts.of(self.features, params), batch.x))
        anchors = self.proposals.anchors(heads.maps, batch.x)
        proposals = self.proposals.propose(heads, anchors, batch, training=False)
        rois = self.levels.rois(proposals)
        given = self.box.run(self.parts.of(self.box, params), *maps, *rois.levels)
        logits, codes = (rois.unsorted(rows) for rows in given)
        found = self.boxes.detections(logits, codes, proposals, batch.sizes)
        if self.mask is not None:
            found = self._masks(params, maps, found)
        return [
            one._replace(boxes=resized_boxes(one.boxes, size, given))
            for one, size, given in zip(found, batch.sizes, batch.given, strict=True)
        ]

    def _masks(
        self, params: Mapping[str, Array], maps: Sequence[Array], found: list[Found]
    ) -> list[Found]:
        assert self.mask is not None
        rois = self.levels.rois([one.boxes for one in found])
        labels = np.concatenate([one.labels for one in found])
        logits = self.mask.run(self.parts.of(self.mask, params), *maps, *rois.levels)
        masks = rois.unsorted(mask_probabilities(logits, rois.sorted(labels)))
        ends = np.cumsum([len(one.labels) for one in found])[:-1]
        return [
            one._replace(masks=part) for one, part in zip(found, np.split(masks, ends), strict=True)
        ]

    def _split(self, outputs: Sequence[Array]) -> tuple[Sequence[Array], Heads]:
        """The maps, and what the RPN's head says."""
        count = len(self.levels.strides)
        both = (len(outputs) - count) // 2
        heads = Heads.of(outputs[count : count + both], outputs[count + both :])
        return outputs[:count], heads

    # -- training -----------------------------------------------------------------------------

    def forward(
        self,
        params: Mapping[str, Array],
        images: Sequence[Array],
        instances: Sequence[Instances],
        *,
        training: bool = True,
        seed: int = 0,
        step: int = 0,
        chosen: Chosen | None = None,
    ) -> StepLosses:
        """The terms of the loss.

        ``chosen``: decisions of another step, which take the place of this one's.
        """
        self.check(params)
        if not images:
            raise ArgumentError("images is empty: there is nothing to learn from")
        words = (seed, step) if training else ()
        batch = self.transform.batch(images, dtype_of(params), words)
        targets = self.transform.targets(instances, batch, self.classes, self.mask is not None)
        mode: dict[str, Any] = {"training": training, "seed": seed, "step": step}
        outputs, tape = self.features.forward(self.parts.of(self.features, params), batch.x, **mode)
        maps, heads = self._split(outputs)
        anchors = self.proposals.anchors(heads.maps, batch.x)
        matches = [self.proposals.match(anchors, target) for target in targets]
        if chosen is None:
            chosen = self._choose(heads, anchors, matches, batch, targets, (seed, step))
        terms, grads = self.proposals.losses(heads, anchors, targets, matches, chosen.anchors)
        regions = [
            self.boxes.chosen(boxes, target, self.boxes.match(boxes, target), sample)
            for boxes, target, sample in zip(chosen.proposals, targets, chosen.regions, strict=True)
        ]
        parts = [self._box_losses(params, maps, regions, mode)]
        if self.mask is not None:
            parts.append(self._mask_losses(params, maps, regions, targets, mode))
        updates = dict(tape.updates)
        for more, (of_head, _) in parts:
            terms, updates = terms | more, updates | of_head.updates
        return StepLosses(terms, updates, chosen, (tape, grads), [part for _, part in parts])

    def _choose(
        self,
        heads: Heads,
        anchors: Array,
        matches: Sequence[Array],
        batch: Batch,
        targets: Sequence[Target],
        words: tuple[int, int],
    ) -> Chosen:
        samples = [self.proposals.sample(m, (*words, j, 0)) for j, m in enumerate(matches)]
        proposed = self.proposals.propose(heads, anchors, batch, training=True)
        proposals = [
            np.concatenate([boxes, target.boxes])
            for boxes, target in zip(proposed, targets, strict=True)
        ]
        regions = [
            self.boxes.sample(self.boxes.match(boxes, target), (*words, j, 1))
            for j, (boxes, target) in enumerate(zip(proposals, targets, strict=True))
        ]
        return Chosen(samples, proposals, regions)

    def _box_losses(
        self,
        params: Mapping[str, Array],
        maps: Sequence[Array],
        regions: Sequence[Regions],
        mode: Mapping[str, Any],
    ) -> tuple[dict[str, float], tuple[Tape, tuple[Array, ...]]]:
        rois = self.levels.rois([one.boxes for one in regions])
        outputs, tape = self._head(self.box, params, maps, rois, mode)
        logits, codes = (rois.unsorted(rows) for rows in outputs)
        terms, grads = self.boxes.losses(logits, codes, regions)
        return terms, (tape, tuple(rois.sorted(grad) for grad in grads))

    def _mask_losses(
        self,
        params: Mapping[str, Array],
        maps: Sequence[Array],
        regions: Sequence[Regions],
        targets: Sequence[Target],
        mode: Mapping[str, Any],
    ) -> tuple[dict[str, float], tuple[Tape, tuple[Array, ...]]]:
        assert self.mask is not None
        rois = self.levels.rois([one.boxes[one.objects >= 0] for one in regions])
        labels = np.concatenate([one.labels[one.objects >= 0] for one in regions])
        logits, tape = self._head(self.mask, params, maps, rois, mode)
        truth = np.concatenate(
            [
                mask_targets(target, one, logits.shape[-1])
                for target, one in zip(targets, regions, strict=True)
            ]
        )
        term, grad = masks_loss(logits, rois.sorted(labels), rois.sorted(truth))
        return {"loss_mask": term}, (tape, (grad,))

    def _head(
        self,
        graph: Graph,
        params: Mapping[str, Array],
        maps: Sequence[Array],
        rois: Rois,
        mode: Mapping[str, Any],
    ) -> tuple[Any, Tape]:
        return graph.forward(self.parts.of(graph, params), *maps, *rois.levels, **mode)

    def backward(
        self, losses: StepLosses, *, share: float = 1.0, needs: Collection[str] | None = None
    ) -> dict[str, Array]:
        """Gradients of ``share`` times the sum of the terms, by the parameters' names."""
        wanted = self.parts.needs(needs)
        of_features = [name for name in wanted if name in self.features.differentiable]
        maps = [f"features.{j}" for j in range(len(self.levels.strides))] if of_features else []
        found = []
        for tape, grads in losses.heads:
            graph = self.box if tape.graph is self.box else self.mask
            assert graph is not None
            names = [name for name in (*wanted, *maps) if name in graph.differentiable]
            if names:
                scaled = tuple(_scaled(grad, share) for grad in grads)
                found.append(graph.backward(tape, scaled, needs=names))
        of_maps = total({name: grads.pop(name) for name in maps} for grads in found)
        if of_features:
            tape, heads = losses.features
            logits, codes = heads.as_maps()
            said = tuple(_scaled(grad, share) for grad in (*logits, *codes))
            grads = (*(of_maps[name] for name in maps), *said)
            found.insert(0, self.features.backward(tape, grads, needs=of_features))
        every = total(found)
        return {name: every[name] for name in wanted}


def _scaled(grad: Array, share: float) -> Array:
    return grad if share == 1 else grad * grad.dtype.type(share)
