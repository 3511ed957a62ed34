"""Why an implementation deviates: the smallest call, and what its results look like.

Every explanation is a check that held in each deviating call it was tried on.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from numseg.conventions import Arguments, Probe
from numseg.operator import Operator
from numseg.testing import conventions, foreign
from numseg.testing.foreign import Given
from numseg.testing.trial import Trial
from numseg.testing.verdict import Deviation
from numseg.typing import Array

EXAMINED = 30
"""So many deviating calls are looked at."""

BUDGET = 400
"""Calls spent on making an example smaller."""


def deviation(
    trial: Trial, name: str, chosen: Arguments, places: Sequence[int], which: str
) -> Deviation:
    """The smallest call that deviates, and what the deviating calls have in common."""
    arguments = _smallest(trial, chosen, places, which)
    given = trial.try_call(arguments)
    assert isinstance(given, Given)
    ours = trial.ours(arguments, chosen)
    difference = trial.compare(arguments, chosen, given).difference
    assert difference is not None
    outputs = trial.op.outputs
    return Deviation(
        which,
        len(places),
        difference.part,
        difference.place,
        difference.ours,
        difference.theirs,
        difference.ulps,
        trial.side(ours).part(difference.part, outputs),
        trial.side(given).part(difference.part, outputs),
        snippet(trial, name, arguments, chosen),
        tuple(_looks_like(trial, chosen, places[:EXAMINED])),
    )


# -- the smallest call ----------------------------------------------------------------------------


def _smallest(trial: Trial, chosen: Arguments, places: Sequence[int], which: str) -> Arguments:
    """Hypothesis makes the call smaller, then numbers and parameters are made plain."""

    def deviates(arguments: Arguments) -> bool:
        given = trial.try_call(arguments)
        if not isinstance(given, Given) or trial.ours(arguments, chosen) is None:
            return False
        return trial.compare(arguments, chosen, given).difference is not None

    def visit(call: Any) -> bool:
        arguments = trial.complete(call.arguments())
        return trial.aspect(call, arguments) == which and deviates(arguments)

    call = trial.generate(visit, max(trial.count, 1))
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


# -- what it looks like ---------------------------------------------------------------------------


def _looks_like(trial: Trial, chosen: Arguments, places: Sequence[int]) -> Iterator[str]:
    """Explanations, the most exact first; each holds in all the calls."""
    calls = [trial.calls[p] for p in places]
    entries = [(a, g) for _, a, g in calls]
    if (steady := _repeats(trial, entries[0])) is not None:
        yield steady
        return
    explained = False
    for words, change in _probes(trial, chosen):
        if all(_explains(trial, chosen, change, a, g) for a, g in entries):
            explained = True
            yield f"{words} ({_count(len(entries), 'deviating case')})"
    for words, transform in TRANSFORMS.items():
        if all(_explains_result(trial, chosen, transform, a, g) for a, g in entries):
            explained = True
            yield f"{words} ({_count(len(entries), 'deviating case')})"
    if explained:
        return
    differences = [trial.found_difference(chosen, p) for p in places]
    if differences and all(d is not None and d.part in trial.op.outputs for d in differences):
        yield from _by_place(trial, chosen, entries)
    yield from _by_values(trial, chosen, calls)


def _count(number: int, what: str) -> str:
    return f"in the one {what}" if number == 1 else f"in all {number} {what}s"


def _repeats(trial: Trial, entry: tuple[Arguments, Given]) -> str | None:
    arguments, given = entry
    again = trial.try_call(arguments)
    if isinstance(again, Given) and all(
        np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
        for a, b in zip(again.results, given.results, strict=False)
    ):
        return None
    return "it gives something else each time for the same arguments"


def _probes(trial: Trial, chosen: Arguments) -> Iterator[tuple[str, Probe]]:
    """Mistakes to try: those of the operator's folder, and those that any operator can have."""
    op = trial.op
    yield from conventions.probes(op).items()
    for name, values in conventions.choices(op).items():
        if name in trial.free or name in trial.fixed:
            continue
        for value in values:
            yield (
                f"it computes what {name}={value!r} gives, whatever {name} it gets",
                functools.partial(_with, name, value),
            )
    for name in _pairs(op):
        if name in trial.peer.takes:
            yield f"rows and columns of {name} exchanged", functools.partial(_exchanged, name)
    if "weight" in op.linear:  # not a scale of channels, nor of classes
        yield (
            "the kernel turned by 180 degrees: convolution where the definition has correlation",
            _kernel_turned,
        )


def _with(name: str, value: Any, arguments: Arguments) -> Arguments:
    return arguments | {name: value}


def _exchanged(name: str, arguments: Arguments) -> Arguments:
    value = arguments[name]
    if isinstance(value, (list, tuple)) and len(value) in (2, 4):
        half = len(value) // 2
        value = (*value[half:], *value[:half])
    return arguments | {name: value}


def _kernel_turned(arguments: Arguments) -> Arguments:
    return arguments | {"weight": arguments["weight"][..., ::-1, ::-1]}


def _pairs(op: Operator[..., Any]) -> list[str]:
    parameters = op.__signature__.parameters.values()
    return [
        p.name for p in parameters if str(p.annotation).startswith(("Pair", "Padding", "Sides"))
    ]


def _explains(
    trial: Trial, chosen: Arguments, change: Probe, arguments: Arguments, given: Given
) -> bool:
    """Does the definition give their results for the changed arguments?"""
    changed = change(arguments)
    if not trial.defined(changed | chosen):
        return False
    return trial.compare(changed, chosen, given).difference is None


def _turned(array: Array, turn: Callable[[Array], Array], axes: int = 2) -> Array | None:
    return turn(array) if array.ndim >= axes else None


TRANSFORMS: dict[str, Callable[[Array], Array | None]] = {
    "rows and columns of the result exchanged": lambda y: _turned(y, lambda a: a.swapaxes(-1, -2)),
    "the result's rows in reverse order": lambda y: _turned(y, lambda a: a[..., ::-1, :]),
    "the result's columns in reverse order": lambda y: _turned(y, lambda a: a[..., ::-1]),
    "the result turned by 180 degrees": lambda y: _turned(y, lambda a: a[..., ::-1, ::-1]),
    "the first two axes of the result exchanged": lambda y: _turned(y, lambda a: a.swapaxes(0, 1)),
    "the right numbers in another shape": lambda y: y.reshape(-1),
    "the sign of every number": lambda y: -y,
}
"""What may have been done to the right result."""


def _explains_result(
    trial: Trial,
    chosen: Arguments,
    transform: Callable[[Array], Array | None],
    arguments: Arguments,
    given: Given,
) -> bool:
    ours = trial.ours(arguments, chosen)
    if ours is None or len(ours.results) != len(given.results):
        return False
    turned = transform(ours.results[0])
    theirs = given.results[0]
    if turned is None or theirs.dtype.kind != "f":
        return False
    theirs = theirs.reshape(-1) if turned.ndim == 1 else theirs
    if turned.shape != theirs.shape:
        return False
    size = max(1.0, float(np.max(np.abs(np.nan_to_num(turned)), initial=0)))
    eps = float(np.finfo(theirs.dtype).eps)
    limit = trial.tolerance(arguments, chosen) * eps * size

    def near(wanted: Array) -> bool:
        return wanted.size == theirs.size and np.allclose(
            theirs, wanted.reshape(theirs.shape), rtol=0, atol=limit, equal_nan=True
        )

    plain = ours.results[0]
    return near(turned) and not (plain.shape == given.results[0].shape and near(plain))


def _by_place(
    trial: Trial, chosen: Arguments, entries: list[tuple[Arguments, Given]]
) -> Iterator[str]:
    """Where in the result the numbers differ, and by what."""
    inner = outer = 0
    pairs: list[tuple[Array, Array]] = []
    ratios: set[float] = set()
    for arguments, given in entries:
        ours = trial.ours(arguments, chosen)
        if ours is None or ours.results[0].shape != given.results[0].shape:
            return
        a, b = ours.results[0], given.results[0]
        if a.dtype.kind != "f" or b.dtype.kind != "f":
            return
        scale = np.maximum(1, np.abs(np.nan_to_num(a)))
        limit = trial.tolerance(arguments, chosen) * np.finfo(a.dtype).eps * scale
        with np.errstate(invalid="ignore"):
            odd = ~((np.abs(a - b) <= limit) | (a == b) | (np.isnan(a) & np.isnan(b)))
        if not odd.any():
            continue
        pairs.append((a[odd], b[odd]))
        if a.ndim >= 2:
            inside = odd[..., 1:-1, 1:-1]
            inner += int(inside.sum())
            outer += inside.size
        with np.errstate(all="ignore"):
            ratios |= {round(float(r), 5) for r in (b[a != 0] / a[a != 0]).reshape(-1)}
    if not pairs:
        return
    if outer and not inner:
        yield f"only at the border: none of the {outer} numbers within it differ"
    ours_odd = np.concatenate([a for a, _ in pairs])
    theirs_odd = np.concatenate([b for _, b in pairs])
    for side, values, other in (
        ("the definition", ours_odd, theirs_odd),
        ("it", theirs_odd, ours_odd),
    ):
        if len(values) > 1 and len(np.unique(values)) == 1:
            constant = len(np.unique(other)) == 1
            beside = f", and the other {other[0]:.6g}" if constant else ""
            yield f"wherever they differ, {side} gives {values[0]:.6g}{beside}"
    if len(ratios) == 1 and len(pairs) > 1 and abs((ratio := ratios.pop()) - 1) > 1e-3:
        yield f"a factor: every number is {ratio:.6g} times what it should be"


def _by_values(trial: Trial, chosen: Arguments, calls: list[Any]) -> Iterator[str]:
    """Does it depend on equal numbers, or on the precision?"""

    def agrees(arguments: Arguments, limit: float | None = None) -> bool | None:
        given = trial.try_call(arguments)
        if not isinstance(given, Given):
            return None
        compared = trial.compare(arguments, chosen, given)
        if limit is not None and compared.difference is not None:
            return compared.difference.ulps <= limit
        return compared.difference is None

    numbers = {call.kind for call, _, _ in calls}
    if numbers == {"integers"}:
        others = [agrees(trial.complete(call.arguments("reals"))) for call, _, _ in calls]
        if all(others):
            yield (
                "ties: the same calls agree as soon as all values are distinct "
                f"({_count(len(calls), 'deviating case')})"
            )
    if numbers == {"special"}:
        others = [agrees(trial.complete(call.arguments("integers"))) for call, _, _ in calls]
        if all(others):
            yield "only NaN, infinities or -0.0: the same calls agree without them"
            return
    wide = [c for c in calls if c[0].dtype == "float64"]
    narrow = [c for c in calls if c[0].dtype == "float32"]
    ratio = float(np.finfo(np.float32).eps / np.finfo(np.float64).eps)
    if wide and not narrow and "special" not in numbers:
        limits = [trial.tolerance(a, chosen) * ratio for _, a, _ in wide]
        if all(agrees(a, limit) for (_, a, _), limit in zip(wide, limits, strict=True)):
            yield "float64 arrays computed in float32: within its rounding, not within float64's"
    if narrow and "special" not in numbers:
        again = [agrees(trial.complete(c._replace(dtype="float64").arguments()))
                 for c, _, _ in narrow]  # fmt: skip
        if all(again):
            yield "rounding only: the same calls in float64 agree"


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
