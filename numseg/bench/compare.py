"""Several networks side by side: what they cost, and what they learn with one budget."""

from __future__ import annotations

import itertools
import os
import time
import tracemalloc
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from numseg.bench.timing import in_turns
from numseg.data import Dataset
from numseg.device import Host
from numseg.graph import Graph
from numseg.training import Recipe, make_network, predict, train
from numseg.training.batches import batches
from numseg.training.loop import Run
from numseg.training.stepping import Step, Trainee

TRIAL = 3
"""Steps by which it is estimated how many fit into a number of seconds, after one more."""


class Contestant(NamedTuple):
    """A network, and the data it is trained and scored on."""

    net: Mapping[str, Any]
    """As :func:`numseg.training.make_network` takes it."""
    dataset: Dataset
    held_out: Dataset

    @property
    def graph(self) -> Graph:
        return make_network(self.net)

    def prepared(self, recipe: Recipe) -> Run:
        """What trains it; an error for a network that does not fit data or recipe."""
        run = Run(self.net, self.dataset, self.held_out, recipe, Host, 0)
        run.check_run()
        run.check_crop()
        return run

    def step(self, recipe: Recipe) -> Callable[[], Step]:
        """A function that makes one step of training more, always with the same pieces."""
        run = self.prepared(recipe)
        every = batches(self.dataset, recipe.sampling, run.channels, 0)
        found = list(itertools.islice(every, recipe.accumulate))
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


def epochs_within(contestant: Contestant, recipe: Recipe, seconds: float) -> int:
    """How many epochs' steps take about so many seconds, at least one: scores are not counted."""
    step = contestant.step(recipe)
    step()  # kernels are compiled, memory is mapped
    start = time.perf_counter()
    for _ in range(TRIAL):
        step()
    each = (time.perf_counter() - start) / TRIAL
    return max(int(seconds / (each * contestant.prepared(recipe).steps)), 1)


def costs(contestant: Contestant, recipe: Recipe) -> dict[str, Any]:
    """What is known without a clock: learned numbers, multiply-adds of a held-out picture, and the
    greatest number of bytes that NumPy's arrays take in a step and in a prediction, parameters
    included."""
    graph, run = contestant.graph, contestant.prepared(recipe)
    rows, columns = contestant.held_out.checked(0).labels.shape
    summary = graph.summary((1, run.channels, rows, columns))
    return {
        "parameters": summary.parameters,
        "multiply_adds": summary.multiply_adds,
        "steps_per_epoch": run.steps,
        "step_bytes": _peak(lambda: contestant.step(recipe)),
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


def times(
    contestants: Mapping[str, Contestant], recipe: Recipe, turns: int
) -> dict[str, dict[str, float]]:
    """Median milliseconds of a training step and of a picture, measured in turns: by label,
    ``step_ms`` and ``picture_ms``."""
    calls: dict[tuple[str, str], Callable[[], object]] = {
        (label, "step_ms"): c.step(recipe) for label, c in contestants.items()
    }
    calls |= {(label, "picture_ms"): c.predict() for label, c in contestants.items()}
    named = {f"{kind} {label}": call for (label, kind), call in calls.items()}
    measured = in_turns(named, 0.0, least=turns)
    return {
        label: {kind: measured[f"{kind} {label}"]["median"] for kind in ("step_ms", "picture_ms")}
        for label in contestants
    }


def trained(
    contestant: Contestant, recipe: Recipe, path: str | os.PathLike[str], **how: Any
) -> dict[str, Any]:
    """The scores of every epoch and the last, from the checkpoint if it is done already."""
    net = dict(contestant.net)
    found = train(
        net, contestant.dataset, contestant.held_out, recipe, checkpoint=path, resume=True, **how
    )
    return {"epochs": recipe.epochs, "scores": found.history[-1], "history": found.history}
