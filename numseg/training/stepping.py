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
from numseg.graph import Graph
from numseg.ops.add import add
from numseg.ops.clip import clip
from numseg.ops.multiply import multiply
from numseg.ops.subtract import subtract
from numseg.training import devices
from numseg.training.batches import Batch
from numseg.training.losses import Criterion
from numseg.training.optimisers import Optimiser
from numseg.training.recipe import Recipe
from numseg.typing import Array

DIVERGED = "the {what} is not finite (epoch {epoch}): lower the learning rate, now {lr:g}"


class Step(NamedTuple):
    """What one step of the optimiser gave."""

    loss: float
    """Mean of its batches' losses, before the step."""
    lr: float
    norm: float | None
    """The gradient's, before it was clipped to one; None where no norm was asked for."""


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

    graph: Graph
    trainable: tuple[str, ...]
    criterion: Criterion
    optimiser: Optimiser
    recipe: Recipe
    where: Device
    batches: int
    """In an epoch."""

    @property
    def steps(self) -> int:
        """In an epoch; its last may have fewer batches than the others."""
        return -(-self.batches // self.recipe.accumulate)

    def start(self, params: dict[str, Array]) -> Trainee:
        """Before the first step."""
        trainable = {name: params[name] for name in self.trainable}
        average = (
            {} if not self.recipe.average else {n: devices.copied(p) for n, p in params.items()}
        )
        return Trainee(params, self.optimiser.start(trainable), average)

    def step(self, at: Trainee, found: Iterator[Batch], epoch: int, number: int) -> Any:
        """Step ``number`` of an epoch: what comes of it, and the Step. What was is given up."""
        recipe, first = self.recipe, number * self.recipe.accumulate
        count = min(recipe.accumulate, self.batches - first)
        step = epoch * self.steps + number
        lr = recipe.lr_at(step, recipe.epochs * self.steps)
        params, losses, grads = at.params, [], None
        for j in range(count):
            seed = epoch * self.batches + first + j
            loss, mine, updates = self._gradients(params, next(found), seed, 1 / count)
            if not math.isfinite(loss):
                raise ArgumentError(DIVERGED.format(what="loss", epoch=epoch + 1, lr=lr))
            grads = mine if grads is None else {n: add(g, mine[n]) for n, g in grads.items()}
            params = params | updates
            losses.append(loss)
        grads, norm = clipped(grads or {}, recipe.clip_value, recipe.clip_norm)
        if norm is not None and not math.isfinite(norm):
            raise ArgumentError(DIVERGED.format(what="gradient", epoch=epoch + 1, lr=lr))
        params, state = self.optimiser.step(params, grads, at.state, lr, donate=True)
        average = averaged(at.average, params, recipe.average)
        return Trainee(params, state, average), Step(sum(losses) / count, lr, norm)

    def _gradients(
        self, params: Mapping[str, Array], batch: Batch, step: int, share: float
    ) -> tuple[float, dict[str, Array], dict[str, Array]]:
        """The loss of one batch, the gradient of ``share`` times that, and new running statistics;
        what is random depends on ``step``."""
        x, seed = devices.moved(batch.x, self.where), self.recipe.sampling.seed
        outputs, tape = self.graph.forward(params, x, training=True, seed=seed, step=step)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        loss, kept = self.criterion.forward(outputs, batch.labels)
        if not math.isfinite(loss):
            return loss, {}, {}
        grads_y = self.criterion.backward(kept, len(outputs), share)
        grads = self.graph.backward(tape, grads_y, needs=self.trainable)
        return loss, grads, tape.updates


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
