"""What the calls of a trial did not exercise: part of the verdict."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from numseg.conventions import Arguments
from numseg.testing import matching
from numseg.testing.trial import ANY, Trial


def untried(trial: Trial, chosen: Arguments) -> Iterator[str]:
    """In words, what matters most first."""
    if idle := idle_arguments(trial):
        yield f"its {'argument' if len(idle) == 1 else 'arguments'} {' and '.join(idle)}"
    yield from _constant(trial)
    unmoved = trial.idle(chosen)
    for name in dict(unmoved):
        values = [value for other, value in unmoved if other == name]
        every = values[0] is ANY or len(values) == len(trial.values_of(name))
        said = name if every else " and ".join(f"{name}={value!r}" for value in values)
        yield f"{said} (no case depends on it)"
    taken = {call.dtype for call, _, _ in trial.calls}
    if missing := [dtype for dtype in trial.dtypes if dtype not in taken]:
        yield f"{' and '.join(missing)} arrays"
    kinds = {call.kind for call, _, _ in trial.calls}
    words = {"integers": "ties", "reals": "distinct numbers", "special": "NaN and infinities"}
    if missing := [words[kind] for kind in trial.values if kind not in kinds]:
        yield " and ".join(missing)
    if trial.peer.gradient:
        yield from _gradients(trial, chosen)
    if trial.left_out:
        yield (
            f"{trial.left_out} of {trial.drawn} cases: gave up after {trial.peer.hung} calls "
            "that did not return"
        )


def idle_arguments(trial: Trial) -> list[str]:
    """Their arguments that got nothing in any call."""
    named = {name for _, _, given in trial.calls for name in given.conduct.named}
    return trial.peer.idle(named)


def proposals(trial: Trial) -> dict[str, str]:
    """Which of our arguments the idle ones may be."""
    takes = dict(trial.peer.takes)
    found: dict[str, str] = {}
    for other in idle_arguments(trial):
        name = matching.proposal(other, trial.op, takes)
        if name:
            found[name] = takes[name] = other
    return found


def _constant(trial: Trial) -> Iterator[str]:
    """Arguments that had one value in all calls, without having been told so."""
    if len(trial.calls) < 2:
        return
    for name in trial.peer.takes:
        values = [arguments.get(name) for _, arguments, _ in trial.calls]
        if name in trial.told:
            continue
        if name in trial.op.inputs:
            if name in trial.op.parameters.defaults and all(v is None for v in values):
                yield f"{name} (none was given)"
        elif len({_plain(value) for value in values}) == 1:
            yield f"{name} other than {values[0]!r}"


def _plain(value: Any) -> str:
    """The same for the same value: one number may stand for two."""
    if isinstance(value, (list, tuple)) and len({repr(v) for v in value}) == 1:
        value = value[0]
    return repr(value.tolist() if isinstance(value, np.ndarray) else value)


def _gradients(trial: Trial, chosen: Arguments) -> Iterator[str]:
    """Gradients that the definition has and no call gave."""
    given = {name for _, _, g in trial.calls for name in g.gradients}
    ours: set[str] = set()
    for _, arguments, _ in trial.calls:
        if (answer := trial.ours(arguments, chosen)) is not None:
            ours |= answer.gradients.keys()
    if missing := sorted(ours - given):
        yield f"the gradient of {' and '.join(missing)} (it gives none)"
