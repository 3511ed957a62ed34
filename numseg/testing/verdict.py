"""What a comparison with somebody else's implementation found, and how it is said."""

from __future__ import annotations

import dataclasses
import textwrap
from typing import Any, NamedTuple

import numpy as np

from numseg.testing.foreign import Refused
from numseg.typing import Array

AMONG = {
    "ordinary": "with ordinary numbers",
    "special": "with NaN, infinities or -0.0",
    "empty": "with an empty array",
}
"""How cases are spoken of."""


class DtypeSummary(NamedTuple):
    """The cases of one dtype."""

    dtype: str
    cases: int
    deviating: int
    exact: int
    """To the bit."""
    ulps: float
    """The largest deviation of those that conform."""


class Side(NamedTuple):
    """What one side computed."""

    results: tuple[Array, ...]
    gradients: dict[str, Array]

    def part(self, name: str, outputs: tuple[str, ...]) -> Array | None:
        """The result or gradient of this name."""
        name = name.removeprefix("shape of ")
        if name.startswith("gradient of "):
            return self.gradients.get(name.removeprefix("gradient of "))
        place = outputs.index(name) if name in outputs else 0
        return self.results[place] if place < len(self.results) else None


class Deviation(NamedTuple):
    """The smallest input found on which it deviates from the nearest convention."""

    kind: str
    """Ordinary, special (NaN, infinities or -0.0 among the values) or empty (an array is)."""
    cases: int
    part: str
    place: tuple[int, ...] | None
    ours: Any
    theirs: Any
    ulps: float
    our_result: Array | None
    their_result: Array | None
    snippet: str
    looks_like: tuple[str, ...]
    """Supported by a check on every deviating case that was generated."""


class Fault(NamedTuple):
    """What it does besides computing, and should not."""

    kind: str
    """"dtype", "write", "alias", "reuse", "change", "beyond" or "unwritten"."""
    words: str
    cases: int
    of: int
    """So many calls were looked at."""
    snippet: str
    """The smallest of these calls."""


class Refusal(NamedTuple):
    """Calls that the operator defines and the implementation refuses."""

    refused: Refused
    cases: int
    shared: str
    """What all of these calls have and no other; "" if nothing was found."""
    snippet: str


@dataclasses.dataclass(frozen=True)
class ConformanceReport:
    """What :func:`~numseg.testing.conformance` found; true if it conforms, and printable."""

    function: str
    operator: str
    arrays: str
    takes: dict[str, str]
    fixed: dict[str, Any]
    without: tuple[str, ...]
    named: tuple[str, ...]
    convention: dict[str, Any]
    """What the names do not say and is not a default."""
    arguments: dict[str, Any]
    """All that was chosen, but for what makes no difference."""
    indifferent: tuple[str, ...]
    tried: int
    cases: int
    deviating: int
    aspects: dict[str, tuple[int, int]]
    """Ordinary calls, special and empty ones: how many deviate, of how many."""
    dtypes: tuple[DtypeSummary, ...]
    deviations: tuple[Deviation, ...]
    refusals: tuple[Refusal, ...]
    unsupported: int
    gradients: bool
    seed: int
    faults: tuple[Fault, ...] = ()
    """What it does besides computing: another dtype, arrays written to or shared, ..."""
    untried: tuple[str, ...] = ()
    """What the calls did not exercise, in words."""
    proposals: dict[str, str] = dataclasses.field(default_factory=dict)
    """Our arguments, and those of theirs that got nothing and may mean the same."""
    explained: bool = False
    """Does a known mistake explain all ordinary cases?"""

    @property
    def conforms(self) -> bool:
        """In all cases that it took, and nothing is wrong besides."""
        return self.deviating == 0 and not self.faults

    def __bool__(self) -> bool:
        return self.conforms

    @property
    def whose(self) -> str:
        """The convention in words: a framework's name, or the arguments."""
        values = ", ".join(f"{n}={v!r}" for n, v in self.convention.items())
        names = "; ".join(self.named)
        defaults = " by its defaults" if self.arguments and not values else ""
        names = names or f"{self.operator}{defaults}"
        return f"{names} with {values}" if values else names

    def verdict(self) -> str:
        """One line."""
        seen = "; ".join(f"{f.words} ({f.cases} of {f.of} cases)" for f in self.faults)
        joined = (", but " if self.deviating == 0 else "; ") + seen if seen else ""
        return self._values() + joined + self._reservations()

    def _values(self) -> str:
        if self.deviating == 0:
            matches = f"matches {self.whose} in {self.cases} of {self.cases} cases"
            return f"conforms: {matches}" if self.conforms else matches
        odd = "; ".join(f"{k} of {n} {AMONG[which]}" for which, (k, n) in self.aspects.items() if k)
        wrong, ordinary = self.aspects["ordinary"]
        if not wrong:
            return f"matches {self.whose} in all ordinary cases; deviates in {odd}"
        if self.tried > 1 and not self.explained and 2 * wrong > ordinary:
            return f"deviates from every convention; of {self.whose}, the nearest, in {odd}"
        return f"deviates: nearest is {self.whose}, but these cases differ: {odd}"

    def _reservations(self) -> str:
        """What the cases say nothing of."""
        refused = sum(r.cases for r in self.refusals)
        asked = self.cases + refused
        said = f"; refuses {refused} of {asked}" if refused > self.cases else ""
        return said + (f"; NOT TRIED: {'; '.join(self.untried)}" if self.untried else "")

    def __str__(self) -> str:
        values = "values and gradients" if self.gradients else "values"
        lines = [f"{self.function} against {self.operator}: {values}", f"  {self.verdict()}"]
        if self.arguments:
            chosen = ", ".join(f"{n}={v!r}" for n, v in self.arguments.items())
            lines.append(f"  convention: {chosen}")
        if self.indifferent:
            lines.append(f"  makes no difference: {', '.join(self.indifferent)}")
        lines += [f"  try --map {n}={t}" for n, t in self.proposals.items()]
        lines += [f"  {line}" for line in self._dtype_lines()]
        for deviation in self.deviations:
            lines += ["", *_deviation_lines(deviation, self.function)]
        for fault in self.faults:
            lines += ["", f"  {fault.words}: in {fault.cases} of {fault.of} cases, for example"]
            lines += textwrap.indent(fault.snippet, "      ").splitlines()
        if self.refusals:
            lines += ["", "  refuses calls that the definition has a result for:"]
            for refusal in self.refusals:
                lines += _refusal_lines(refusal)
        lines += ["", *(f"  {line}" for line in self._footnotes())]
        return "\n".join(lines)

    __repr__ = __str__

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        made = _plain(dataclasses.asdict(self) | {"conforms": self.conforms})
        made["verdict"] = self.verdict()
        assert isinstance(made, dict)
        return made

    def _dtype_lines(self) -> list[str]:
        return [
            f"{s.dtype}: {s.cases} cases, {s.exact} to the bit, {s.cases - s.exact - s.deviating} "
            f"within {max(s.ulps, 0.01):.2g} ulps, {s.deviating} deviate"
            for s in self.dtypes
            if s.cases
        ]

    def _footnotes(self) -> list[str]:
        names = [n if n == t else f"{n} as {t}" for n, t in self.takes.items()]
        lines = [
            f"it gets {', '.join(names)} ({self.arrays} arrays); {self.tried} conventions tried"
        ]
        held = [f"{n}={v!r}" for n, v in self.fixed.items()]
        held += [f"without {n}" for n in self.without]
        if held:
            lines.append(f"in every call: {', '.join(held)}")
        if self.unsupported:
            lines.append(f"{self.unsupported} calls left out: it has no words for them")
        lines.append("ulp: eps of the arrays' dtype times the size of the terms, or of the result")
        return lines


def _deviation_lines(d: Deviation, function: str) -> list[str]:
    place = "" if d.place is None else str(list(d.place))
    far = "" if d.ulps == float("inf") else f", {d.ulps:.3g} ulps apart"
    lines = [
        f"  deviates in {d.cases} cases {AMONG[d.kind]}; the smallest found:",
        *textwrap.indent(d.snippet, "      ").splitlines(),
        f"    {d.part}{place}: the definition gives {d.ours}, {function} gives {d.theirs}{far}",
    ]
    for side, result in (("ours", d.our_result), ("theirs", d.their_result)):
        if result is not None:
            lines.append(f"    {side:<7}{_shown(result)}")
    lines += [f"  looks like: {words}" for words in d.looks_like]
    return lines


def _refusal_lines(r: Refusal) -> list[str]:
    shared = f", all with {r.shared}" if r.shared else ""
    some = "case" if r.cases == 1 else "cases"
    said = f"{r.refused.error}: {r.refused.message[:160]}"
    return [
        f"    {r.cases} {some}{shared}: {said}",
        *textwrap.indent(r.snippet, "      ").splitlines(),
    ]


def _shown(array: Array) -> str:
    with np.printoptions(threshold=64, precision=9, linewidth=88):
        text = f"{array.tolist()!r}" if array.size <= 4 else repr(array)
    return text.replace("\n", "\n           ")


def _plain(value: Any) -> Any:
    """What JSON can hold."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        if hasattr(value, "_asdict"):
            return _plain(value._asdict())
        return [_plain(v) for v in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)
    return value if isinstance(value, (str, int, float, bool, type(None))) else repr(value)
