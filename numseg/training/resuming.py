"""Going on from a checkpoint: whether it is of the same run, and what differs if not."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from numseg.errors import ArgumentError, FileError
from numseg.training import devices
from numseg.training.checkpoints import Checkpoint, load_checkpoint
from numseg.training.recipe import Recipe, completed
from numseg.training.task import Task
from numseg.typing import Array


def resumed(
    path: str | os.PathLike[str], start: Checkpoint, task: Task, recipe: Recipe
) -> Checkpoint:
    """The checkpoint, if it is of this run, which began with ``start``.

    Raises
    ------
    ArgumentError
        That names the first thing that differs, with both values.
    FileError
        If the file cannot be read, or does not hold what such a run needs.
    """
    found = load_checkpoint(path)
    for part in ("task", "net", "classes", "pictures", "recipe", "start"):
        value, earlier = start.about.get(part), found.about.get(part)
        if part == "recipe" and isinstance(earlier, dict) and isinstance(value, dict):
            kind, wanted = type(recipe.sampling), {"epochs": recipe.epochs}
            value, earlier = completed(value, kind), completed(earlier | wanted, kind)
        if earlier != value:
            raise ArgumentError(f"{path} is of another run: {_difference(part, earlier, value)}")
    if found.epoch > recipe.epochs:
        raise ArgumentError(f"{path} has {found.epoch} epochs, but epochs is {recipe.epochs}")
    try:
        task.check(found.params)
    except ArgumentError as error:
        raise FileError(f"{path}: does not fit its network: {error}") from None
    if found.state.keys() != start.state.keys():
        raise FileError(f"{path}: its state is not that of {recipe.optimiser}")
    if found.average.keys() != start.average.keys():
        raise FileError(f"{path}: its moving averages are not those of the network's parameters")
    return Checkpoint(
        _beside(found.params, start.params),
        _beside(found.state, start.state),
        found.epoch,
        found.history,
        start.about,
        _beside(found.average, start.average),
    )


def _beside(found: Mapping[str, Array], start: Mapping[str, Array]) -> dict[str, Any]:
    """Each array where the one is that the run began with: parameters may be on the GPU, the
    number of steps stays here."""
    return {name: devices.moved(a, devices.of({name: start[name]})) for name, a in found.items()}


def _difference(part: str, earlier: Any, now: Any) -> str:
    """What differs, in words."""
    if part == "start":
        return f"it began with the weights {earlier or 'of its seed'}, not {now or 'of its seed'}"
    if isinstance(earlier, dict) and isinstance(now, dict) and earlier.keys() & now.keys():
        for key in now:
            if earlier.get(key) != now[key]:
                return _difference(f"{part}.{key}", earlier.get(key), now[key])
    return f"{part} was {earlier!r}, now it is {now!r}"
