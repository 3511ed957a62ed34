"""The smallest call that shows something, and the code that repeats it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from numseg.conventions import Arguments
from numseg.operator import Operator
from numseg.testing import foreign
from numseg.testing.foreign import Given
from numseg.testing.trial import Trial
from numseg.typing import Array

BUDGET = 400
"""Calls spent on making an example smaller."""


def smallest(trial: Trial, chosen: Arguments, places: Sequence[int], which: str) -> Arguments:
    """Hypothesis makes the call smaller, then numbers and parameters are made plain."""

    def deviates(arguments: Arguments) -> bool:
        given = trial.try_call(arguments)
        if not isinstance(given, Given) or trial.ours(arguments, chosen) is None:
            return False
        return trial.compare(arguments, chosen, given).difference is not None

    def visit(call: Any) -> bool:
        arguments = trial.complete(call.arguments())
        return trial.aspect(call, arguments) == which and deviates(arguments)

    call = trial.source.find(visit, trial.batches(), str(trial.seed))
    candidates = [trial.calls[p][1] for p in places]
    if call is not None:
        candidates.append(trial.complete(call.arguments()))
    smallest = [a for a in sorted(candidates, key=foreign.size_of) if deviates(a)]
    return simplify(trial, smallest[0] if smallest else candidates[0], deviates)


def simplify(trial: Trial, arguments: Arguments, still: Callable[[Arguments], bool]) -> Arguments:
    """Parameters at their defaults, zeros and whole numbers, as long as ``still`` holds."""
    left = BUDGET

    def better(changed: Arguments) -> bool:
        nonlocal left
        left -= 1
        return left >= 0 and trial.defined(changed) and still(changed)

    for _ in range(3):
        before = repr(arguments)
        for changed in _plainer_parameters(trial, arguments):
            if better(candidate := arguments | changed):
                arguments = candidate
        for name in trial.op.inputs:
            value = arguments.get(name)
            if isinstance(value, np.ndarray):
                arguments = arguments | {name: _plainer_array(arguments, name, value, better)}
        if repr(arguments) == before:
            break
    return arguments


def _plainer_parameters(trial: Trial, arguments: Arguments) -> Iterator[Arguments]:
    for name, default in trial.op.parameters.defaults.items():
        value = arguments.get(name)
        if name in trial.fixed or name in trial.free or value is default:
            continue
        if repr(value) != repr(default):
            yield {name: default}
    for name, value in arguments.items():
        if name in trial.op.inputs or name in trial.fixed or name in trial.free:
            continue
        if isinstance(value, (list, tuple)) and all(type(part) is int for part in value):
            yield {name: (1,) * len(value)}
            for j in range(len(value)):
                yield {name: (*value[:j], 1, *value[j + 1 :])}


def _plainer_array(
    arguments: Arguments, name: str, array: Array, better: Callable[[Arguments], bool]
) -> Array:
    """The array with as many zeros, ones and whole numbers as possible."""
    if better(arguments | {name: np.zeros_like(array)}):
        return np.zeros_like(array)
    if array.size > 64:
        return array
    for place in np.ndindex(array.shape):
        old = array[place]
        if array.dtype.kind == "f" and np.isfinite(old):
            plainer: list[Any] = [0.0, 1.0, float(np.trunc(old)), float(np.round(2 * old) / 2)]
        else:
            plainer = [0] if array.dtype.kind in "iu" else [0.0, 1.0]
        for value in plainer:
            if old == value:
                break
            changed = array.copy()
            changed[place] = value
            if better(arguments | {name: changed}):
                array = changed
                break
    return array


def snippet(trial: Trial, name: str, arguments: Arguments, chosen: Arguments) -> str:
    """Python that runs both sides."""
    op, peer = trial.op, trial.peer
    lines = []
    for n in op.inputs:
        value = arguments.get(n)
        if isinstance(value, np.ndarray):
            lines.append(f"{n} = {_literal(value)}")
        elif isinstance(value, (list, tuple)):
            lines.append(f"{n} = [{', '.join(map(_literal, value))}]")
    defaults = op.parameters.defaults
    call = {**defaults, **arguments, **chosen}
    values = {n: n for n in op.inputs if arguments.get(n) is not None}
    values |= {
        n: repr(call[n])
        for n in op.__signature__.parameters
        if n not in op.inputs and (n not in defaults or repr(call[n]) != repr(defaults[n]))
    }
    ours = ", ".join(f"{n}={v}" for n, v in values.items())
    lines.append(f"ns.{op.__name__}.reference({ours})")
    if peer.adapt is None:
        wrapped = peer.arrays
        theirs = [
            f"{other}={f'{wrapped}.asarray({n})' if n in op.inputs and wrapped != 'numpy' else v}"
            for n, other in peer.takes.items()
            if (v := values.get(n, _default(op, n, arguments))) is not None
        ]
        theirs += [f"{n}={v!r}" for n, v in peer.constants.items()]
        lines.append(f"{_callable(name, op)}({', '.join(theirs)})")
    return "\n".join(lines)


def _default(op: Operator[..., Any], name: str, arguments: Arguments) -> str | None:
    """How to say that an argument has the default: the two sides may not have the same."""
    value = arguments.get(name, op.parameters.defaults.get(name))
    return None if value is None else repr(value)


def _callable(name: str, op: Operator[..., Any]) -> str:
    where, _, what = name.rpartition(":")
    if where in ("onnx", "ort"):
        return f'numseg.testing.peers.load("{name}", ns.{op.__name__})'
    return f"{where}.{what}" if where and not where.endswith(".py") else what


def _literal(array: Array) -> str:
    dtype = array.dtype.name
    if array.size == 0 or (array.size > 4 and (array == array.flat[0]).all()):
        fill = 0 if array.size == 0 else array.flat[0].item()
        return f"np.full({array.shape}, {_number(fill)}, np.{dtype})"
    values = repr(array.tolist()).replace("nan", "np.nan").replace("inf", "np.inf")
    return f"np.array({values}, np.{dtype})"


def _number(value: Any) -> str:
    return repr(value).replace("nan", "np.nan").replace("inf", "np.inf")


def shared(refused: list[Arguments], taken: list[Arguments], op: Operator[..., Any]) -> str:
    """What all refused calls have and no call that was taken."""
    described = [_features(call, op) for call in refused]
    common = [words for words in described[0] if all(words in d for d in described)]
    if not common:
        return ""
    others = [set(_features(call, op)) for call in taken]
    return next((words for words in common if not any(words in o for o in others)), "")


def _features(arguments: Arguments, op: Operator[..., Any]) -> list[str]:
    """Properties of a call, in words."""
    found = []
    for name in op.inputs:
        for array in foreign.arrays(arguments.get(name)):
            found += ["an empty array", f"an empty {name}"] if array.size == 0 else []
            found += [f"axis {j} of {name} empty" for j, n in enumerate(array.shape) if n == 0]
            found += [f"{name} of dtype {array.dtype}", f"{name} of {array.ndim} axes"]
        if arguments.get(name) is None:
            found.append(f"no {name}")
    for name, value in arguments.items():
        if name in op.inputs:
            continue
        if isinstance(value, (bool, str, type(None), int)):
            found.append(f"{name}={value!r}")
        elif isinstance(value, (list, tuple)):
            found += [f"{name} of four sides"] if len(value) == 4 else []
            found.append(f"{name} given")
    return found
