"""Several networks side by side: what they cost, and what they learn with one budget."""

from __future__ import annotations

import dataclasses
import itertools
import os
import time
import tracemalloc
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from numseg.bench.timing import in_turns
from numseg.data import Dataset
from numseg.device import Host
from numseg.errors import ArgumentError
from numseg.graph import Graph
from numseg.training import Recipe, make_network, predict, train
from numseg.training.batches import Sampling, batches
from numseg.training.loop import Run
from numseg.training.predict import padded_size
from numseg.training.stepping import Step, Trainee

TRIAL = 3
"""Steps by which it is estimated how many fit into a number of seconds, after one more."""


FARTHEST = 256
"""How much larger than it is asked for a piece may be for a network to take it."""


class Contestant(NamedTuple):
    """A network, the data it is trained and scored on, and how."""

    net: Mapping[str, Any]
    """As :func:`numseg.training.make_network` takes it."""
    dataset: Dataset
    held_out: Dataset
    recipe: Recipe

    @property
    def graph(self) -> Graph:
        return make_network(self.net)

    @property
    def sampling(self) -> Sampling:
        """How pieces are cut out of pictures; detectors are not compared."""
        assert isinstance(self.recipe.sampling, Sampling)
        return self.recipe.sampling

    def fitted(self) -> Contestant:
        """With pieces of the smallest size that the network takes, from the recipe's on."""
        graph, sampling = self.graph, self.sampling
        sizes = graph.legal_inputs()
        rows, columns = (
            axis.from_on(size)
            for axis, size in zip((sizes.rows, sizes.columns), sampling.size, strict=True)
        )
        if max(rows - sampling.size[0], columns - sampling.size[1]) > FARTHEST:
            raise ArgumentError(
                f"crop is {sampling.crop}, but the network takes {rows} x {columns} at least"
            )
        if (rows, columns) == sampling.size:
            return self
        fitting = dataclasses.replace(sampling, crop=rows if rows == columns else (rows, columns))
        return self._replace(recipe=dataclasses.replace(self.recipe, sampling=fitting))

    def prepared(self) -> Run:
        """What trains it; an error for a network that does not fit data or recipe."""
        run = Run(self.net, self.dataset, self.held_out, self.recipe, Host, 0)
        run.check_run()
        run.check_crop()
        return run

    def step(self) -> Callable[[], Step]:
        """A function that makes one step of training more, always with the same pieces."""
        run = self.prepared()
        every = batches(self.dataset, self.sampling, run.channels, 0)
        found = list(itertools.islice(every, self.recipe.accumulate))
        first = run.start({}, None, ())
        now = Trainee(first.params, first.state, dict(first.average))

        def step() -> Step:
            nonlocal now
            now, given = run.stepper.step(now, iter(found), 0, 0)
            return given

        return step

    def predict(self) -> Callable[[], Any]:
        """A function that segments the first of the held-out pictures."""
        graph, image = self.graph, self.held_out.checked(0).image
        params = graph.init()
        return lambda: predict(graph, params, image)


def epochs_within(contestant: Contestant, seconds: float) -> int:
    """How many epochs' steps take about so many seconds, at least one: scores are not counted."""
    step = contestant.step()
    step()  # kernels are compiled, memory is mapped
    start = time.perf_counter()
    for _ in range(TRIAL):
        step()
    each = (time.perf_counter() - start) / TRIAL
    return max(int(seconds / (each * contestant.prepared().steps)), 1)


def costs(contestant: Contestant) -> dict[str, Any]:
    """What is known without a clock: learned numbers, multiply-adds of a held-out picture, and the
    greatest number of bytes that NumPy's arrays take in a step and in a prediction, parameters
    included."""
    graph, run = contestant.graph, contestant.prepared()
    size = padded_size(graph, contestant.held_out.checked(0).image)
    summary = graph.summary((1, run.channels, *size))
    return {
        "parameters": summary.parameters,
        "multiply_adds": summary.multiply_adds,
        "steps_per_epoch": run.steps,
        "crop": list(contestant.sampling.size),
        "step_bytes": _peak(contestant.step),
        "picture_bytes": _peak(contestant.predict),
    }


def _peak(make: Callable[[], Callable[[], Any]]) -> int:
    """The most memory that was in use while a call was prepared and made, beyond what was before.
    Made twice: the first time kernels are compiled."""
    make()()
    tracemalloc.start()
    try:
        make()()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def times(contestants: Mapping[str, Contestant], turns: int) -> dict[str, dict[str, float]]:
    """Median milliseconds of a training step and of a picture, measured in turns: by label,
    ``step_ms`` and ``picture_ms``."""
    calls: dict[str, Callable[[], object]] = {}
    for label, contestant in contestants.items():
        calls[f"step_ms {label}"] = contestant.step()
        calls[f"picture_ms {label}"] = contestant.predict()
    measured = in_turns(calls, 0.0, least=turns)
    return {
        label: {kind: measured[f"{kind} {label}"]["median"] for kind in ("step_ms", "picture_ms")}
        for label in contestants
    }


def trained(contestant: Contestant, path: str | os.PathLike[str], **how: Any) -> dict[str, Any]:
    """The scores of every epoch and the last, from the checkpoint if it is done already."""
    net, dataset, held_out, recipe = contestant
    found = train(dict(net), dataset, held_out, recipe, checkpoint=path, resume=True, **how)
    return {"epochs": recipe.epochs, "scores": found.history[-1], "history": found.history}
