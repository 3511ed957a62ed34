"""Segmentation as a task: a graph whose outputs are scored by operators of scores and labels."""

from __future__ import annotations

import math
import warnings
from collections.abc import Generator, Mapping
from typing import Any

from numseg.data.dataset import Dataset, Sample
from numseg.device import Device
from numseg.errors import ArgumentError
from numseg.graph import Graph, digest, image_channels
from numseg.training import balance, devices, groups
from numseg.training.batches import Batch, Sampling, batches
from numseg.training.checkpoints import make_network, written
from numseg.training.losses import Criterion
from numseg.training.metrics import Scores, scores
from numseg.training.predict import check_takes, evaluate
from numseg.training.progress import bar
from numseg.training.recipe import Recipe
from numseg.training.survey import survey
from numseg.training.task import Gradients
from numseg.training.uploads import uploaded
from numseg.typing import Array, ArrayLike


class Segmentation:
    """A network that says the class of every pixel (:class:`~numseg.training.task.Task`)."""

    def __init__(
        self,
        net: Graph | Mapping[str, Any],
        dataset: Dataset,
        held_out: Dataset,
        recipe: Recipe,
        where: Device,
    ) -> None:
        graph = net if isinstance(net, Graph) else make_network(net)
        if not isinstance(recipe.sampling, Sampling):
            kind = type(recipe.sampling).__name__
            raise ArgumentError(f"sampling is {kind}, but segmentation is trained with Sampling")
        self.sampling = recipe.sampling
        self.channels = image_channels(graph)
        self.dataset, self.held_out, self.recipe, self.where = dataset, held_out, recipe, where
        self.graph, norms = groups.with_frozen_norms(graph, recipe.frozen_norms)
        self.params = graph.params
        names = [param.name for param in graph.params]
        self.trainable = groups.trained(names, graph.trainable, recipe.frozen, norms)
        self.criterion = Criterion(recipe.losses, len(dataset.classes), dataset.ignored)
        self.batches = recipe.sampling.steps(dataset)

    def describe(self, net: Graph | Mapping[str, Any]) -> dict[str, Any]:
        graph = {"graph": digest(net)} if isinstance(net, Graph) else written("net", net)
        about = {"net": graph, "recipe": self.recipe.written()}
        if self.dataset.colours is not None:
            about["colours"] = written("colours", self.dataset.colours)
        return about

    def init(self, seed: int) -> dict[str, Array]:
        return self.graph.init(seed)

    def check(self, params: Mapping[str, ArrayLike]) -> None:
        self.graph.check(params)

    def check_pieces(self) -> None:
        """The network takes pieces of this size, and gives the losses what they score."""
        self.sampling.check(self.channels)
        image = 1, self.channels, *self.sampling.size
        try:
            self.graph.shapes(image)
        except ArgumentError as error:
            raise ArgumentError(f"crop {self.sampling.crop}: {error}") from None
        self.criterion.check(self.graph, image)

    def check_pictures(self, progress: str | None) -> None:
        pictures = len(self.dataset) + len(self.held_out)
        shown = bar(progress and f"{progress}: pictures", 0, pictures, "picture")
        try:
            seen = survey(self.dataset, "pictures to train on", self.channels, shown.count)
            unseen = survey(
                self.held_out, "held-out pictures", self.channels, shown.count, self._check_size
            )
        finally:
            shown.close()
        if self.recipe.balance is not None:
            self.criterion.weigh(balance.weights(self.recipe.balance, seen.frequencies))
        for line in seen.warnings + unseen.warnings:
            warnings.warn(line, stacklevel=3)

    def _check_size(self, sample: Sample) -> None:
        check_takes(
            self.graph, len(sample.image), sample.image.shape[1:], len(self.held_out.classes)
        )

    def epoch(self, number: int, workers: int) -> Generator[Batch, None, None]:
        made = batches(self.dataset, self.sampling, self.channels, number, workers=workers)
        return uploaded(made, self.where)

    def gradients(
        self, params: Mapping[str, Array], batch: Batch, step: int, share: float
    ) -> Gradients:
        x = devices.moved(batch.x, self.where)
        outputs, tape = self.graph.forward(
            params, x, training=True, seed=self.sampling.seed, step=step
        )
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        loss, kept = self.criterion.forward(outputs, batch.labels)
        if not math.isfinite(loss):
            return Gradients(loss, {}, {})
        grads_y = self.criterion.backward(kept, len(outputs), share)
        grads = self.graph.backward(tape, grads_y, needs=self.trainable)
        return Gradients(loss, grads, tape.updates)

    def scores(self, params: Mapping[str, Array]) -> Scores:
        return scores(evaluate(self.graph, params, self.held_out))

    def headline(self, scores: Scores) -> dict[str, float]:
        return {"mIoU": scores.mean_iou}
