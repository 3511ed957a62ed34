"""The training loop: steps, epochs, scores, checkpoints, and going on from one."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from numseg import checks
from numseg.data.dataset import Dataset, Sample
from numseg.device import Device
from numseg.errors import ArgumentError
from numseg.files import check_writable, remove_parts
from numseg.graph import Graph, digest, image_channels
from numseg.kernels.machine.threads import MOST_THREADS
from numseg.training import balance, devices, groups
from numseg.training.batches import batches
from numseg.training.checkpoints import (
    Checkpoint,
    check_saving,
    make_network,
    save_checkpoint,
    written,
)
from numseg.training.history import check_ending, scored, write_history
from numseg.training.losses import Criterion
from numseg.training.metrics import Scores, scores
from numseg.training.predict import check_takes, evaluate
from numseg.training.progress import Bar, bar
from numseg.training.recipe import Recipe
from numseg.training.resuming import resumed
from numseg.training.starting import Weights, digest_of, with_weights
from numseg.training.stepping import Step, Stepper, Trainee
from numseg.training.survey import survey
from numseg.training.uploads import uploaded
from numseg.typing import Array


class Epoch(NamedTuple):
    """What one epoch gave."""

    epoch: int
    """Counted from 1."""
    loss: float
    """Mean of the steps' losses."""
    scores: Scores
    """On the held-out pictures."""
    steps: tuple[Step, ...] = ()
    """Loss and learning rate of each step."""


class Trained(NamedTuple):
    """What :func:`train` returns."""

    params: dict[str, Array]
    """On the device on which they were trained."""
    history: list[dict[str, Any]]
    """By epoch: the loss and the scores by their names, None for NaN."""
    average: Mapping[str, Array] = {}
    """Moving averages of the parameters, if the recipe asks for them."""


def train(
    net: Graph | Mapping[str, Any],
    dataset: Dataset,
    held_out: Dataset,
    recipe: Recipe,
    *,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    weights: Weights | None = None,
    fresh: Sequence[str] = (),
    workers: int = 0,
    history: str | os.PathLike[str] | None = None,
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
    weights : path or mapping of str to array, optional
        Start with these parameters: a checkpoint, or any file of arrays that have the parameters'
        names and shapes (:func:`numseg.interop.weights.load`; what has other names, its ``match``
        renames). A run that goes on must be given the same.
    fresh : sequence of str
        Patterns of names (``["head.*"]``) that are not taken from ``weights``, or not wanted of it.
    workers : int
        Threads that make batches ahead; by default they are made between the steps. The bits do not
        depend on it. A dataset that reads files must be able to do so in several threads.
    history : path, optional
        Write what every epoch gave there, ``.csv`` or ``.jsonl`` (:func:`write_history`).
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
    workers = checks.integer("workers", workers, 0, MOST_THREADS)
    run = Run(net, dataset, held_out, recipe, devices.named(device), workers)
    run.check_run()
    run.check_crop()
    about = {} if checkpoint is None else run.describe(net)
    if checkpoint is not None:
        check_saving(checkpoint)
    elif resume:
        raise ArgumentError("resume=True goes on from a checkpoint, but checkpoint is None")
    if history is not None:
        check_ending(history)
        check_writable(history)
    at = run.start(about, weights, fresh)
    if checkpoint is not None:
        remove_parts(checkpoint)
        if resume and Path(checkpoint).is_file():
            at = resumed(checkpoint, at, run.graph, recipe)
    shown = bar(None, 0, 0)
    try:
        run.check_pictures(progress)
        if history is not None and at.history:  # a run that was killed may not have come to it
            write_history(history, at.history, dataset.classes)
        shown = bar(progress, at.epoch * run.steps, recipe.epochs * run.steps)
        while at.epoch < recipe.epochs:
            at, result = run.epoch(at, shown)
            if checkpoint is not None:
                save_checkpoint(checkpoint, at)
            if history is not None:
                write_history(history, at.history, dataset.classes)
            shown.show(miou=result.scores.mean_iou)
            if report is not None:
                report(result)
    except (KeyboardInterrupt, BrokenPipeError) as stop:  # from ``report``, which prints
        kept = f"{at.epoch} of {recipe.epochs} epochs are in {checkpoint}"
        stop.add_note(kept if checkpoint is not None and at.epoch else "nothing was kept")
        raise
    finally:
        shown.close()
    return Trained(at.params, at.history, at.average)


class Run:
    """What stays the same from epoch to epoch."""

    def __init__(
        self,
        net: Graph | Mapping[str, Any],
        dataset: Dataset,
        held_out: Dataset,
        recipe: Recipe,
        where: Device,
        workers: int,
    ) -> None:
        graph = net if isinstance(net, Graph) else make_network(net)
        self.channels = image_channels(graph)
        self.dataset, self.held_out, self.recipe, self.workers = dataset, held_out, recipe, workers
        self.graph, norms = groups.with_frozen_norms(graph, recipe.frozen_norms)
        trainable = groups.trained(self.graph, recipe.frozen, norms)
        self.criterion = Criterion(recipe.losses, len(dataset.classes), dataset.ignored)
        self.stepper = Stepper(
            self.graph,
            trainable,
            self.criterion,
            recipe.make_optimiser(trainable),
            recipe,
            where,
            recipe.sampling.steps(dataset),
        )
        self.steps = self.stepper.steps

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

    def check_run(self) -> None:
        """There is something to train on and to score, and a step is made."""
        dataset, held_out, recipe = self.dataset, self.held_out, self.recipe
        if len(dataset) == 0 or len(held_out) == 0:
            raise ArgumentError(f"{len(dataset)} pictures to train on, {len(held_out)} held out")
        if dataset.classes != held_out.classes:
            raise ArgumentError(
                "the pictures to train on and those held out have different classes"
            )
        if self.steps == 0:
            raise ArgumentError(
                f"drop_last leaves no batch: batch is {recipe.sampling.batch}, but an epoch has "
                f"{len(dataset) * recipe.sampling.repeat} pieces"
            )
        if recipe.warm_up >= recipe.epochs * self.steps > 0:
            raise ArgumentError(
                f"warm_up is {recipe.warm_up} steps, but the run has {recipe.epochs * self.steps}"
            )

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
        check_takes(
            self.graph, len(sample.image), sample.image.shape[1:], len(self.held_out.classes)
        )

    def start(
        self, about: dict[str, Any], weights: Weights | None, fresh: Sequence[str]
    ) -> Checkpoint:
        """Before the first step."""
        params = self.graph.init(self.recipe.sampling.seed)
        if weights is not None:
            params = with_weights(self.graph, params, weights, fresh)
            about = about | {"start": digest_of(params)}
        elif len(fresh):
            raise ArgumentError(f"fresh is {fresh!r}, but no weights are given")
        at = self.stepper.start(devices.all_moved(params, self.stepper.where))
        return Checkpoint(at.params, at.state, 0, [], about, at.average)

    def epoch(self, at: Checkpoint, shown: Bar) -> tuple[Checkpoint, Epoch]:
        """One epoch's steps, and its scores."""
        now, steps = Trainee(at.params, at.state, dict(at.average)), []
        made = batches(
            self.dataset, self.recipe.sampling, self.channels, at.epoch, workers=self.workers
        )
        every = uploaded(made, self.stepper.where)
        with contextlib.closing(every):
            for number in range(self.steps):
                now, step = self.stepper.step(now, every, at.epoch, number)
                steps.append(step)
                shown.advance(step.loss)
        judged = now.average if self.recipe.score_average else now.params
        found = scores(evaluate(self.graph, judged, self.held_out))
        loss = sum(step.loss for step in steps) / len(steps)
        result = Epoch(at.epoch + 1, loss, found, tuple(steps))
        history = [*at.history, {"loss": loss, **scored(found)}]
        return Checkpoint(
            now.params, now.state, at.epoch + 1, history, at.about, now.average
        ), result
