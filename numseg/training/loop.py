"""The training loop: steps, epochs, scores, checkpoints, and going on from one."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from numseg import checks
from numseg.data.dataset import Dataset
from numseg.errors import ArgumentError, FileError
from numseg.files import optional, remove_parts
from numseg.operator import Operator
from numseg.ops.cross_entropy import cross_entropy
from numseg.ops.dice_loss import dice_loss
from numseg.training.batches import Batch, Sampling, batches, ignored_label
from numseg.training.checkpoints import Checkpoint, load_checkpoint, make_network, save_checkpoint
from numseg.training.metrics import Scores, scores
from numseg.training.optimisers import SGD, Adam, Optimiser
from numseg.training.predict import evaluate
from numseg.typing import Array

LOSSES: dict[str, Operator[..., Array]] = {"cross_entropy": cross_entropy, "dice_loss": dice_loss}
"""Of logits, labels and ``ignore_index``."""

DIVERGED = "the loss is not finite (epoch {epoch}): lower the learning rate, now {lr:g}"


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How to train. Equal recipes on equal data give equal parameters, bit for bit."""

    epochs: int = 20
    optimiser: str = "adam"
    """"adam", or "sgd" with a momentum of 0.9."""
    lr: float = 2e-3
    schedule: str = "cosine"
    """"cosine": the learning rate falls to zero along half a cosine; or "constant"."""
    weight_decay: float = 0.0
    loss: str = "cross_entropy"
    """Or "dice_loss"."""
    loss_arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Its arguments by name, such as ``{"gamma": 2.0}``; none of them an array."""
    sampling: Sampling = dataclasses.field(default_factory=Sampling)

    def __post_init__(self) -> None:
        checks.integer("epochs", self.epochs, minimum=1)
        checks.choice("optimiser", self.optimiser, ("adam", "sgd"))
        checks.choice("schedule", self.schedule, ("cosine", "constant"))
        self._check_loss()
        self.make_optimiser()

    def _check_loss(self) -> None:
        """It takes its arguments, and gives one number."""
        loss = LOSSES[checks.choice("loss", self.loss, tuple(LOSSES))]
        for name in (*loss.inputs, "ignore_index"):
            if name in self.loss_arguments:
                raise ArgumentError(f"loss_arguments has {name}, which the data gives, or nobody")
        shape = loss.output_shape((1, 1, 1, 1), (1, 1, 1), **self.loss_arguments)
        if shape != ():
            raise ArgumentError("loss_arguments leave the loss without a reduction to one number")

    def make_optimiser(self) -> Optimiser:
        kind = Adam if self.optimiser == "adam" else SGD
        return kind(lr=self.lr, weight_decay=self.weight_decay)

    def lr_at(self, step: int, steps: int) -> float:
        """The learning rate of a step, of so many in all."""
        if self.schedule == "constant":
            return self.lr
        return self.lr * 0.5 * (1 + math.cos(math.pi * step / steps))


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
    history: list[dict[str, Any]]
    """By epoch: loss, mean_iou, pixel_accuracy, class_iou, class_accuracy; None for NaN."""


def train(
    net: Mapping[str, Any],
    dataset: Dataset,
    held_out: Dataset,
    recipe: Recipe,
    *,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    progress: str | None = None,
    report: Callable[[Epoch], None] | None = None,
) -> Trained:
    """Train a network, and score it on held-out pictures after every epoch.

    Parameters
    ----------
    net : mapping
        The network's name in :mod:`numseg.nets` and its arguments: ``{"name": "unet",
        "in_channels": 3, "classes": 8, "width": 16, "depth": 3, "padding": "same", "norm": True}``.
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
    progress : str, optional
        Show a progress bar (tqdm) with this title, on stderr.
    report : function, optional
        Called after every epoch.

    Raises
    ------
    ArgumentError
        If network, data and recipe do not fit each other or the checkpoint, or the loss becomes
        infinite or NaN.
    FileError
        If the checkpoint cannot be read or written; an earlier one stays as it is.
    """
    run = _Run(net, dataset, held_out, recipe)
    if len(dataset) == 0 or len(held_out) == 0:
        raise ArgumentError(f"{len(dataset)} pictures to train on, {len(held_out)} held out")
    if dataset.classes != held_out.classes:
        raise ArgumentError("the pictures to train on and those held out have different classes")
    run.check_crop()
    at = run.start()
    if checkpoint is not None:
        remove_parts(checkpoint)
        if resume and Path(checkpoint).is_file():
            at = run.resumed(checkpoint)
    bar = _bar(progress, at.epoch * run.steps, recipe.epochs * run.steps)
    try:
        while at.epoch < recipe.epochs:
            at, result = run.epoch(at, bar)
            if checkpoint is not None:
                save_checkpoint(checkpoint, at)
            bar.show(miou=result.scores.mean_iou)
            if report is not None:
                report(result)
    except KeyboardInterrupt as stop:
        kept = f"{at.epoch} of {recipe.epochs} epochs are in {checkpoint}"
        stop.add_note(kept if checkpoint is not None and at.epoch else "nothing was kept")
        raise
    finally:
        bar.close()
    return Trained(at.params, at.history)


class _Run:
    """What stays the same from epoch to epoch."""

    def __init__(
        self, net: Mapping[str, Any], dataset: Dataset, held_out: Dataset, recipe: Recipe
    ) -> None:
        self.graph = make_network(net)
        self.channels = checks.integer("in_channels", net["in_channels"], minimum=1)
        self.dataset, self.held_out, self.recipe = dataset, held_out, recipe
        self.optimiser = recipe.make_optimiser()
        self.steps = recipe.sampling.steps(dataset)
        self.about = {
            "net": dict(net),
            "classes": list(dataset.classes),
            "pictures": [len(dataset), len(held_out)],
            "recipe": dataclasses.asdict(recipe),
        }

    def check_crop(self) -> None:
        """The network takes pieces of this size, and gives a logit for every class."""
        crop = self.recipe.sampling.crop
        try:
            shapes = self.graph.shapes((1, self.channels, crop, crop))
        except ArgumentError as error:
            raise ArgumentError(f"crop {crop}: {error}") from None
        given = shapes[self.graph.outputs[0].source][1]
        if given != len(self.dataset.classes):
            raise ArgumentError(
                f"the network gives {given} classes, the data has {len(self.dataset.classes)}"
            )

    def start(self) -> Checkpoint:
        params = self.graph.init(self.recipe.sampling.seed)
        trainable = {name: params[name] for name in self.graph.trainable}
        return Checkpoint(params, self.optimiser.start(trainable), 0, [], self.about)

    def resumed(self, path: str | os.PathLike[str]) -> Checkpoint:
        """The checkpoint, if it is of this run."""
        found = load_checkpoint(path)
        for part, value in self.about.items():
            earlier = found.about.get(part)
            if part == "recipe" and isinstance(earlier, dict):
                # an older numseg wrote less: what it did not name is as it always was
                always: dict[str, Any] = {"loss": "cross_entropy", "loss_arguments": {}}
                earlier = always | earlier | {"epochs": self.recipe.epochs}
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
        return found._replace(about=self.about)

    def epoch(self, at: Checkpoint, bar: _Bar) -> tuple[Checkpoint, Epoch]:
        """One epoch's steps, and its scores."""
        params, state = at.params, at.state
        losses = []
        sampling = self.recipe.sampling
        for i, batch in enumerate(batches(self.dataset, sampling, self.channels, at.epoch)):
            params, state, loss = self.step(params, state, batch, at.epoch * self.steps + i)
            losses.append(loss)
            bar.advance(loss)
        found = scores(evaluate(self.graph, params, self.held_out))
        result = Epoch(at.epoch + 1, sum(losses) / len(losses), found)
        history = [*at.history, _entry(result)]
        return Checkpoint(params, state, at.epoch + 1, history, self.about), result

    def step(
        self, params: dict[str, Array], state: dict[str, Array], batch: Batch, step: int
    ) -> tuple[dict[str, Array], dict[str, Array], float]:
        """New parameters, new state, and the loss. The old ones are given up."""
        ignored = ignored_label(self.dataset)
        seed = self.recipe.sampling.seed
        logits, tape = self.graph.forward(params, batch.x, training=True, seed=seed, step=step)
        labels = _centre(batch.labels, logits.shape[-2:])
        criterion, how = LOSSES[self.recipe.loss], self.recipe.loss_arguments
        loss, saved = criterion.forward(logits, labels, ignore_index=ignored, **how)
        lr = self.recipe.lr_at(step, self.recipe.epochs * self.steps)
        if not np.isfinite(loss):
            raise ArgumentError(DIVERGED.format(epoch=step // self.steps + 1, lr=lr))
        (grad,) = criterion.backward(saved, np.ones_like(loss))
        grads = self.graph.backward(tape, grad, needs=self.graph.trainable)
        params, state = self.optimiser.step(params, grads, state, lr, donate=True)
        return params | tape.updates, state, float(loss)


def _centre(labels: Array, size: tuple[int, int]) -> Array:
    """The labels of the pixels that a network without padding has an output for."""
    top, left = ((have - want) // 2 for have, want in zip(labels.shape[1:], size, strict=True))
    return labels[:, top : top + size[0], left : left + size[1]]


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
    if isinstance(earlier, dict) and isinstance(now, dict):
        for key in now:
            if earlier.get(key) != now[key]:
                return _difference(f"{part}.{key}", earlier.get(key), now[key])
    return f"{part} was {earlier!r}, now it is {now!r}"


class _Bar:
    """A progress bar that may be none."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar
        self._shown: dict[str, str] = {}

    def advance(self, loss: float) -> None:
        if self._bar is not None:
            self._shown["loss"] = f"{loss:.3f}"
            self._bar.set_postfix(self._shown, refresh=False)
            self._bar.update()

    def show(self, miou: float) -> None:
        if self._bar is not None:
            self._shown["mIoU"] = f"{miou:.3f}"
            self._bar.set_postfix(self._shown)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


def _bar(title: str | None, done: int, total: int) -> _Bar:
    if title is None:
        return _Bar(None)
    tqdm = optional("tqdm", "tqdm", "train", "a progress bar").tqdm
    return _Bar(tqdm(desc=title, initial=done, total=total, unit="step", dynamic_ncols=True))
