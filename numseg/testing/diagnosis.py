"""Why an implementation deviates: the smallest call, and what its results look like.

An explanation is said only if it fits every ordinary call, deviating or not; where none does,
nothing is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from numseg.conventions import Arguments
from numseg.testing import example, foreign, mistakes, prediction, wrong_gradients
from numseg.testing.drawing import Call
from numseg.testing.foreign import Given
from numseg.testing.prediction import Mistake
from numseg.testing.trial import Compared, Trial
from numseg.testing.verdict import Deviation
from numseg.typing import Array

EXAMINED = 60
"""So many calls are looked at."""

ATTEMPTS = 5000
"""Mistakes that are tried, over all conventions."""

SHOWN = 2
"""So many explanations are shown, where more than one fits."""


class Explanation(NamedTuple):
    """A convention, and the mistakes each of which would make of it what was seen."""

    convention: Arguments
    words: tuple[str, ...]
    mistake: Mistake | None
    places: tuple[int, ...]
    """The calls that it was held against."""

    def holds_too(self, trial: Trial, convention: Arguments) -> bool:
        """Does it explain the calls under another convention as well?"""
        return self.mistake is not None and _fits_all(trial, convention, self.mistake, self.places)


def explanation(trial: Trial, best: Arguments) -> Explanation | None:
    """What explains that ordinary calls deviate from every convention."""
    places = _telling(trial, "ordinary")
    for left_behind in _of_state(trial, best, places):
        return Explanation(best, (left_behind,), None, tuple(places))
    parts = {d.part for p in places if (d := trial.found_difference(best, p)) is not None}
    if parts and all(part.startswith("gradient of ") for part in parts):
        return _of_gradients(trial, best, places, parts)
    known, left = list(mistakes.mistakes(trial)), ATTEMPTS
    for convention in [best, *sorted(trial.conventions, key=trial.changed)]:
        left -= len(known)
        fitting = [m for m in known if _fits_all(trial, convention, m, places)]
        if fitting:
            words = tuple(m.words for m in fitting[:SHOWN])
            return Explanation(convention, words, fitting[0], tuple(places))
        if left < 0:
            break
    return None


def _telling(trial: Trial, which: str) -> list[int]:
    """The calls of an aspect, those first that tell most for the least work."""

    def telling(place: int) -> tuple[int, int]:
        _, arguments, given = trial.calls[place]
        different = max((len(np.unique(y)) for y in given.results), default=0)
        return -min(different, 12), prediction.numbers(arguments)

    places = [p for p, seen in enumerate(trial.aspects) if seen == which]
    return sorted(places, key=telling)[:EXAMINED]


def _fits_all(trial: Trial, convention: Arguments, mistake: Mistake, places: Sequence[int]) -> bool:
    """Does a mistake predict all the calls, and enough of those that deviate?"""
    explained: list[int] = []
    unknown = 0
    for place in places:
        _, arguments, given = trial.calls[place]
        with np.errstate(all="ignore"):
            made = mistake.predict(trial, arguments, convention)
        if made is not None and not prediction.fits(trial, arguments, convention, made, given):
            return False
        if (odd := trial.found_difference(convention, place)) is None:
            continue
        if made is None or (made.known is not None and not made.known.any()):
            unknown += 1
        else:
            explained.append(max(odd.numbers, 1))
    if len(explained) == 1:
        return sum(explained) > 3 and not unknown
    return len(explained) > 1 and 2 * len(explained) >= unknown


def _of_gradients(
    trial: Trial, best: Arguments, places: Sequence[int], parts: set[str]
) -> Explanation | None:
    """What explains that the gradients alone deviate."""
    fitting = [m for m in mistakes.gradient_mistakes(trial) if _fits_all(trial, best, m, places)]
    if fitting:
        words = tuple(m.words for m in fitting[:SHOWN])
        return Explanation(best, words, None, tuple(places))
    odd = [p for p in places if trial.found_difference(best, p) is not None]
    entries = [trial.calls[p][1:] for p in odd]
    if parts != {f"gradient of {trial.op.inputs[0]}"}:
        return None
    if len(odd) > 1 and all(wrong_gradients.overwrites(trial, a, best, g) for a, g in entries):
        summed = (
            f"gradients that are not summed: each number of the gradient of {trial.op.inputs[0]} "
            "is one of the terms it is the sum of, so they overwrite each other"
        )
        return Explanation(best, (summed,), None, tuple(places))
    return None


# -- what calls leave behind ----------------------------------------------------------------------


def _of_state(trial: Trial, best: Arguments, places: Sequence[int]) -> Iterator[str]:
    """Does a call give what calls before it have left?"""
    odd = [p for p in places if trial.found_difference(best, p) is not None][:8]
    entries = [trial.calls[p][1:] for p in odd]
    if any(trial.observed[p].change is not None for p in odd):
        if all(_adds_up(trial, best, arguments) for arguments, _ in entries):
            yield "a stale buffer: each call adds to what the call before has left"
        return
    if (
        trial.peer.isolated
        and len(odd) > 1
        and all(_right_at_first(trial, best, a) for a, _ in entries)
    ):
        yield "a stale buffer: right in a fresh process, wrong after other calls"
    elif len(odd) > 1 and all(_is_old(trial, p) for p in odd):
        yield "a stale buffer: it gives what an earlier call gave"


def _adds_up(trial: Trial, best: Arguments, arguments: Arguments) -> bool:
    """Does the result grow by the right one from call to call?"""
    ours = trial.ours(arguments, best)
    first, second = trial.try_call(arguments), trial.try_call(arguments)
    if ours is None or not (isinstance(first, Given) and isinstance(second, Given)):
        return False
    return all(
        right.shape == a.shape == b.shape and _grown(a, b, right, 64 * trial.eps(arguments))
        for right, a, b in _parts(ours, first, second)
    )


def _parts(*sides: Given) -> Iterator[tuple[Array, ...]]:
    """First results and gradients, side by side."""
    yield tuple(side.results[0] for side in sides)
    for name in sides[0].gradients:
        if all(name in side.gradients for side in sides):
            yield tuple(side.gradients[name] for side in sides)


def _grown(a: Array, b: Array, by: Array, eps: float) -> bool:
    """Has a number grown, or stayed at what it should be?"""
    limit = eps * max(1.0, float(np.max(np.abs(b), initial=0)))
    steady = np.allclose(a, b, rtol=0, atol=limit) and np.allclose(b, by, rtol=0, atol=limit)
    return steady or bool(np.allclose(b - a, by, rtol=0, atol=limit))


def _right_at_first(trial: Trial, best: Arguments, arguments: Arguments) -> bool:
    trial.peer.renew()
    given = trial.try_call(arguments)
    return isinstance(given, Given) and trial.compare(arguments, best, given).difference is None


def _is_old(trial: Trial, place: int) -> bool:
    """Has an earlier call given these numbers, of which there are several?"""
    y = trial.calls[place][2].results[0]
    if len(np.unique(y)) < 3:
        return False
    return any(foreign.same_bits(g.results[0], y) for _, _, g in trial.calls[:place])


# -- one deviation --------------------------------------------------------------------------------


def deviation(
    trial: Trial,
    name: str,
    chosen: Arguments,
    places: Sequence[int],
    which: str,
    explained: Explanation | None = None,
) -> Deviation:
    """The smallest call that deviates, and what the deviating calls have in common."""
    arguments, given = _shown(trial, chosen, places, which)
    ours = trial.ours(arguments, chosen)
    difference = trial.compare(arguments, chosen, given).difference
    assert difference is not None
    outputs = trial.op.outputs
    if explained is None:
        looks = tuple(_looks_like(trial, chosen, places[:EXAMINED], which))
    else:
        looks = tuple(f"{w} ({_count(len(places))})" for w in explained.words)
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
        example.snippet(trial, name, arguments, chosen),
        looks,
    )


def _shown(
    trial: Trial, chosen: Arguments, places: Sequence[int], which: str
) -> tuple[Arguments, Given]:
    """The smallest call that deviates again; of those that change, the smallest as it was."""
    if all(trial.observed[p].change is None for p in places):
        arguments = example.smallest(trial, chosen, places, which)
        given = trial.try_call(arguments)
        if isinstance(given, Given) and trial.compare(arguments, chosen, given).difference:
            return arguments, given
    place = min(places, key=lambda p: foreign.size_of(trial.calls[p][1]))
    return trial.calls[place][1:]


def _count(number: int) -> str:
    return "in the one deviating case" if number == 1 else f"in all {number} deviating cases"


# -- what it looks like ---------------------------------------------------------------------------


def _looks_like(
    trial: Trial, chosen: Arguments, places: Sequence[int], which: str
) -> Iterator[str]:
    """Properties of the deviating calls, where no mistake is known that makes them."""
    if any(trial.observed[p].change is not None for p in places):
        yield "it gives something else each time for the same arguments"
        return
    calls = [trial.calls[p] for p in places]
    if all(_reshaped(trial, chosen, a, g) for _, a, g in calls):
        yield f"the right numbers in another shape ({_count(len(calls))})"
        return
    sizes = {_off_by_one(trial, chosen, a, g) for _, a, g in calls}
    if "" not in sizes:
        yield f"sizes off by one: {' or '.join(sorted(sizes))} ({_count(len(calls))})"
        return
    differences = [trial.found_difference(chosen, p) for p in places]
    if differences and all(d is not None and d.part in trial.op.outputs for d in differences):
        yield from _by_place(trial, chosen, [(a, g) for _, a, g in calls], which)
    yield from _by_values(trial, chosen, calls)


def _off_by_one(trial: Trial, chosen: Arguments, arguments: Arguments, given: Given) -> str:
    """ "a row too many" and its like, if that is all in which the shapes differ; else ""."""
    ours = trial.ours(arguments, chosen)
    if ours is None or ours.results[0].ndim != given.results[0].ndim or given.results[0].ndim < 2:
        return ""
    wanted, got = ours.results[0].shape, given.results[0].shape
    off = [b - a for a, b in zip(wanted[-2:], got[-2:], strict=True)]
    if wanted[:-2] != got[:-2] or not any(off) or max(map(abs, off)) > 1:
        return ""
    words = {1: "too many", -1: "too few"}
    named = zip(("a row", "a column"), off, strict=True)
    return " and ".join(f"{what} {words[by]}" for what, by in named if by)


def _reshaped(trial: Trial, chosen: Arguments, arguments: Arguments, given: Given) -> bool:
    ours = trial.ours(arguments, chosen)
    if ours is None or len(ours.results) != len(given.results):
        return False
    made, theirs = ours.results[0], given.results[0]
    if made.shape == theirs.shape or made.size != theirs.size:
        return False
    flat = prediction.Prediction([made.reshape(theirs.shape), *ours.results[1:]], {})
    return prediction.fits(trial, arguments, chosen, flat, given)


def _by_place(
    trial: Trial, chosen: Arguments, entries: list[tuple[Arguments, Given]], which: str
) -> Iterator[str]:
    """Where in the result the numbers differ, and by what."""
    found = [_odd(trial, chosen, a, g) for a, g in entries]
    planes = [p for p in found if p is not None and p[2].any()]
    if len(planes) < len(found):
        return
    if which == "ordinary":
        yield from _at_the_border([odd for _, _, odd in planes])
    ours = np.concatenate([a[odd] for a, _, odd in planes])
    theirs = np.concatenate([b[odd] for _, b, odd in planes])
    for side, values, other in (("the definition", ours, theirs), ("it", theirs, ours)):
        if len(values) > 2 and len(np.unique(values)) == 1:
            constant = len(np.unique(other)) == 1
            beside = f", and the other {other[0]:.6g}" if constant else ""
            yield f"wherever they differ, {side} gives {values[0]:.6g}{beside}"
    yield from _factor(planes)


@np.errstate(invalid="ignore", over="ignore")
def _odd(
    trial: Trial, chosen: Arguments, arguments: Arguments, given: Given
) -> tuple[Array, Array, Array] | None:
    """The first results, and where they differ."""
    ours = trial.ours(arguments, chosen)
    if ours is None or ours.results[0].shape != given.results[0].shape:
        return None
    a, b = ours.results[0], given.results[0]
    if a.dtype.kind != "f" or b.dtype.kind != "f":
        return None
    scale = np.maximum(1, np.abs(np.nan_to_num(a)))
    limit = trial.tolerance(arguments, chosen) * trial.eps(arguments) * scale
    return a, b, ~((np.abs(a - b) <= limit) | (a == b) | (np.isnan(a) & np.isnan(b)))


def _at_the_border(planes: list[Array]) -> Iterator[str]:
    """Do the numbers within the border agree, where that is no chance?

    It would be one if as large a share of them could have differed as of those at the border.
    """
    planes = [odd for odd in planes if odd.ndim >= 2 and min(odd.shape[-2:]) > 2]
    inner = sum(odd[..., 1:-1, 1:-1].size for odd in planes)
    at_border = sum(odd.size for odd in planes) - inner
    if not inner or any(odd[..., 1:-1, 1:-1].any() for odd in planes):
        return
    share = sum(int(odd.sum()) for odd in planes) / max(at_border, 1)
    if len(planes) > 2 and (1 - share) ** inner < 1e-4:
        yield f"only at the border: none of the {inner} numbers within it differ"


def _factor(planes: list[tuple[Array, Array, Array]]) -> Iterator[str]:
    """Is every number the same multiple of what it should be?"""
    with np.errstate(all="ignore"):
        ratios = np.concatenate([(b[a != 0] / a[a != 0]).reshape(-1) for a, b, _ in planes])
    still_zero = all((b[a == 0] == 0).all() for a, b, _ in planes)
    if ratios.size < 4 or not still_zero or not np.isfinite(ratios).all():
        return
    ratio = float(np.median(ratios))
    if np.allclose(ratios, ratio, rtol=1e-5, atol=0) and abs(ratio - 1) > 1e-3 and ratio != 0:
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
        others = [agrees(trial.complete(_untied(call))) for call, _, _ in calls]
        if all(others):
            yield (
                "ties: the same calls agree as soon as all values are distinct "
                f"({_count(len(calls))})"
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


def _untied(call: Call) -> Arguments:
    """The call's whole numbers, each moved by less than half, so that no two are equal."""
    whole, parts = call.arguments("integers"), call.arguments("reals")
    drawn = [name for name, entry in call.case.arrays.items() if isinstance(entry, tuple)]
    moved = {n: (whole[n] + 0.4 * parts[n]).astype(whole[n].dtype) for n in drawn}
    return whole | moved


def judged(trial: Trial, convention: Arguments) -> dict[int, Compared]:
    """All calls beside one convention."""
    return {
        place: trial.compare(arguments, convention, given)
        for place, (_, arguments, given) in enumerate(trial.calls)
    }
