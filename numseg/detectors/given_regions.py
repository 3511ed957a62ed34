"""Detectors that look at regions which something else proposes: R-CNN, SPPNet, Fast R-CNN."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from numseg.data.instances import Detections, Instances
from numseg.detectors import regions as r
from numseg.detectors.images import dtype_of
from numseg.detectors.parts import Parts
from numseg.graph import Graph
from numseg.typing import Array

Propose = Callable[[Array], Array]
"""Of an image (C, H, W) the boxes of regions, (K, 4): edges, in its pixels."""


class Settings(NamedTuple):
    """All that is no graph."""

    classes: int
    scaling: r.Scaling
    sampling: r.Sampling
    codes: r.Codes
    finding: r.Finding
    offset: int = 1
    kind: str = "softmax"
    least: float = 0.0
    at_once: int | None = None
    """In inference, regions that go through the network together."""


class GivenRegions(Parts):
    """A detector made of two graphs, for an image and for its regions.

    Parameters
    ----------
    trunk : Graph, optional
        From the images to a map. Without one, regions are cut from the images.
    head : Graph
        From what :meth:`of_regions` makes of a map and of boxes to scores and codes.
    propose : function
        Of an image the boxes of its regions.
    settings : Settings
    frozen : collection of str
        Names of parameters that training leaves as they are.
    """

    def __init__(
        self,
        trunk: Graph | None,
        head: Graph,
        propose: Propose,
        settings: Settings,
        frozen: Collection[str] = (),
    ) -> None:
        super().__init__(*(graph for graph in (trunk, head) if graph is not None), frozen=frozen)
        self.trunk, self.head, self.propose, self.settings = trunk, head, propose, settings
        self.channels, self.classes = settings.scaling.in_channels, settings.classes

    def of_regions(self, maps: Array, rows: Array) -> tuple[Array, ...]:
        """What the head is given, of a map and (K, 5) boxes in the scaled images."""
        return maps, rows

    # -- finding ------------------------------------------------------------------------------

    def detect(self, params: Mapping[str, Array], images: Sequence[Array]) -> list[Detections]:
        """What is found in each image, the highest score first."""
        self.check(params)
        return [self._detect(params, image) for image in images]

    def _detect(self, params: Mapping[str, Array], image: Array) -> Detections:
        how = self.settings
        x, sizes, (factor,) = r.batch([image], how.scaling, dtype_of(params))
        regions = r.proposed(self.propose(image), image, factor, how.offset)
        if not len(regions):
            return r.nothing()
        maps = x if self.trunk is None else self.trunk.run(self.of(self.trunk, params), x)
        scores, codes = self.scored(params, maps, r.rows_of([regions], x.dtype))
        best = r.found(scores, codes, regions, sizes[0], how.finding, how.codes, offset=how.offset)
        return r.detections(*best, factor, how.offset, image)

    def scored(self, params: Mapping[str, Array], maps: Array, rows: Array) -> tuple[Array, Array]:
        """Scores, the background's first, and codes of (K, 5) boxes."""
        own, step = self.of(self.head, params), self.settings.at_once or len(rows)
        runs = [
            self.head.run(own, *self.of_regions(maps, rows[at : at + step]))
            for at in range(0, len(rows), step)
        ]
        scores, codes = (np.concatenate(parts) for parts in zip(*runs, strict=True))
        if self.settings.kind == "hinge":
            return r.with_background(scores), codes
        return r.probabilities(scores), codes

    # -- learning -----------------------------------------------------------------------------

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
        """The terms "classes" and "boxes", each the mean over the regions of all images.

        ``regions``: those of each image, instead of those that are proposed.
        """
        self.check(params)
        r.paired(images, instances, self.classes, regions)
        how = self.settings
        x, _, factors = r.batch(images, how.scaling, dtype_of(params))
        given = map(self.propose, images) if regions is None else regions
        picked = [
            r.chosen(
                r.proposed(own, image, factor, how.offset),
                r.truth(objects, factor, how.offset),
                how.sampling,
                how.offset,
                (seed, step, j),
            )
            for j, (own, image, objects, factor) in enumerate(
                zip(given, images, instances, factors, strict=True)
            )
        ]
        mode: dict[str, Any] = {"training": training, "seed": seed, "step": step}
        maps, trunk_tape = x, None
        if self.trunk is not None:
            maps, trunk_tape = self.trunk.forward(self.of(self.trunk, params), x, **mode)
        rows = r.rows_of([one.boxes for one in picked], x.dtype)
        inputs = self.of_regions(maps, rows)
        (scores, codes), tape = self.head.forward(self.of(self.head, params), *inputs, **mode)
        loss = r.joint_loss(
            scores, codes, picked, how.codes, offset=how.offset, kind=how.kind, least=how.least
        )

        def back(share: float, needs: Collection[str]) -> dict[str, Array]:
            grads_y = loss.grad_scores * x.dtype.type(share), loss.grad_codes * x.dtype.type(share)
            return self._back(tape, trunk_tape, grads_y, needs)

        return r.Losses({"classes": loss.classes, "boxes": loss.boxes}, {}, back)

    def _back(
        self, tape: Any, trunk_tape: Any, grads_y: Any, needs: Collection[str]
    ) -> dict[str, Array]:
        below = self.trunk is not None and any(p.name in needs for p in self.trunk.params)
        found = r.gradients(self.head, tape, grads_y, needs, *(["features"] if below else []))
        if self.trunk is not None and below:
            found |= r.gradients(self.trunk, trunk_tape, found.pop("features"), needs)
        return found

    def backward(
        self, losses: r.Losses, *, share: float = 1.0, needs: Collection[str] | None = None
    ) -> dict[str, Array]:
        """Gradients of ``share`` times the sum of the terms, by the parameters' names."""
        found = losses.back(share, self.needs(needs))
        return {name: found[name] for name in self.names if name in found}
