"""Generated calls of an operator, for somebody else's implementation of it."""

from __future__ import annotations

import dataclasses
import pickle
import random
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from numseg.conventions import Arguments
from numseg.errors import ArgumentError
from numseg.operator import Operator
from numseg.testing import foreign

if TYPE_CHECKING:
    from numseg.testing.cases import Case

KINDS = ("integers", "reals", "special")
"""Values: small whole numbers, among them equal ones; distinct numbers; whole numbers, and in the
first array NaN, infinities and negative zeros among them."""

ASPECTS = ("ordinary", "special", "empty")
"""Calls with numbers in all arrays; with NaN and infinities among them; with an empty array."""


class Call(NamedTuple):
    """One generated call, without its values."""

    case: Case
    dtype: str
    kind: str
    seed: int

    def arguments(self, kind: str | None = None) -> Arguments:
        """The arguments, with values of this or another kind."""
        kind = kind or self.kind
        plain = "integers" if kind == "special" else kind
        made = self.case.arguments(plain, np.dtype(self.dtype), self.seed)
        if kind == "special":
            rng = np.random.default_rng([self.seed, 2])
            name, entry = next(iter(self.case.arrays.items()))  # what is filtered, not the filter
            if isinstance(entry, tuple):
                chosen = rng.random(entry) < 0.25
                odd = rng.choice([np.nan, np.nan, np.inf, -np.inf, -0.0], entry)
                made[name] = np.where(chosen, odd, made[name]).astype(made[name].dtype)
        return made


def aspect(call: Call, arguments: Arguments) -> str:
    """Which of ``ASPECTS`` a call is of."""
    if any(a.size == 0 for value in arguments.values() for a in foreign.arrays(value)):
        return "empty"
    return "special" if call.kind == "special" else "ordinary"


BATCH = 8
"""So many calls are drawn afresh, then come others: from ten on Hypothesis changes those that it
has, and most calls would be much alike."""


class Source:
    """Draws calls: what is ``fixed`` is in all of them, what is ``free`` in none."""

    def __init__(
        self,
        op: Operator[..., Any],
        takes: Collection[str],
        free: Collection[str],
        fixed: Arguments,
        dtypes: tuple[str, ...],
        values: tuple[str, ...],
    ) -> None:
        self.op, self.takes, self.free, self.fixed = op, takes, free, fixed
        self.dtypes, self.values = dtypes, values

    def complete(self, arguments: Arguments) -> Arguments:
        return {**self.op.parameters.defaults, **arguments, **self.fixed}

    def find(self, visit: Callable[[Call], bool], batches: int, seed: str) -> Call | None:
        """Draw calls until ``visit`` is true of one, and give the smallest of which it is.

        The calls are the same for every ``visit`` up to the first of which it is true.
        """
        found = (self._batch(visit, f"{seed}:{batch}") for batch in range(batches))
        return next((call for call in found if call is not None), None)

    def _batch(self, visit: Callable[[Call], bool], seed: str) -> Call | None:
        from hypothesis import HealthCheck, Phase, find, settings
        from hypothesis.errors import Flaky, NoSuchExample, Unsatisfiable

        quiet = settings(
            max_examples=BATCH,
            database=None,
            deadline=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        )
        try:
            return find(self._strategy(), visit, settings=quiet, random=random.Random(seed))
        except (NoSuchExample, Unsatisfiable, Flaky):  # flaky: their results change
            return None

    def each(self, visit: Callable[[Call], bool], batches: int, seed: str) -> None:
        """The calls, none twice, until ``visit`` is true of one: that is enough."""
        seen: set[bytes] = set()
        done = False

        def once(call: Call) -> bool:
            nonlocal done
            if not done and (key := pickle.dumps(self.complete(call.arguments()))) not in seen:
                seen.add(key)
                done = visit(call)
            return False

        for batch in range(batches):
            if done:
                return
            self._batch(once, f"{seed}:{batch}")

    def _strategy(self) -> Any:
        from hypothesis import assume
        from hypothesis import strategies as st

        from numseg.testing import cases

        op, parameters = self.op, self.op.__signature__.parameters
        sided = [n for n, p in parameters.items() if p.annotation in ("Padding", "Sides")]
        absent, few = [n for n in op.inputs if n not in self.takes], st.integers(0, 3)

        @st.composite
        def calls(draw: st.DrawFn) -> Call:
            empty = draw(st.integers(0, 9)) == 9
            case = draw(cases.strategy(op))
            assume(empty or not cases.is_empty(case))
            params = {**case.params, **self.fixed}
            params = {n: v for n, v in params.items() if n not in self.free and n not in op.inputs}
            for name in sided:
                sides = params.get(name)
                if isinstance(sides, (list, tuple)) and len(sides) == 4 and draw(few) < 3:
                    params[name] = (sides[0], sides[2])  # all that most others take
            arrays = {n: None if n in absent else v for n, v in case.arrays.items()}
            case = dataclasses.replace(case, arrays=arrays, params=params)
            call = Call(
                case,
                draw(st.sampled_from(self.dtypes)),
                draw(st.sampled_from(self.values)),
                draw(st.integers(0, 2**16)),
            )
            assume(self.defined(self.complete(call.arguments())))
            return call

        return calls()

    def defined(self, arguments: Arguments) -> bool:
        """Does the operator take the arguments?"""
        try:
            self.op.plan(**arguments)
        except ArgumentError:
            return False
        return True
