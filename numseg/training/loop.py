"""The training loop: steps, epochs, scores, checkpoints, and going on from one."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from numseg import checks
from numseg.data.dataset import Dataset
from numseg.data.detection import DetectionDataset
from numseg.detectors.detector import Detector
from numseg.device import Device
from numseg.errors import ArgumentError, ArgumentTypeError
from numseg.files import check_writable, remove_parts
from numseg.graph import Graph
from numseg.kernels.machine.threads import MOST_THREADS
from numseg.training import devices
from numseg.training.checkpoints import Checkpoint, check_saving, save_checkpoint
from numseg.training.detecting import Detection, DetectionScores
from numseg.training.history import check_ending, scored, write_history
from numseg.training.metrics import Scores
from numseg.training.progress import Bar, bar
from numseg.training.recipe import Recipe
from numseg.training.resuming import resumed
from numseg.training.segmenting import Segmentation
from numseg.training.starting import Weights, digest_of, with_weights
from numseg.training.stepping import Step, Stepper, Trainee, mean_terms
from numseg.training.task import Task
from numseg.typing import Array

Net = Graph | Detector | Mapping[str, Any]
Data = Dataset | DetectionDataset


class Epoch(NamedTuple):
    """What one epoch gave."""

    epoch: int
    """Counted from 1."""
    loss: float
    """Mean of the steps' losses."""
    scores: Scores | DetectionScores
    """On the held-out pictures."""
    steps: tuple[Step, ...] = ()
    """Loss and learning rate of each step."""
    terms: Mapping[str, float] = {}
    """Means of the parts of the loss, where the network tells them apart."""


class Trained(NamedTuple):
    """What :func:`train` returns."""

    params: dict[str, Array]
    """On the device on which they were trained."""
    history: list[dict[str, Any]]
    """By epoch: the loss and the scores by their names, None for NaN."""
    average: Mapping[str, Array] = {}
    """Moving averages of the parameters, if the recipe asks for them."""


def train(
    net: Net,
    dataset: Data,
    held_out: Data,
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
    net : mapping, Graph or Detector
        The network's name in :mod:`numseg.nets` and its arguments: ``{"name": "unet",
        "in_channels": 3, "classes": 8, "width": 16, "depth": 3, "padding": "same", "norm": True}``;
        the name may be ``"module:function"`` of a function that makes a graph. Or any graph of one
        input, the pictures, whose first output scores the classes; :func:`load_network` then asks
        for it. With pictures of objects: the name of a function in :mod:`numseg.detectors` and its
        arguments, or a detector (of which no checkpoint can be made).
    dataset, held_out : Dataset, or both DetectionDataset
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
            at = resumed(checkpoint, at, run.task, recipe)
    shown = bar(None, 0, 0)
    try:
        run.task.check_pictures(progress)
        if history is not None and at.history:  # a run that was killed may not have come to it
            write_history(history, at.history, dataset.classes)
        shown = bar(progress, at.epoch * run.steps, recipe.epochs * run.steps)
        while at.epoch < recipe.epochs:
            at, result = run.epoch(at, shown)
            if checkpoint is not None:
                save_checkpoint(checkpoint, at)
            if history is not None:
                write_history(history, at.history, dataset.classes)
            shown.show(run.task.headline(result.scores))
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
        self, net: Net, dataset: Data, held_out: Data, recipe: Recipe, where: Device, workers: int
    ) -> None:
        self.dataset, self.held_out, self.recipe, self.workers = dataset, held_out, recipe, workers
        self.task = task(net, dataset, held_out, recipe, where)
        self.channels = self.task.channels
        optimiser = recipe.make_optimiser(self.task.trainable)
        self.stepper = Stepper(self.task, optimiser, recipe, where)
        self.steps = self.stepper.steps

    def describe(self, net: Net) -> dict[str, Any]:
        """What makes another run the same, as a file holds it."""
        return {
            "classes": list(self.dataset.classes),
            "pictures": [len(self.dataset), len(self.held_out)],
            **self.task.describe(net),
        }

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
        """The network takes pieces of this size."""
        self.task.check_pieces()

    def start(
        self, about: dict[str, Any], weights: Weights | None, fresh: Sequence[str]
    ) -> Checkpoint:
        """Before the first step."""
        params = self.task.init(self.recipe.sampling.seed)
        if weights is not None:
            params = with_weights(self.task, params, weights, fresh)
            about = about | {"start": digest_of(params)}
        elif len(fresh):
            raise ArgumentError(f"fresh is {fresh!r}, but no weights are given")
        at = self.stepper.start(devices.all_moved(params, self.stepper.where))
        return Checkpoint(at.params, at.state, 0, [], about, at.average)

    def epoch(self, at: Checkpoint, shown: Bar) -> tuple[Checkpoint, Epoch]:
        """One epoch's steps, and its scores."""
        now, steps = Trainee(at.params, at.state, dict(at.average)), []
        with contextlib.closing(self.task.epoch(at.epoch, self.workers)) as every:
            for number in range(self.steps):
                now, step = self.stepper.step(now, every, at.epoch, number)
                steps.append(step)
                shown.advance(step.loss, step.terms)
        found = self.task.scores(now.average if self.recipe.score_average else now.params)
        loss = sum(step.loss for step in steps) / len(steps)
        terms = mean_terms([step.terms for step in steps])
        result = Epoch(at.epoch + 1, loss, found, tuple(steps), terms)
        history = [*at.history, {"loss": loss, **terms, **scored(found)}]
        return Checkpoint(
            now.params, now.state, at.epoch + 1, history, at.about, now.average
        ), result


def task(net: Any, dataset: Any, held_out: Any, recipe: Recipe, where: Device) -> Task:
    """What is trained, which the pictures decide: those with labels are segmented, in those with
    objects these are detected."""
    kinds = {isinstance(data, DetectionDataset) for data in (dataset, held_out)}
    if len(kinds) > 1:
        raise ArgumentTypeError(
            f"the pictures to train on are a {type(dataset).__name__}, those held out a "
            f"{type(held_out).__name__}"
        )
    make: Any = Detection if kinds == {True} else Segmentation
    return make(net, dataset, held_out, recipe, where)
