"""A step: gradients of one batch or of several, clipped, given to the optimiser; the moving average
of what comes of it. Whatever is on the GPU stays there."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from numseg import device
from numseg.device import Device
from numseg.errors import ArgumentError
from numseg.ops.add import add
from numseg.ops.clip import clip
from numseg.ops.multiply import multiply
from numseg.ops.subtract import subtract
from numseg.training import devices
from numseg.training.optimisers import Optimiser
from numseg.training.recipe import Recipe
from numseg.training.task import Task
from numseg.typing import Array

DIVERGED = "the {what} is not finite (epoch {epoch}): lower the learning rate, now {lr:g}"


class Step(NamedTuple):
    """What one step of the optimiser gave."""

    loss: float
    """Mean of its batches' losses, before the step."""
    lr: float
    norm: float | None
    """The gradient's, before it was clipped to one; None where no norm was asked for."""
    terms: Mapping[str, float] = {}
    """Means of the parts of the loss, by their names, where the network tells them apart."""


class Trainee(NamedTuple):
    """What changes from step to step."""

    params: dict[str, Array]
    state: dict[str, Array]
    """The optimiser's."""
    average: dict[str, Array]
    """Moving averages of all parameters, running statistics included; none unless asked for."""


@dataclasses.dataclass(frozen=True)
class Stepper:
    """What stays the same from step to step."""

    task: Task
    optimiser: Optimiser
    recipe: Recipe
    where: Device

    @property
    def steps(self) -> int:
        """In an epoch; its last may have fewer batches than the others."""
        return -(-self.task.batches // self.recipe.accumulate)

    def start(self, params: dict[str, Array]) -> Trainee:
        """Before the first step."""
        trainable = {name: params[name] for name in self.task.trainable}
        average = (
            {} if not self.recipe.average else {n: devices.copied(p) for n, p in params.items()}
        )
        return Trainee(params, self.optimiser.start(trainable), average)

    def step(self, at: Trainee, found: Iterator[Any], epoch: int, number: int) -> Any:
        """Step ``number`` of an epoch: what comes of it, and the Step. What was is given up."""
        recipe, first = self.recipe, number * self.recipe.accumulate
        count = min(recipe.accumulate, self.task.batches - first)
        step = epoch * self.steps + number
        lr = recipe.lr_at(step, recipe.epochs * self.steps)
        params, losses, parts, grads = at.params, [], [], None
        for j in range(count):
            seed = epoch * self.task.batches + first + j
            loss, mine, updates, terms = self.task.gradients(params, next(found), seed, 1 / count)
            if not math.isfinite(loss):
                raise ArgumentError(DIVERGED.format(what="loss", epoch=epoch + 1, lr=lr))
            grads = mine if grads is None else {n: add(g, mine[n]) for n, g in grads.items()}
            params = params | dict(updates)
            losses.append(loss)
            parts.append(terms)
        grads, norm = clipped(grads or {}, recipe.clip_value, recipe.clip_norm)
        if norm is not None and not math.isfinite(norm):
            raise ArgumentError(DIVERGED.format(what="gradient", epoch=epoch + 1, lr=lr))
        params, state = self.optimiser.step(params, grads, at.state, lr, donate=True)
        average = averaged(at.average, params, recipe.average)
        given = Step(sum(losses) / count, lr, norm, mean_terms(parts))
        return Trainee(params, state, average), given


def mean_terms(each: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean of each part of a loss."""
    return {name: sum(terms[name] for terms in each) / len(each) for name in each[0]}


def clipped(
    grads: dict[str, Array], value: float | None, norm: float | None
) -> tuple[dict[str, Array], float | None]:
    """Gradients, first each number between ``-value`` and ``value``, then all of them together of
    the length ``norm`` at most; and the length they had before that.

    As PyTorch 2.13's ``clip_grad_value_`` and ``clip_grad_norm_``: the latter multiplies by ``norm
    / (length + 1e-6)`` where that is below 1. The length is summed in float64.
    """
    if value is not None:
        grads = {name: clip(grad, -value, value) for name, grad in grads.items()}
    if norm is None:
        return grads, None
    length = math.sqrt(_sum_of_squares(list(grads.values())))
    factor = norm / (length + 1e-6)
    if factor < 1:
        grads = {name: _times(grad, factor) for name, grad in grads.items()}
    return grads, length


def averaged(
    average: dict[str, Array], params: Mapping[str, Array], decay: float
) -> dict[str, Array]:
    """``average + (1 - decay) (params - average)``, of those that have one."""
    return {
        name: add(mean, _times(subtract(params[name], mean), 1 - decay))
        for name, mean in average.items()
    }


def _sum_of_squares(grads: Sequence[Array]) -> float:
    """In float64."""
    if grads and device.of(list(grads)) is device.Cuda:
        return float(devices.cuda().sum_of_squares(grads))
    return sum(float(np.sum(np.square(grad, dtype=np.float64))) for grad in grads)


def _times(array: Array, factor: float) -> Array:
    number = np.asarray(factor, array.dtype)
    return multiply(array, devices.moved(number, device.of([array])))
