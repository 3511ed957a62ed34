"""Faster R-CNN as published (Ren, He, Girshick and Sun, "Faster R-CNN", 2015), on VGG-16.

::

    image      conv1_1 ... conv5_3                              once          stride 16
    map        3 x 3 convolution, 9 anchors at each place       once          9 (2 + 4) = 54
               the 300 best, clipped, thinned out               proposals
    proposals  RoI Pool 7 x 7, fc6, fc7, scores and boxes       per region    Fast R-CNN's

Trained jointly, the sum of four terms goes back through one network, and proposals are constants.
Or in four steps (:func:`alternating`): proposals first; then Fast R-CNN on them, with convolutions
of its own; then proposals again, on those convolutions, which stay as they are; then the last
layers.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from numseg import boxes, checks
from numseg.data.instances import Detections, Instances
from numseg.detectors import region_proposals as rpn
from numseg.detectors import regions as r
from numseg.detectors import vgg_parts
from numseg.detectors.fast_rcnn import head as fast_rcnn_head
from numseg.detectors.given_regions import GivenRegions, Settings
from numseg.detectors.images import dtype_of
from numseg.detectors.parts import Parts, total
from numseg.detectors.selective_search import remembered
from numseg.errors import ArgumentError
from numseg.graph import Graph
from numseg.nets.backbones import vgg
from numseg.typing import Array

HIDDEN = 8
"""The proposal network has so many times the channels of the first convolution: 512."""


class Proposing(NamedTuple):
    """What the proposal network is, besides its graph."""

    anchors: rpn.Anchors
    proposals: rpn.Proposals
    stride: int


@checks.named("faster_rcnn_vgg16")
def faster_rcnn_vgg16(
    in_channels: int = 3,
    classes: int = 21,
    *,
    width: int = 64,
    level: int = 5,
    hidden: int | None = None,
    output_size: int = 7,
    dropout: float = 0.5,
    fixed_levels: int = vgg_parts.FIXED,
    mean: float | Sequence[float] = 0.5,
    std: float | Sequence[float] = 0.25,
    min_size: int | None = 600,
    max_size: int | None = 1000,
    offset: int = 1,
    anchors: Mapping[str, Any] | None = None,
    proposals: Mapping[str, Any] | None = None,
    sampling: Mapping[str, Any] | None = None,
    codes: Mapping[str, Any] | None = None,
    finding: Mapping[str, Any] | None = None,
) -> FasterRCNN:
    """Faster R-CNN on VGG-16.

    Parameters
    ----------
    anchors, proposals : mapping, optional
        Of :class:`~numseg.detectors.region_proposals.Anchors` and
        :class:`~numseg.detectors.region_proposals.Proposals` what shall differ. Sizes are those of
        the scaled image.
    in_channels, classes, width, level, hidden, output_size, dropout, fixed_levels
        As in :func:`~numseg.detectors.fast_rcnn`. The proposal network has ``8 * width`` channels.
    mean, std, min_size, max_size, offset, sampling, codes, finding
        As there; by default 128 regions of an image, and background is all below 0.5.

    Returns
    -------
    FasterRCNN
        137,078,239 parameters for 21 classes: Fast R-CNN's, and ``rpn_conv``, ``rpn_cls_score``,
        ``rpn_bbox_pred``. :func:`alternating` is the
        paper's training in four steps.

    Notes
    -----
    Source: Ren et al. 2015, and their programs: faster_rcnn (MATLAB), py-faster-rcnn, whose
    constants are ``anchors={"variant": "caffe"}``.
    """
    settings = Settings(
        checks.integer("classes", classes, 2),
        r.scaling(in_channels, mean, std, min_size, max_size),
        r.settings(r.Sampling, "sampling", sampling, batch_size_per_image=128, least=0.0),
        r.settings(r.Codes, "codes", codes),
        r.settings(r.Finding, "finding", finding),
        checks.integer("offset", offset, 0, 1),
    )
    trunk = vgg_parts.features(in_channels, width, level)
    proposing = Proposing(
        rpn.anchors(anchors),
        r.settings(rpn.Proposals, "proposals", proposals),
        vgg_parts.stride(level),
    )
    channels = vgg_parts.channels(width, level)
    count = len(proposing.anchors.sizes) * len(proposing.anchors.ratios)
    hidden = vgg.HIDDEN * width if hidden is None else checks.integer("hidden", hidden, 1)
    head = fast_rcnn_head(width, level, hidden, classes, output_size, dropout)
    frozen = vgg_parts.fixed(trunk, fixed_levels)
    return FasterRCNN(
        trunk, rpn.network(channels, HIDDEN * width, count), head, settings, proposing, frozen
    )


class ProposalNetwork(Parts):
    """The first half alone: a detector of objects of whatever class, which it calls 1."""

    still = False
    """Graphs run as in inference even in training: their norms are frozen."""

    def __init__(
        self,
        trunk: Graph,
        network: Graph,
        settings: Settings,
        proposing: Proposing,
        frozen: Collection[str] = (),
        others: Sequence[Graph] = (),
    ) -> None:
        super().__init__(trunk, network, *others, frozen=frozen)
        self.trunk, self.rpn, self.settings, self.proposing = trunk, network, settings, proposing
        self.channels, self.classes = settings.scaling.in_channels, settings.classes
        self.base = rpn.base(proposing.anchors, proposing.stride, settings.offset)

    def maps(self, params: Mapping[str, Array], x: Array) -> tuple[Array, Array, Array]:
        """Features, scores and codes of images."""
        features = self.trunk.run(self.of(self.trunk, params), x)
        return features, *self.rpn.run(self.of(self.rpn, params), features)

    def anchors(self, maps: Array) -> Array:
        """Those of a map."""
        return boxes.anchors(maps.shape[2:], self.proposing.stride, self.base)

    def propose(
        self, scores: Array, codes: Array, size: tuple[int, int], factor: float, training: bool
    ) -> tuple[Array, Array]:
        """Regions of one image, the surest first, and how sure, in the scaled image."""
        how = self.proposing.proposals
        return rpn.propose(
            scores, codes, self.anchors(scores[None]), size, how,
            training=training, offset=self.settings.offset, factor=factor,
        )  # fmt: skip

    def proposals(
        self, params: Mapping[str, Array], image: Array, training: bool = False
    ) -> tuple[Array, Array]:
        """Boxes of one image, in its own pixels, the surest first, and how sure."""
        x, (size,), (factor,) = r.batch([image], self.settings.scaling, dtype_of(params))
        _, scores, codes = self.maps(params, x)
        found, sure = self.propose(scores[0], codes[0], size, factor, training)
        edges = r.outer(found, factor, self.settings.offset)
        return boxes.clip(edges, image.shape[1:]), sure

    def detect(self, params: Mapping[str, Array], images: Sequence[Array]) -> list[Detections]:
        """Proposals of each image, the surest first."""
        self.check(params)
        found = [self.proposals(params, image) for image in images]
        return [Detections(edges, np.ones(len(sure), np.int64), sure) for edges, sure in found]

    def forward(
        self,
        params: Mapping[str, Array],
        images: Sequence[Array],
        instances: Sequence[Instances],
        *,
        training: bool = True,
        seed: int = 0,
        step: int = 0,
    ) -> r.Losses:
        """The terms "objectness" and "anchors", over the anchors of all images."""
        run = Run(self, params, images, instances, training, seed, step)
        terms, back = run.proposing()

        def backward(share: float, needs: Collection[str]) -> dict[str, Array]:
            return run.below([back(share, needs)], needs)

        return r.Losses(terms, run.updates, backward)

    def backward(
        self, losses: r.Losses, *, share: float = 1.0, needs: Collection[str] | None = None
    ) -> dict[str, Array]:
        """Gradients of ``share`` times the sum of the terms, by the parameters' names."""
        found = losses.back(share, self.needs(needs))
        return {name: found[name] for name in self.names if name in found}


Back = Callable[[float, Collection[str]], dict[str, Array]]
"""Gradients of one part's parameters and of "features", for a share of the loss."""


class Run:
    """One forward pass of the convolutions, and of the proposal network on their map."""

    def __init__(
        self,
        detector: ProposalNetwork,
        params: Mapping[str, Array],
        images: Sequence[Array],
        instances: Sequence[Instances],
        training: bool,
        seed: int,
        step: int,
    ) -> None:
        detector.check(params)
        how = detector.settings
        r.paired(images, instances, how.classes)
        self.detector, self.params, self.seed = detector, params, (seed, step)
        self.mode: dict[str, Any] = {"training": training, "seed": seed, "step": step}
        self.x, self.sizes, self.factors = r.batch(images, how.scaling, dtype_of(params))
        self.there = [
            r.truth(objects, factor, how.offset)
            for objects, factor in zip(instances, self.factors, strict=True)
        ]
        self.updates: dict[str, Array] = {}
        self.features, self.tape = self.run(detector.trunk, self.x)
        (self.scores, self.codes), self.rpn_tape = self.run(detector.rpn, self.features)

    def run(self, graph: Graph, *inputs: Array) -> tuple[Any, Any]:
        """Outputs and tape."""
        mode = self.mode | ({"training": False} if self.detector.still else {})
        y, tape = graph.forward(self.detector.of(graph, self.params), *inputs, **mode)
        self.updates |= tape.updates
        return y, tape

    def proposing(self) -> tuple[dict[str, float], Back]:
        """The proposal network's terms."""
        detector = self.detector
        lost = rpn.loss(
            self.scores, self.codes, detector.anchors(self.features), self.there, self.sizes,
            detector.proposing.anchors, (*self.seed, 0), offset=detector.settings.offset,
        )  # fmt: skip

        def back(share: float, needs: Collection[str]) -> dict[str, Array]:
            factor = self.x.dtype.type(share)
            grads_y = lost.grad_scores * factor, lost.grad_codes * factor
            return r.gradients(
                detector.rpn, self.rpn_tape, grads_y, needs, *self.features_if(needs)
            )

        return {"objectness": lost.objectness, "anchors": lost.boxes}, back

    def features_if(self, needs: Collection[str]) -> list[str]:
        """The map's name, where anything below it wants a gradient."""
        return ["features"] if any(p.name in needs for p in self.detector.trunk.params) else []

    def below(self, grads: Sequence[dict[str, Array]], needs: Collection[str]) -> dict[str, Array]:
        """All gradients, those of the convolutions included."""
        found = total(grads)
        if (grad := found.pop("features", None)) is not None:
            found |= r.gradients(self.detector.trunk, self.tape, grad, needs)
        return found

    def regions(self, given: Sequence[Array] | None, images: Sequence[Array]) -> list[r.Chosen]:
        """Regions to learn from, of proposals or of those that are given."""
        detector, how, picked = self.detector, self.detector.settings, []
        for j, there in enumerate(self.there):
            if given is None:
                own, _ = detector.propose(
                    self.scores[j], self.codes[j], self.sizes[j], self.factors[j],
                    self.mode["training"],
                )  # fmt: skip
            else:
                own = r.proposed(given[j], images[j], self.factors[j], how.offset)
            picked.append(r.chosen(own, there, how.sampling, how.offset, (*self.seed, j, 1)))
        return picked


class FasterRCNN(ProposalNetwork):
    """The proposal network, and Fast R-CNN on its proposals and on its map."""

    def __init__(
        self,
        trunk: Graph,
        network: Graph,
        head: Graph,
        settings: Settings,
        proposing: Proposing,
        frozen: Collection[str] = (),
        others: Sequence[Graph] = (),
    ) -> None:
        super().__init__(trunk, network, settings, proposing, frozen, (head, *others))
        self.head, self.frozen = head, frozen
        self.scoring = head
        """The part of it that an inference runs on all regions."""

    def detect(self, params: Mapping[str, Array], images: Sequence[Array]) -> list[Detections]:
        """What is found in each image, the highest score first."""
        self.check(params)
        return [self._detect(params, image) for image in images]

    def _detect(self, params: Mapping[str, Array], image: Array) -> Detections:
        how = self.settings
        x, (size,), (factor,) = r.batch([image], how.scaling, dtype_of(params))
        features, scores, codes = self.maps(params, x)
        regions, _ = self.propose(scores[0], codes[0], size, factor, training=False)
        best = self.boxes_of(params, features, regions, size)
        return r.detections(*best, factor, how.offset, image)

    def boxes_of(
        self, params: Mapping[str, Array], features: Array, regions: Array, size: tuple[int, int]
    ) -> tuple[Array, Array, Array]:
        """Boxes, labels and scores of what is found in regions of an image, the best first."""
        how = self.settings
        if not len(regions):
            return np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0)
        own, rows = self.of(self.scoring, params), r.rows_of([regions], features.dtype)
        scores, codes = self.scoring.run(own, features, rows)
        return r.found(
            r.probabilities(scores), codes, regions, size, how.finding, how.codes,
            offset=how.offset,
        )  # fmt: skip

    def forward(
        self,
        params: Mapping[str, Array],
        images: Sequence[Array],
        instances: Sequence[Instances],
        *,
        training: bool = True,
        seed: int = 0,
        step: int = 0,
        regions: Sequence[Array] | None = None,
    ) -> r.Losses:
        """The terms "objectness" and "anchors" of the proposal network, "classes" and "boxes" of
        the regions, of all images together.

        ``regions``: those of each image, in its pixels, instead of proposals.
        """
        run = Run(self, params, images, instances, training, seed, step)
        terms, first = run.proposing()
        others, second = self.of_regions(run, run.regions(regions, images), instances)

        def back(share: float, needs: Collection[str]) -> dict[str, Array]:
            return run.below([first(share, needs), second(share, needs)], needs)

        return r.Losses(terms | others, run.updates, back)

    def of_regions(
        self, run: Run, picked: Sequence[r.Chosen], instances: Sequence[Instances]
    ) -> tuple[dict[str, float], Back]:
        """The terms of the regions, and their gradients."""
        how = self.settings
        rows = r.rows_of([one.boxes for one in picked], run.x.dtype)
        (scores, codes), tape = run.run(self.head, run.features, rows)
        lost = r.joint_loss(scores, codes, picked, how.codes, offset=how.offset)

        def back(share: float, needs: Collection[str]) -> dict[str, Array]:
            factor = run.x.dtype.type(share)
            grads_y = lost.grad_scores * factor, lost.grad_codes * factor
            return r.gradients(self.head, tape, grads_y, needs, *run.features_if(needs))

        return {"classes": lost.classes, "boxes": lost.boxes}, back


# -- in four steps ----------------------------------------------------------------------------


def stage(
    detector: FasterRCNN, number: int, proposer: Mapping[str, Array] | None = None
) -> ProposalNetwork | GivenRegions:
    """The detector that one of the four steps trains; :func:`alternating` takes all.

    1 the proposal network, 2 Fast R-CNN on its proposals, 3 the proposal network's own layers,
    4 Fast R-CNN's own layers on those proposals. ``proposer``, of 2 and 4, are parameters of the
    step before.
    """
    number = checks.integer("number", number, 1, 4)
    own, trunk, settings = detector, detector.trunk, detector.settings
    shared = {param.name for param in trunk.params}
    frozen = own.frozen if number < 3 else shared
    network = ProposalNetwork(trunk, own.rpn, settings, own.proposing, frozen)
    if number in (1, 3):
        return network
    if proposer is None:
        raise ArgumentError(f"step {number} needs proposer, the parameters of the one before")
    params = {name: proposer[name] for name in network.names}
    propose = remembered(lambda image: network.proposals(params, image, training=True)[0])
    return GivenRegions(trunk, own.scoring, propose, settings, frozen)


Train = Callable[[Any, dict[str, Array]], dict[str, Array]]


def alternating(
    detector: FasterRCNN, params: Mapping[str, Array], train: Train
) -> dict[str, Array]:
    """The paper's training in four steps.

    Parameters
    ----------
    detector : FasterRCNN
    params : mapping of str to array
        Start values, those of an ImageNet network for the convolutions, if there is one.
    train : function
        ``train(step, params)`` trains a detector and gives its parameters.

    Returns
    -------
    dict of array
        Of the detector, all layers of which have been trained once at least.
    """

    def trained(step: Any, given: Mapping[str, Array]) -> dict[str, Array]:
        return train(step, {name: given[name] for name in step.names})

    first = trained(stage(detector, 1), params)
    second = trained(stage(detector, 2, first), params)
    third = trained(stage(detector, 3), {**first, **second})
    fourth = trained(stage(detector, 4, third), second)
    return {**params, **third, **fourth}
