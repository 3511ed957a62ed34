"""An implementation beside an operator: the same calls on both sides, for each convention."""

from __future__ import annotations

import functools
import itertools
import math
import pickle
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from numseg import names
from numseg.conventions import Arguments, Unsupported
from numseg.errors import ArgumentError
from numseg.operator import Operator
from numseg.testing import conventions, foreign
from numseg.testing.drawing import ASPECTS, BATCH, Call, Source, aspect
from numseg.testing.foreign import Foreign, Given, Refused
from numseg.testing.guarded import PATTERNS, Guard
from numseg.testing.verdict import Side
from numseg.typing import Array

if TYPE_CHECKING:
    pass

SCREENS = (8, 16, 40)
"""After so many cases the conventions that have deviated are left."""

LEFT = 48
"""So many conventions are compared with after a screen that none has passed."""

MOST_CONVENTIONS = 600
"""Beyond so many combinations, only those are tried that differ from the defaults, or from a named
convention, in at most two arguments."""

ANY: Any = object()
"""In the place of a value."""

REACHED = 3
"""So many calls are added in which an argument matters that did not matter before."""

MOST_BATCHES = 30
"""How long these are looked for."""

GIVE_UP = 8
"""After so many calls that did not return no more are made."""

GIVE_UP_AT_FIRST = 3
"""The same if none has returned."""


class Difference(NamedTuple):
    """Where two sets of results are furthest apart, beyond the tolerance."""

    part: str
    place: tuple[int, ...] | None
    ours: Any
    theirs: Any
    ulps: float
    numbers: int
    """How many differ."""


class Compared(NamedTuple):
    """One call on both sides."""

    ulps: float
    """The largest deviation within the tolerance."""
    difference: Difference | None


class Observed(NamedTuple):
    """What asking again for the same call showed."""

    change: float | None = None
    """By how many ulps the results differ the second time; None: not by a bit."""
    beyond: tuple[Guard, ...] = ()
    """The guards that ended the process."""
    unwritten: tuple[int, ...] = ()
    """Results, by place, with numbers that depend on what memory held before."""
    raw: bool = False
    """Those numbers are what memory held."""


class Trial:
    """One implementation beside one operator."""

    aspect = staticmethod(aspect)

    def __init__(
        self,
        peer: Foreign,
        op: Operator[..., Any],
        fixed: Arguments,
        dtypes: tuple[str, ...],
        values: tuple[str, ...],
        ulps: float | None,
        guard: bool = False,
    ) -> None:
        from numseg.testing import cases

        self.guard = guard
        self.peer, self.op, self.ulps = peer, op, ulps
        self.dtypes, self.values = dtypes, values
        self._stated = cases.of(op)
        self._roundings = functools.partial(cases.roundings, op)
        choices = dict(conventions.choices(op))
        self._check_fixed(fixed)
        self.told = frozenset(fixed)
        """Parameters that the caller has fixed."""
        for name in fixed:
            choices.pop(name, None)
        self.free = {n: v for n, v in choices.items() if n not in peer.takes}
        drop = [n for n in op.parameters.defaults if n not in peer.takes and n not in self.free]
        self.fixed = {n: op.parameters.defaults[n] for n in drop} | fixed
        """What every call has, whatever was drawn."""
        self.conventions = list(self._combinations())
        self.source = Source(op, peer.takes, self.free, self.fixed, dtypes, values)
        self.complete, self.defined = self.source.complete, self.source.defined
        self.live = list(range(len(self.conventions)))
        """The numbers of those that are still compared."""
        self.calls: list[tuple[Call, Arguments, Given]] = []
        self.aspects: list[str] = []
        """One for each of ``calls``."""
        self.refused: list[tuple[Call, Arguments, Refused]] = []
        self.observed: list[Observed] = []
        """One for each of ``calls``."""
        self.unsupported = self.left_out = 0
        """Calls that their framework has no words for; those not made since some had hung."""
        self._hung: set[bytes] = set()
        self._kept: set[int] = set()
        self._ours: dict[Any, Given | None] = {}
        """Of the arguments in ``calls``, by their id: what the definition gives."""
        self.found: list[dict[int, Compared]] = []
        """For each convention, what each call of ``calls`` gave."""

    def _check_fixed(self, fixed: Arguments) -> None:
        """Is there a call with these parameters?"""
        from numseg.testing import cases

        op = self.op
        known = [n for n in op.__signature__.parameters if n not in op.inputs]
        for name in fixed:
            if name not in known:
                hint = names.close_to(name, known)
                raise ArgumentError(f"fixed: {op.__name__} has no parameter {name!r}{hint}")
        for case in cases.drawn(op, 150) if fixed else ():
            try:
                op.plan(**case.arguments("integers", np.float32) | fixed)
                return
            except ArgumentError as error:
                why = str(error)
        if fixed:
            raise ArgumentError(f"fixed: no call of {op.__name__} has {_said(fixed)}: {why}")

    # -- conventions ---------------------------------------------------------------------------

    def _combinations(self) -> Iterator[Arguments]:
        """Values of the free arguments, the defaults first."""
        free = list(self.free)
        every = itertools.product(*self.free.values())
        if math.prod(len(v) for v in self.free.values()) <= MOST_CONVENTIONS:
            yield from (dict(zip(free, values, strict=True)) for values in every)
            return
        plain = {n: v[0] for n, v in self.free.items()}
        starts = [plain, *(
            plain | {k: v for k, v in known.items() if k in self.free}
            for known in conventions.named(self.op).values()
        )]  # fmt: skip
        seen = set()
        for start in starts:
            for a, b in itertools.combinations_with_replacement(free, 2):
                for va, vb in itertools.product(self.free[a], self.free[b]):
                    made = start | {a: va, b: vb}
                    if (key := repr(made)) not in seen:
                        seen.add(key)
                        yield made

    # -- calls ---------------------------------------------------------------------------------

    def run(
        self,
        count: int,
        seed: int,
        progress: bool,
        on_hang: Callable[[Arguments], str] = lambda arguments: "",
    ) -> None:
        """Draw calls, and compare each under the conventions that are still possible.

        Of a call that does not return, ``on_hang`` says what to show, beside a progress bar at
        once.
        """
        self.seed, self.count = seed, count
        self.found = [{} for _ in self.conventions]
        bar = _bar(count, self.peer.op.__name__) if progress else None
        told: list[str] = []

        def visit(call: Call) -> bool:
            before = self.peer.hung
            self._visit(call)
            if self.peer.hung > before and len(told) < 3:
                told.append(on_hang(self.refused[-1][1] if self.refused else {}))
                if bar is not None:
                    bar.write(f"{self.refused[-1][2].message}:\n{told[-1]}", file=sys.stderr)
            if bar is not None:
                bar.update()
            return self.drawn >= count

        try:
            self.source.each(visit, self.batches(2), str(seed))
            if self.calls:
                self._reach(visit)
        finally:
            if bar is not None:
                bar.close()
        self._check_some(told)

    def batches(self, factor: int = 1) -> int:
        """Of the source: some calls are drawn twice."""
        return 4 + factor * -(-self.count // BATCH)

    def _reach(self, visit: Callable[[Call], bool]) -> None:
        """Add calls in which arguments that they take matter, where those drawn have none."""
        convention = self.conventions[min(range(len(self.conventions)), key=self.rank)]
        for name, value in self.idle(convention):
            left = REACHED

            def matters(call: Call, name: str = name, value: Any = value) -> bool:
                nonlocal left
                arguments = self.complete(call.arguments())
                fit = aspect(call, arguments) == "ordinary" and _has(arguments, name, value)
                if fit and self._matters(name, arguments, convention, self.values_of(name)):
                    left -= 1
                    visit(call)
                return left == 0

            self.source.each(matters, MOST_BATCHES, f"{self.seed} {name} {value!r}")

    def idle(self, convention: Arguments) -> list[tuple[str, Any]]:
        """Arguments that they take, and that have had several values, and values of those that
        are words or flags, else ANY, on which what the definition gives depends in no call."""
        found = []
        entries = [a for p, (_, a, _) in enumerate(self.calls) if self.aspects[p] == "ordinary"]
        for name in self.peer.takes:
            values = self.values_of(name)
            if name in self.told or len(values) < 2:
                continue
            words = name not in self.op.inputs and all(isinstance(v, (bool, str)) for v in values)
            for value in values if words else [ANY]:
                fit = (a for a in entries if _has(a, name, value))
                if not any(self._matters(name, a, convention, values) for a in fit):
                    found.append((name, value))
        return found

    def values_of(self, name: str) -> list[Any]:
        """Some values that an argument has had; of an array that may be left out, None."""
        if name in self.op.inputs:
            return [None, ()] if self.op.parameters.defaults.get(name, ()) is None else []
        values = [a.get(name) for _, a, _ in self.calls]
        values += [self.op.parameters.defaults[name]] if name in self.op.parameters.defaults else []
        return list({repr(v): v for v in values}.values())[:4]

    def _matters(
        self, name: str, arguments: Arguments, convention: Arguments, values: Sequence[Any]
    ) -> bool:
        """Does the definition give something else for another value, or an error?"""
        ours = self.ours(arguments, convention)
        if ours is None or (name in self.op.inputs and arguments.get(name) is None):
            return False
        for value in values[:1] if name in self.op.inputs else values:
            if repr(value) != repr(arguments.get(name)):
                other = self.ours(arguments | {name: value}, convention)
                if other is None or not _alike(ours.results, other.results):
                    return True
        return False

    @property
    def drawn(self) -> int:
        """How many calls were drawn."""
        return len(self.calls) + len(self.refused) + self.unsupported + self.left_out

    def _check_some(self, told: list[str]) -> None:
        """Was there a call that it took?"""
        if self.calls:
            return
        name = self.op.__name__
        if self.drawn == 0:
            raise ArgumentError(f"no call of {name} was drawn that has {_said(self.fixed)}")
        if self.left_out:
            hung = "; ".join(told[0].splitlines())
            raise ArgumentError(
                f"gave up after {self.peer.hung} calls of {name} without an answer: "
                f"{self.refused[0][2].message} from {hung}"
            )
        if not self.refused:
            raise ArgumentError(
                f"the function's framework has no words for any of {self.unsupported} calls of"
                f" {name}"
            )
        first = self.refused[0][2]
        raise ArgumentError(
            f"the function refused all {len(self.refused)} calls of {name}: "
            f"{first.error}: {first.message}"
        )

    def _gave_up(self, patience: int = 1) -> bool:
        most = GIVE_UP if self.calls else GIVE_UP_AT_FIRST
        return self.peer.hung >= most * patience

    def _visit(self, call: Call) -> None:
        if self._gave_up():
            self.left_out += 1
            return
        arguments = self.complete(call.arguments())
        before = self.peer.hung
        try:
            given = self.peer.call(arguments)
        except Unsupported:
            self.unsupported += 1
            return
        if isinstance(given, Refused):
            self.refused.append((call, arguments, given))
            if self.peer.hung > before:
                self._hung.add(pickle.dumps(arguments))
            return
        place = len(self.calls)
        self.calls.append((call, arguments, given))
        self._kept.add(id(arguments))
        self.observed.append(self._observe(arguments, given))
        self.aspects.append(aspect(call, arguments))
        if place in SCREENS:
            self._screen(last=place == SCREENS[-1])
        for number in self.live:
            self.found[number][place] = self.compare(arguments, self.conventions[number], given)

    def _observe(self, arguments: Arguments, given: Given) -> Observed:
        """Call again: plainly, and beside memory that nobody may touch."""
        seen = Observed(self._change(arguments, given, self.peer.call(arguments)))
        if not self.guard:
            return seen
        guards = [Guard(pattern=p) for p in PATTERNS] + [Guard(end=False)]
        beyond: list[Guard] = []
        outcomes: list[Given | Refused] = []
        for how in guards:
            hung, outcome = self.peer.hung, self.peer.call(arguments, how)
            if isinstance(outcome, Refused) and outcome.error == "Lost" and self.peer.hung == hung:
                beyond.append(how)
                outcome = self.peer.call(arguments, how._replace(forbid="nothing"))
            outcomes.append(outcome)
        first, second = outcomes[:2]
        if not (isinstance(first, Given) and isinstance(second, Given)):
            return seen._replace(beyond=tuple(beyond))
        pairs = list(enumerate(zip(first.results, second.results, strict=False)))
        odd = tuple(j for j, (a, b) in pairs if not foreign.same_bits(a, b))
        raw = bool(odd) and all(_holds_pattern(*pairs[j][1]) for j in odd)
        if seen.change is not None and not raw:  # chance, for all that is known
            return seen._replace(beyond=tuple(beyond))
        return Observed(None, tuple(beyond), odd, raw)

    def _change(self, arguments: Arguments, given: Given, again: Given | Refused) -> float | None:
        """How far results are apart, in ulps, if they are not the same bits."""
        if isinstance(again, Refused):
            return math.inf
        first = [*given.results, *given.gradients.values()]
        second = [*again.results, *again.gradients.values()]
        if len(first) == len(second) and all(map(foreign.same_bits, first, second)):
            return None
        if [a.shape for a in first] != [b.shape for b in second]:
            return math.inf
        dtype = np.dtype(given_dtype(arguments, self.op))
        return max(
            float(_ulps(a, b, np.maximum(1, _finite(np.abs(a))), a == b, dtype).max(initial=0))
            for a, b in zip(first, second, strict=True)
        )

    def _screen(self, last: bool) -> None:
        """Go on with the conventions that fit all ordinary calls; if there is none, with some that
        are best, at last with two."""
        fitting = [n for n in self.live if self._deviating(n, ["ordinary"]) == 0]
        self.live = fitting or sorted(self.live, key=self.rank)[: 2 if last else LEFT]

    def _deviating(self, number: int, aspects: Sequence[str] = ASPECTS) -> int:
        """How many calls of these aspects deviate from a convention."""
        found = self.found[number].items()
        return sum(c.difference is not None and self.aspects[p] in aspects for p, c in found)

    def rank(self, number: int) -> tuple[int, ...]:
        """The best first: seen longest, fewest deviations, then a named one, then the defaults."""
        found, chosen = self.found[number], self.conventions[number]
        changed = self.changed(chosen)
        named = conventions.names_of(self.op, set(self.free), chosen)
        odd = self._deviating(number, ["ordinary"]), self._deviating(number)
        return -len(found), *odd, -bool(named), changed

    def changed(self, convention: Arguments) -> int:
        """In how many arguments it differs from the defaults."""
        return sum(self.free[n][0] is not v for n, v in convention.items())

    # -- comparing -----------------------------------------------------------------------------

    def ours(
        self,
        arguments: Arguments,
        convention: Arguments,
        grad_y_of: Callable[[Array], Array] = np.asarray,
    ) -> Given | None:
        """What the definition gives; None if the convention does not have this call."""
        key = id(arguments), repr(convention), grad_y_of
        if key not in self._ours:
            made = self._defined(arguments, convention, grad_y_of)
            if id(arguments) not in self._kept:
                return made
            self._ours[key] = made
        return self._ours[key]

    def _defined(
        self, arguments: Arguments, convention: Arguments, grad_y_of: Callable[[Array], Array]
    ) -> Given | None:
        reference = self.op.reference
        try:
            y, saved = reference.forward(**{**arguments, **convention})
        except ArgumentError:
            return None
        results = list(y) if isinstance(y, tuple) else [y]
        gradients: dict[str, Array] = {}
        if self.peer.gradient and results[0].dtype.kind == "f":
            grad_y = self.peer.grad_y(results[0].shape, results[0].dtype)
            flat = reference.backward(saved, grad_y_of(grad_y))
            gradients = self._gradients(arguments, flat)
        return Given(results, gradients)

    def _gradients(self, arguments: Arguments, flat: tuple[Any, ...]) -> dict[str, Array]:
        labels = []
        for name in self.op.differentiable:
            value = arguments.get(name)
            if isinstance(value, (list, tuple)):
                labels += [f"{name}[{j}]" for j in range(len(value))]
            else:
                labels.append(name)
        return {n: g for n, g in zip(labels, flat, strict=True) if g is not None}

    def compare(self, arguments: Arguments, convention: Arguments, given: Given) -> Compared:
        """Their results beside those of the definition under a convention."""
        ours = self.ours(arguments, convention)
        if ours is None:
            return Compared(0, Difference("refusal", None, "an error", "a result", math.inf, 0))
        if len(ours.results) != len(given.results):
            sizes = len(ours.results), len(given.results)
            return Compared(0, Difference("number of results", None, *sizes, math.inf, 0))
        parts = [
            (name, a, b)
            for name, a, b in zip(self.op.outputs, ours.results, given.results, strict=False)
        ]
        parts += [
            (f"gradient of {name}", a, given.gradients[name])
            for name, a in ours.gradients.items()
            if name in given.gradients
        ]
        dtype = np.dtype(given_dtype(arguments, self.op))
        limit, worst = self.tolerance(arguments, convention), 0.0
        scales: dict[str, Array] | None = None
        for name, a, b in parts:
            if a.shape != b.shape:
                return Compared(
                    worst, Difference(f"shape of {name}", None, a.shape, b.shape, math.inf, a.size)
                )
            same = (a == b) | (np.isnan(a) & np.isnan(b)) if a.dtype.kind == "f" else a == b
            if same.all():
                continue
            if a.dtype.kind != "f":
                off = np.where(same, 0, math.inf)
            else:
                if scales is None:
                    scales = self._scales(arguments, convention, ours)
                off = _ulps(a, b, scales.get(name), same, dtype)
            place = np.unravel_index(int(np.argmax(off)), off.shape)
            largest = float(off[place])
            if largest > limit:
                index = tuple(int(i) for i in place)
                numbers = int(np.count_nonzero(off > limit))
                return Compared(
                    worst,
                    Difference(name, index, a[place].item(), b[place].item(), largest, numbers),
                )
            worst = max(worst, largest)
        return Compared(worst, None)

    def eps(self, arguments: Arguments) -> float:
        """The machine epsilon of a call's arrays."""
        return float(np.finfo(given_dtype(arguments, self.op)).eps)

    def tolerance(self, arguments: Arguments, convention: Arguments) -> float:
        """How many ulps conform."""
        if self.ulps is not None:
            return self.ulps
        plan = self.op.plan(**{**arguments, **convention})
        return 16.0 + 4 * self._roundings(plan)

    def _scales(self, arguments: Arguments, convention: Arguments, ours: Given) -> dict[str, Array]:
        """The size of what each number is made of."""
        op = self.op
        floats = {
            n
            for n in op.inputs
            if any(a.dtype.kind == "f" for a in foreign.arrays(arguments.get(n)))
        }
        plan = op.plan(**{**arguments, **convention})
        linear = bool(op.linear) and plan.linear and floats <= {*op.linear, *op.facts.examines}
        linear = linear and getattr(self._stated, "SCALE", "terms") == "terms"
        if not linear:
            values = zip(op.outputs, ours.results, strict=False)
            scales = {n: np.maximum(1, _finite(np.abs(y))) for n, y in values}
            for n, g in ours.gradients.items():
                scales[f"gradient of {n}"] = np.maximum(1, np.max(np.abs(_finite(g)), initial=0))
            return scales
        sizes = {n: _positive(v) if n in op.linear else v for n, v in arguments.items()}
        y, saved = op.reference.forward(**{**sizes, **convention})
        results = list(y) if isinstance(y, tuple) else [y]
        scales = dict(zip(op.outputs, results, strict=False))
        if ours.gradients:
            grad_y = np.abs(self.peer.grad_y(results[0].shape, results[0].dtype))
            flat = op.reference.backward(saved, grad_y)
            for n, g in self._gradients(arguments, flat).items():
                largest = np.maximum(1, np.max(np.abs(g), initial=0))
                scales[f"gradient of {n}"] = np.abs(g) if n in op.linear else largest
        return scales

    def try_call(self, arguments: Arguments) -> Given | Refused | None:
        """Their outcome; None where their framework has no words for the call, or it is known, or
        to be feared, that the call does not return."""
        if self._gave_up(2) or (self._hung and pickle.dumps(arguments) in self._hung):
            return None
        try:
            return self.peer.call(arguments)
        except Unsupported:
            return None

    def side(self, given: Given | None) -> Side:
        """Results to show."""
        if given is None:
            return Side((), {})
        return Side(tuple(given.results), given.gradients)

    def found_difference(self, chosen: Arguments, place: int) -> Difference | None:
        """How a call deviated from a convention."""
        _, arguments, given = self.calls[place]
        return self.compare(arguments, chosen, given).difference


def _has(arguments: Arguments, name: str, value: Any) -> bool:
    return value is ANY or repr(arguments.get(name)) == repr(value)


def _alike(a: list[Array], b: list[Array]) -> bool:
    """But for rounding."""
    return len(a) == len(b) and all(
        y.shape == z.shape and np.allclose(y, z, rtol=1e-3, atol=1e-6, equal_nan=True)
        for y, z in zip(a, b, strict=True)
    )


def _said(arguments: Arguments) -> str:
    return ", ".join(f"{n}={v!r}" for n, v in arguments.items())


def _holds_pattern(a: Array, b: Array) -> bool:
    """Where two results differ, do they hold what memory was filled with?"""
    filled = [np.full(y.nbytes, ~p & 0xFF, np.uint8).view(y.dtype)
              for y, p in zip((a, b), PATTERNS, strict=True)]  # fmt: skip
    bits = [(y.view(f"u{y.itemsize}"), f.view(f"u{y.itemsize}").reshape(y.shape))
            for y, f in zip((a, b), filled, strict=True)]  # fmt: skip
    (a, pa), (b, pb) = bits
    odd = a != b
    return bool((a[odd] == pa[odd]).all() and (b[odd] == pb[odd]).all())


def given_dtype(arguments: Arguments, op: Operator[..., Any]) -> Any:
    """The dtype of the first array of floats."""
    for name in op.inputs:
        for array in foreign.arrays(arguments.get(name)):
            if array.dtype.kind == "f":
                return array.dtype
    return np.float64


@np.errstate(all="ignore")
def _ulps(a: Array, b: Array, scale: Any, same: Array, dtype: np.dtype[Any]) -> Array:
    """How far apart, in ulps; infinite where only one of them is a finite number."""
    wide_a, wide_b = a.astype(np.float64), b.astype(np.float64)
    unit = float(np.finfo(dtype).eps) * np.asarray(1.0 if scale is None else scale, np.float64)
    off = np.where(same, 0, np.abs(wide_a - wide_b) / unit)
    return np.where(np.isnan(off), math.inf, off)


def _finite(array: Array) -> Array:
    return np.where(np.isfinite(array), array, 0)


def _positive(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_positive(part) for part in value]
    return np.abs(_finite(value)) if isinstance(value, np.ndarray) else value


def _bar(total: int, title: str) -> Any:
    from numseg.files import optional

    tqdm = optional("tqdm", "tqdm", "train", "a progress bar").tqdm
    return tqdm(total=total, desc=title, unit="case", dynamic_ncols=True, leave=False)
