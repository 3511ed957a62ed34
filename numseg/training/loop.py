"""The training loop: steps, epochs, scores, checkpoints, and going on from one."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from numseg.data.dataset import Dataset, Sample
from numseg.device import Device
from numseg.errors import ArgumentError, FileError
from numseg.files import remove_parts
from numseg.graph import Graph, digest
from numseg.training import balance, devices, groups
from numseg.training.batches import Batch, batches
from numseg.training.checkpoints import (
    Checkpoint,
    check_saving,
    load_checkpoint,
    make_network,
    save_checkpoint,
    written,
)
from numseg.training.losses import Criterion
from numseg.training.metrics import Scores, scores
from numseg.training.predict import check_takes, evaluate, image_channels
from numseg.training.progress import Bar, bar
from numseg.training.recipe import Recipe, completed
from numseg.training.survey import survey
from numseg.typing import Array

DIVERGED = "the loss is not finite (epoch {epoch}): lower the learning rate, now {lr:g}"


class Epoch(NamedTuple):
    """What one epoch gave."""

    epoch: int
    """Counted from 1."""
    loss: float
    """Mean of the steps' losses."""
    scores: Scores
    """On the held-out pictures."""


class Trained(NamedTuple):
    """What :func:`train` returns."""

    params: dict[str, Array]
    """On the device on which they were trained."""
    history: list[dict[str, Any]]
    """By epoch: loss, mean_iou, pixel_accuracy, class_iou, class_accuracy; None for NaN."""


def train(
    net: Graph | Mapping[str, Any],
    dataset: Dataset,
    held_out: Dataset,
    recipe: Recipe,
    *,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    device: str = "cpu",
    progress: str | None = None,
    report: Callable[[Epoch], None] | None = None,
) -> Trained:
    """Train a network, and score it on held-out pictures after every epoch.

    Parameters
    ----------
    net : mapping or Graph
        The network's name in :mod:`numseg.nets` and its arguments: ``{"name": "unet",
        "in_channels": 3, "classes": 8, "width": 16, "depth": 3, "padding": "same", "norm": True}``;
        the name may be ``"module:function"`` of a function that makes a graph. Or any graph of one
        input, the pictures, whose first output scores the classes; :func:`load_network` then asks
        for it.
    dataset, held_out : Dataset
        With the same classes.
    recipe : Recipe
    checkpoint : path, optional
        Written whole after every epoch. Killed at any moment, a run that is started again with
        ``resume=True`` goes on from the last finished epoch, and ends with the bits of a run that
        nothing happened to.
    resume : bool
        Go on from the checkpoint, if there is one. It must be of the same network and recipe, but
        for the number of epochs: with ``schedule="constant"`` a longer recipe continues the run.
    device : {"cpu", "cuda"}
        Where to train. Parameters are moved there once, batches one by one.
    progress : str, optional
        Show a progress bar (tqdm) with this title, on stderr.
    report : function, optional
        Called after every epoch.

    Raises
    ------
    ArgumentError
        If network, data and recipe do not fit each other or the checkpoint, or the loss becomes
        infinite or NaN; or if a checkpoint is wanted that cannot hold the recipe. All pictures,
        held-out ones too, are read once before the first step, to see that they fit.
    DeviceError
        Without such a device, or if an operator cannot run there.
    FileError
        If the checkpoint cannot be read or written; an earlier one stays as it is.
    """
    run = _Run(net, dataset, held_out, recipe, devices.named(device))
    if len(dataset) == 0 or len(held_out) == 0:
        raise ArgumentError(f"{len(dataset)} pictures to train on, {len(held_out)} held out")
    if dataset.classes != held_out.classes:
        raise ArgumentError("the pictures to train on and those held out have different classes")
    if run.steps == 0:
        raise ArgumentError(
            f"drop_last leaves no batch: batch is {recipe.sampling.batch}, but an epoch has "
            f"{len(dataset) * recipe.sampling.repeat} pieces"
        )
    if recipe.warm_up >= recipe.epochs * run.steps > 0:
        raise ArgumentError(
            f"warm_up is {recipe.warm_up} steps, but the run has {recipe.epochs * run.steps}"
        )
    run.check_crop()
    if checkpoint is not None:
        run.about = run.describe(net)
        check_saving(checkpoint)
    elif resume:
        raise ArgumentError("resume=True goes on from a checkpoint, but checkpoint is None")
    at = run.start()
    if checkpoint is not None:
        remove_parts(checkpoint)
        if resume and Path(checkpoint).is_file():
            at = run.resumed(checkpoint, at)
    shown = bar(None, 0, 0)
    try:
        run.check_pictures(progress)
        shown = bar(progress, at.epoch * run.steps, recipe.epochs * run.steps)
        while at.epoch < recipe.epochs:
            at, result = run.epoch(at, shown)
            if checkpoint is not None:
                save_checkpoint(checkpoint, at)
            shown.show(miou=result.scores.mean_iou)
            if report is not None:
                report(result)
    except (KeyboardInterrupt, BrokenPipeError) as stop:  # from ``report``, which prints
        kept = f"{at.epoch} of {recipe.epochs} epochs are in {checkpoint}"
        stop.add_note(kept if checkpoint is not None and at.epoch else "nothing was kept")
        raise
    finally:
        shown.close()
    return Trained(at.params, at.history)


class _Run:
    """What stays the same from epoch to epoch."""

    def __init__(
        self,
        net: Graph | Mapping[str, Any],
        dataset: Dataset,
        held_out: Dataset,
        recipe: Recipe,
        where: Device,
    ) -> None:
        graph = net if isinstance(net, Graph) else make_network(net)
        self.channels = image_channels(graph)
        self.dataset, self.held_out, self.recipe, self.where = dataset, held_out, recipe, where
        self.graph, norms = groups.with_frozen_norms(graph, recipe.frozen_norms)
        self.trainable = groups.trained(self.graph, recipe.frozen, norms)
        self.optimiser = recipe.make_optimiser(self.trainable)
        self.criterion = Criterion(recipe.losses, len(dataset.classes), dataset.ignored)
        self.steps = recipe.sampling.steps(dataset)
        self.about: dict[str, Any] = {}

    def describe(self, net: Graph | Mapping[str, Any]) -> dict[str, Any]:
        """What makes another run the same, as a file holds it."""
        graph = {"graph": digest(net)} if isinstance(net, Graph) else written("net", net)
        about = {
            "net": graph,
            "classes": list(self.dataset.classes),
            "pictures": [len(self.dataset), len(self.held_out)],
            "recipe": self.recipe.written(),
        }
        if self.dataset.colours is not None:
            about["colours"] = written("colours", self.dataset.colours)
        return about

    def check_crop(self) -> None:
        """The network takes pieces of this size, and gives the losses what they score."""
        sampling = self.recipe.sampling
        sampling.check(self.channels)
        image = 1, self.channels, *sampling.size
        try:
            self.graph.shapes(image)
        except ArgumentError as error:
            raise ArgumentError(f"crop {sampling.crop}: {error}") from None
        self.criterion.check(self.graph, image)

    def check_pictures(self, progress: str | None) -> None:
        """Every picture fits its labels and the network: what does not is found before the work."""
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
        check_takes(self.graph, sample.image, len(self.held_out.classes))

    def start(self) -> Checkpoint:
        params = devices.all_moved(self.graph.init(self.recipe.sampling.seed), self.where)
        trainable = {name: params[name] for name in self.trainable}
        return Checkpoint(params, self.optimiser.start(trainable), 0, [], self.about)

    def resumed(self, path: str | os.PathLike[str], start: Checkpoint) -> Checkpoint:
        """The checkpoint, if it is of this run, which began with ``start``."""
        found = load_checkpoint(path)
        for part in ("net", "classes", "pictures", "recipe"):
            value, earlier = self.about[part], found.about.get(part)
            if part == "recipe" and isinstance(earlier, dict):
                value = completed(value)
                earlier = completed(earlier | {"epochs": self.recipe.epochs})
            if earlier != value:
                raise ArgumentError(
                    f"{path} is of another run: {_difference(part, earlier, value)}"
                )
        if found.epoch > self.recipe.epochs:
            raise ArgumentError(
                f"{path} has {found.epoch} epochs, but epochs is {self.recipe.epochs}"
            )
        try:
            self.graph.check(found.params)
        except ArgumentError as error:
            raise FileError(f"{path}: does not fit its network: {error}") from None
        if found.state.keys() != start.state.keys():
            raise FileError(f"{path}: its state is not that of {self.recipe.optimiser}")
        params = devices.all_moved(found.params, self.where)
        state = {  # a parameter's goes where the parameter is, the number of steps stays here
            name: devices.moved(array, devices.of({name: start.state[name]}))
            for name, array in found.state.items()
        }
        return Checkpoint(params, state, found.epoch, found.history, self.about)

    def epoch(self, at: Checkpoint, shown: Bar) -> tuple[Checkpoint, Epoch]:
        """One epoch's steps, and its scores."""
        params, state = at.params, at.state
        losses = []
        sampling = self.recipe.sampling
        for i, batch in enumerate(batches(self.dataset, sampling, self.channels, at.epoch)):
            params, state, loss = self.step(params, state, batch, at.epoch * self.steps + i)
            losses.append(loss)
            shown.advance(loss)
        found = scores(evaluate(self.graph, params, self.held_out))
        result = Epoch(at.epoch + 1, sum(losses) / len(losses), found)
        history = [*at.history, _entry(result)]
        return Checkpoint(params, state, at.epoch + 1, history, self.about), result

    def step(
        self, params: dict[str, Array], state: dict[str, Array], batch: Batch, step: int
    ) -> tuple[dict[str, Array], dict[str, Array], float]:
        """New parameters, new state, and the loss. The old ones are given up."""
        seed = self.recipe.sampling.seed
        x = devices.moved(batch.x, self.where)
        outputs, tape = self.graph.forward(params, x, training=True, seed=seed, step=step)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        loss, kept = self.criterion.forward(outputs, batch.labels)
        lr = self.recipe.lr_at(step, self.recipe.epochs * self.steps)
        if not np.isfinite(loss):
            raise ArgumentError(DIVERGED.format(epoch=step // self.steps + 1, lr=lr))
        grads_y = self.criterion.backward(kept, len(outputs))
        grads = self.graph.backward(tape, grads_y, needs=self.trainable)
        params, state = self.optimiser.step(params, grads, state, lr, donate=True)
        return params | tape.updates, state, loss


def _entry(result: Epoch) -> dict[str, Any]:
    """An epoch as JSON."""

    def plain(value: float) -> float | None:
        return None if math.isnan(value) else float(value)

    found = result.scores
    return {
        "loss": plain(result.loss),
        "mean_iou": plain(found.mean_iou),
        "pixel_accuracy": plain(found.pixel_accuracy),
        "class_iou": [plain(v) for v in found.class_iou],
        "class_accuracy": [plain(v) for v in found.class_accuracy],
    }


def _difference(part: str, earlier: Any, now: Any) -> str:
    """What differs, in words."""
    if isinstance(earlier, dict) and isinstance(now, dict) and earlier.keys() & now.keys():
        for key in now:
            if earlier.get(key) != now[key]:
                return _difference(f"{part}.{key}", earlier.get(key), now[key])
    return f"{part} was {earlier!r}, now it is {now!r}"
