"""What a function does besides computing: dtypes, arrays that it writes to or shares, other memory.

Each is counted over all calls that it took, and shown with the smallest of them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from numseg.conventions import Arguments
from numseg.testing import example, foreign
from numseg.testing.foreign import Given, Refused
from numseg.testing.guarded import Guard
from numseg.testing.trial import Observed, Trial
from numseg.testing.verdict import Fault

KINDS = ("dtype", "write", "alias", "reuse", "change", "beyond", "unwritten")
"""A result of another dtype; an argument that was written to; a result in the memory of an
argument; one that the next call overwrites; one that changes from call to call; reads and writes
beyond arrays; results that depend on what memory held before."""


class Entry(NamedTuple):
    """A call that was taken."""

    arguments: Arguments
    given: Given
    observed: Observed


Finder = Callable[[Entry], Iterator[str]]
"""What is wrong with a call, in words."""


def faults(
    trial: Trial, name: str, chosen: Arguments, allow: Collection[str] = ()
) -> Iterator[Fault]:
    """What was seen in the calls that it took."""
    seen = Faults(trial, chosen)
    entries = [
        Entry(arguments, given, observed)
        for (_, arguments, given), observed in zip(trial.calls, trial.observed, strict=True)
    ]
    for kind in KINDS:
        if kind in allow:
            continue
        groups: dict[str, list[Entry]] = {}
        for entry in entries:
            for words in seen.find(kind, entry):
                groups.setdefault(words, []).append(entry)
        for words, group in groups.items():
            shown = seen.amount(kind, words, group)
            smallest = min((e.arguments for e in group), key=foreign.size_of)
            code = example.snippet(trial, name, smallest, chosen)
            yield Fault(kind, shown, len(group), len(entries), code)


@dataclasses.dataclass
class Faults:
    """How each of ``KINDS`` is seen in a call."""

    trial: Trial
    chosen: Arguments

    def find(self, kind: str, entry: Entry) -> Iterator[str]:
        yield from getattr(self, f"_{kind}")(entry)

    def amount(self, kind: str, words: str, group: Sequence[Entry]) -> str:
        """The words, with how much where that is known."""
        if kind == "change":
            most = max(e.observed.change or 0 for e in group)
            return words if most == np.inf else f"{words}, by up to {max(most, 0.01):.2g} ulps"
        if kind == "beyond":  # each test costs a process, so it is made for one call
            smallest = min(group, key=lambda e: foreign.size_of(e.arguments))
            return self._located(smallest, words)
        return words

    def _result(self, place: int) -> str:
        outputs = self.trial.op.outputs
        return outputs[place] if place < len(outputs) else f"result {place}"

    def _dtype(self, entry: Entry) -> Iterator[str]:
        op = self.trial.op
        plan = op.plan(**{**entry.arguments, **self.chosen}) if self._defined(entry) else None
        for place, y in enumerate(entry.given.results):
            known = plan is not None and place < len(plan.outputs)
            if plan is None or not known or place in entry.given.conduct.numbers:
                continue
            if y.dtype != (wanted := plan.outputs[place].dtype):
                yield f"{self._result(place)} is {y.dtype}, the definition gives {wanted}"
        for label, gradient in entry.given.gradients.items():
            of = entry.arguments.get(label.partition("[")[0])
            dtypes = {a.dtype for a in foreign.arrays(of)}
            if dtypes and gradient.dtype not in dtypes:
                yield f"the gradient of {label} is {gradient.dtype}, {label} is {dtypes.pop()}"

    def _defined(self, entry: Entry) -> bool:
        return self.trial.defined({**entry.arguments, **self.chosen})

    def _write(self, entry: Entry) -> Iterator[str]:
        meant = self.trial.op.facts.updates
        for argument in entry.given.conduct.written:
            if argument not in meant:
                yield f"it writes to {argument}, an array that it is given"

    def _alias(self, entry: Entry) -> Iterator[str]:
        for place, argument in entry.given.conduct.shared:
            yield f"{self._result(place)} lies in the memory of {argument}"

    def _reuse(self, entry: Entry) -> Iterator[str]:
        for place in entry.given.conduct.reused:
            yield f"{self._result(place)} of a call is overwritten by the next call"

    def _change(self, entry: Entry) -> Iterator[str]:
        if entry.observed.change is not None:
            yield "its results change from call to call for the same arguments"

    def _beyond(self, entry: Entry) -> Iterator[str]:
        for end in {guard.end for guard in entry.observed.beyond}:
            yield "beyond the end" if end else "before the beginning"

    def _unwritten(self, entry: Entry) -> Iterator[str]:
        for place in entry.observed.unwritten:
            what = self._result(place)
            if entry.observed.raw:
                yield f"entries of {what} are never written"
            else:
                yield f"entries of {what} are computed from memory that was never written"

    def _located(self, entry: Entry, side: str) -> str:
        """Which arrays it leaves, on which side, and how."""
        at = Guard(end=side == "beyond the end")
        found = []
        for which in [*self.trial.peer.takes, "grad_y", ""]:
            how = at._replace(which=which)
            if self._dies(entry, how._replace(forbid="writes")):
                verb = "writes"
            elif self._dies(entry, how):
                verb = "reads"
            else:
                continue
            found.append(f"{verb} {side} of {which or 'an array of its own, such as a result'}")
        if found:
            return f"it {' and '.join(found)}"
        if self._dies(entry, at._replace(forbid="nothing")):
            return "it dies where an array begins at an address that is no multiple of 16"
        return f"it reads or writes {side} of arrays"

    def _dies(self, entry: Entry, how: Guard) -> bool:
        peer = self.trial.peer
        hung, outcome = peer.hung, peer.call(entry.arguments, how)
        return isinstance(outcome, Refused) and outcome.error == "Lost" and peer.hung == hung
