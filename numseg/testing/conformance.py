"""Somebody else's implementation against an operator's definition, answered in words."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from numseg import checks
from numseg.conventions import Arguments
from numseg.errors import ArgumentError
from numseg.operator import Operator
from numseg.testing import conventions, diagnosis, example, faults, foreign, guarded, untried
from numseg.testing.diagnosis import Explanation
from numseg.testing.drawing import ASPECTS, KINDS, Call
from numseg.testing.foreign import Foreign, Refused
from numseg.testing.isolated import Isolated
from numseg.testing.trial import MOST_CONVENTIONS, Compared, Trial
from numseg.testing.verdict import (
    ConformanceReport,
    Deviation,
    DtypeSummary,
    Refusal,
)

SHOWN_REFUSALS = 5


def conformance(
    theirs: Callable[..., Any],
    ours: Operator[..., Any],
    *,
    adapt: Callable[..., Any] | None = None,
    names: Mapping[str, str] | None = None,
    constants: Mapping[str, Any] | None = None,
    fixed: Mapping[str, Any] | None = None,
    arrays: str = "auto",
    backward: Callable[..., Any] | None = None,
    gradient: bool = False,
    cases: int = 200,
    seed: int = 0,
    dtypes: Sequence[str] = ("float32", "float64"),
    values: Sequence[str] = KINDS,
    ulps: float | None = None,
    isolate: bool = False,
    timeout: float | None = None,
    guard: bool = False,
    allow: Sequence[str] = (),
    name: str | None = None,
    progress: bool = False,
) -> ConformanceReport:
    """Find the convention of ``ours`` that ``theirs`` follows, or where it deviates from all.

    Generated calls go to ``theirs``, and to the definition ``ours.reference`` under every
    combination of the arguments that choose a convention (words and flags) and that ``theirs`` does
    not take. What it does take means the same on both sides, or is a deviation.

    Parameters
    ----------
    theirs : function
        Of arrays and numbers. Its arguments have the names of ours, or of
        ``torch.nn.functional``, or are in the same order.
    ours : Operator
    adapt : function, optional
        Makes the arguments of ``theirs``, a tuple or a dict, of those of ours that it names.
    names : dict, optional
        Their name for an argument of ours; "" for one that they must not get.
    constants : dict, optional
        Arguments of theirs that always have this value.
    fixed : dict, optional
        Parameters of ours that always have this value.
    arrays : str
        What arrays they want: "numpy", "torch", or another module with an ``asarray``. "auto" asks
        the function's module, and tries torch if all else is refused.
    backward : function, optional
        Their gradients, compared too: ``backward(grad_y, ...)`` with the arguments of ``theirs``
        gives them in the order of ``ours.differentiable``, or by our names.
    gradient : bool
        Compare the gradients that torch's autograd finds.
    cases : int
        How many calls.
    seed : int
        Of the calls.
    dtypes : sequence of str
        Of the arrays: "float32", "float64".
    values : sequence of str
        "integers" (with ties), "reals" (without), "special" (NaN and infinities among integers).
    ulps : float, optional
        The largest deviation that conforms; 16 and four times the operator's stated roundings by
        default. Integers conform if they are equal.
    isolate : bool
        Call ``theirs`` in a forked process, which may crash or hang (not on Windows and macOS).
    timeout : float, optional
        Seconds that a call may take; needs ``isolate``. By default 30 until the first result, as
        something may have to be compiled, and 5 after it; 1 after three calls that took longer.
        After eight such calls, three if none has returned, no more are made.
    guard : bool
        Call ``theirs`` for each case three times more, in the forked process (so on Linux alone),
        with each NumPy array, given or made there, against memory that nobody may touch, at its
        end and at its beginning, and with memory filled with two patterns: finds reads and writes
        beyond arrays, and results that are never written.
    allow : sequence of str
        What need not be as it is in numseg: "dtype" (results have that of the definition), "write"
        (no argument is written to), "alias" (results have memory of their own), "reuse" (and
        keep it), "change" (the same arguments give the same bits).
    name : str, optional
        What the report calls ``theirs``.
    progress : bool
        Show a progress bar (tqdm) on stderr.

    Returns
    -------
    ConformanceReport
        True if it conforms to a convention wherever it takes the arguments, and does nothing
        besides; printing it says which, or where it deviates, what it refuses, and what was not
        tried.

    Notes
    -----
    An ulp is ``eps * size``, where ``eps`` is the machine epsilon of the arrays' dtype and ``size``
    the sum of the terms' absolute values for an operator that is linear in its arrays; for another
    the larger of the result's absolute value and 1.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> from numseg.testing import conformance
    >>> bool(conformance(lambda x: np.maximum(x, 0), ns.relu, cases=50))
    True
    """
    if not isinstance(ours, Operator):
        raise ArgumentError(f"ours must be an operator of numseg, got {type(ours).__name__}")
    if not callable(theirs):
        raise ArgumentError(f"theirs must be a function, got {type(theirs).__name__}")
    some_dtypes = _words("dtypes", dtypes, ("float32", "float64"))
    some_values = _words("values", values, KINDS)
    allow = _words("allow", allow, faults.KINDS, least=0)
    ulps = None if ulps is None else checks.real("ulps", ulps, 0)
    timeout = None if timeout is None else checks.real("timeout", timeout, 1e-3)
    _check_process(isolate, timeout, checks.flag("guard", guard))
    peer = Foreign(
        theirs,
        ours,
        adapt=adapt,
        names=names,
        constants=constants,
        arrays=arrays,
        backward=backward,
        gradient=gradient,
        isolate=isolate or guard,
        timeout=timeout,
    )
    count = checks.integer("cases", cases, 1)
    seed = checks.integer("seed", seed, 0)
    trial = Trial(peer, ours, dict(fixed or {}), some_dtypes, some_values, ulps, guard)
    name = name or _name_of(theirs)
    try:
        trial.run(count, seed, progress, lambda a: example.snippet(trial, name, a, {}))
        return _report(trial, name, allow)
    finally:
        peer.close()


def _words(
    what: str, given: Sequence[str], known: tuple[str, ...], least: int = 1
) -> tuple[str, ...]:
    """Some of the known words; one of them may be given alone."""
    words = (given,) if isinstance(given, str) else tuple(given)
    for word in words:
        checks.choice(what, word, known)
    if len(words) < least:
        raise ArgumentError(f"{what} must be some of {', '.join(known)}, got none")
    return words


def _check_process(isolate: bool, timeout: float | None, guard: bool) -> None:
    """Can a process of its own do what is asked?"""
    if timeout is not None and not (isolate or guard):
        raise ArgumentError("timeout: a call is ended only in a process of its own (isolate=True)")
    if guard and not (Isolated.possible() and guarded.possible()):
        raise ArgumentError("guard: needs Linux with glibc, where a process can be forked")


def _report(trial: Trial, name: str, allow: Sequence[str]) -> ConformanceReport:
    """What was found, in words."""
    chosen, found, explained, fitting = _chosen(trial)
    indifferent = [n for n in trial.free if _indifferent(trial, n, chosen, fitting)]
    named = _names(trial, chosen, indifferent)
    implied = conventions.named(trial.op)[named[0]] if named else {}
    quiet = {*indifferent, *implied, *(n for n in trial.free if n.startswith("return_"))}
    said = {n: v for n, v in chosen.items() if n not in quiet and v is not trial.free[n][0]}
    deviations: list[Deviation] = []
    odd = [p for p, c in found.items() if c.difference is not None]
    counts = {}
    for which in ASPECTS:
        places = [p for p in odd if trial.aspects[p] == which]
        counts[which] = len(places), trial.aspects.count(which)
        if places and not any(d.kind == "ordinary" for d in deviations):
            why = explained if which == "ordinary" else None
            deviations.append(diagnosis.deviation(trial, name, chosen, places, which, why))
    return ConformanceReport(
        function=name,
        operator=trial.op.__name__,
        arrays=trial.peer.arrays,
        takes=dict(trial.peer.takes),
        fixed={n: v for n, v in trial.fixed.items() if n not in trial.op.inputs},
        without=tuple(n for n in trial.op.inputs if n not in trial.peer.takes),
        named=tuple(named),
        convention=said,
        indifferent=tuple(n for n in indifferent if not n.startswith("return_")),
        arguments={n: v for n, v in chosen.items() if n not in indifferent},
        tried=len(trial.conventions),
        cases=len(trial.calls),
        deviating=len(odd),
        aspects=counts,
        dtypes=tuple(_summary(trial, dtype, found) for dtype in trial.dtypes),
        deviations=tuple(deviations),
        refusals=tuple(_refusals(trial, name, chosen)),
        unsupported=trial.unsupported,
        gradients=trial.peer.gradient,
        seed=trial.seed,
        faults=tuple(faults.faults(trial, name, chosen, allow)),
        untried=tuple(untried.untried(trial, chosen)),
        proposals=untried.proposals(trial),
        explained=explained is not None,
    )


def _chosen(
    trial: Trial,
) -> tuple[Arguments, dict[int, Compared], Explanation | None, list[Arguments]]:
    """The convention that is nearest, what it gives, and those that do not differ from it.

    If none fits all ordinary calls, but a known mistake explains them under one, it is that one.
    """
    best = min(range(len(trial.conventions)), key=trial.rank)
    chosen, found = trial.conventions[best], trial.found[best]
    explained = None
    if any(c.difference and trial.aspects[p] == "ordinary" for p, c in found.items()):
        explained = diagnosis.explanation(trial, chosen)
        if explained is not None and explained.mistake is not None:
            chosen = explained.convention
            alike = [c for c in _neighbours(trial, chosen) if explained.holds_too(trial, c)]
            return chosen, diagnosis.judged(trial, chosen), explained, alike
    outcome = {p: c.difference is None for p, c in found.items()}
    alike = [
        convention
        for n, convention in enumerate(trial.conventions)
        if {p: c.difference is None for p, c in trial.found[n].items()} == outcome
    ]
    return chosen, found, explained, alike


def _neighbours(trial: Trial, chosen: Arguments) -> list[Arguments]:
    """Those that differ in one argument at most."""
    return [c for c in trial.conventions if sum(c[n] is not v for n, v in chosen.items()) < 2]


def _indifferent(trial: Trial, name: str, chosen: Arguments, fitting: list[Arguments]) -> bool:
    """Would every value of the argument have given the same?"""
    return all(chosen | {name: value} in fitting for value in trial.free[name])


def _names(trial: Trial, chosen: Arguments, indifferent: list[str]) -> list[str]:
    """Named conventions; what makes no difference may have any value."""
    values = [trial.free[n] if n in indifferent else [chosen[n]] for n in trial.free]
    found: dict[str, tuple[bool, int, int]] = {}
    for choice in itertools.islice(itertools.product(*values), MOST_CONVENTIONS):
        made = dict(zip(trial.free, choice, strict=True))
        for plain, name in conventions.names_of(trial.op, set(trial.free), made):
            stated = conventions.named(trial.op)[name]
            idle = sum(n in indifferent for n in stated)  # says nothing of this function
            fit = plain, len(stated) - idle, -idle
            found[name] = max(fit, found.get(name, fit))
    best = max(found.values(), default=None)
    return [name for name, fit in found.items() if fit == best]


def _summary(trial: Trial, dtype: str, found: dict[int, Compared]) -> DtypeSummary:
    mine = [c for p, c in found.items() if trial.calls[p][0].dtype == dtype]
    agree = [c.ulps for c in mine if c.difference is None]
    return DtypeSummary(
        dtype,
        len(mine),
        len(mine) - len(agree),
        sum(u == 0 for u in agree),
        max(agree, default=0.0),
    )


def _refusals(trial: Trial, name: str, chosen: Arguments) -> Iterator[Refusal]:
    """Errors of one kind together, with the smallest call, and what those calls share."""
    groups: dict[tuple[str, str], list[tuple[Call, Arguments, Refused]]] = {}
    for call, arguments, refused in trial.refused:
        if trial.ours(arguments, chosen) is not None:
            kind = re.sub(r"[-\d.\[\], ()]+", " ", refused.message)[:60]
            groups.setdefault((refused.error, kind), []).append((call, arguments, refused))
    ordered = sorted(groups.values(), key=len, reverse=True)
    taken = [arguments for _, arguments, _ in trial.calls]
    for group in ordered[:SHOWN_REFUSALS]:
        _, arguments, refused = min(group, key=lambda entry: foreign.size_of(entry[1]))

        def again(changed: Arguments, wanted: Refused = refused) -> bool:
            outcome = trial.try_call(changed)
            return isinstance(outcome, Refused) and outcome.error == wanted.error

        smallest = arguments
        if refused.error != "Lost":  # each costs a process
            smallest = example.simplify(trial, arguments, again)
            said = trial.try_call(smallest)
            refused = said if isinstance(said, Refused) else refused
        else:
            refused = group[-1][2]  # the first call may have waited longer
        yield Refusal(
            refused,
            len(group),
            example.shared([a for _, a, _ in group], taken, trial.op),
            example.snippet(trial, name, smallest, chosen),
        )


def _name_of(function: Callable[..., Any]) -> str:
    module = getattr(function, "__module__", None) or ""
    name = getattr(function, "__qualname__", type(function).__name__)
    name = getattr(function, "__name__", name) if "." in name or " " in name else name
    return f"{module}:{name}" if module and module != "__main__" else name
