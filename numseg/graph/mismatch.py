"""What to say of arrays that are not a graph's parameters: every name, and what it may mean."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping

from numseg.errors import MismatchError, printable
from numseg.typing import Shape

_CANDIDATES = 40
"""How many names each one is compared with: with 700 on either side that takes half a second."""


def mismatch(expected: Mapping[str, Shape], given: Mapping[str, Shape]) -> MismatchError:
    """The error that lists all names which differ, given the shapes of both.

    A line for each, under one that counts them; two or three are one line.
    """
    missing = {name: shape for name, shape in expected.items() if name not in given}
    unexpected = {name: shape for name, shape in given.items() if name not in expected}
    wrong = [
        f"parameter {name} has shape {given[name]}, expected {shape}"
        for name, shape in expected.items()
        if name in given and given[name] != shape
    ]
    lacks = [f"missing parameter {name} {shape}" for name, shape in missing.items()]
    extra = [f"unexpected parameter {name} {shape}" for name, shape in unexpected.items()]
    near = (*_near(missing, unexpected), *_near(unexpected, missing))
    lines = wrong + [line + hint for line, hint in zip(lacks + extra, near, strict=True)]
    if len(lines) <= 3:
        return MismatchError(printable("; ".join(lines)))
    counts = ((len(missing), "missing"), (len(unexpected), "unexpected"), (len(wrong), "misshapen"))
    counted = ", ".join(f"{count} {word}" for count, word in counts if count)
    first = f"{len(expected)} parameters expected, {len(given)} given: {counted}"
    hint = _hint(missing, unexpected)
    return MismatchError(f"{first}{hint}:\n  " + ";\n  ".join(map(printable, lines)))


def _near(names: Mapping[str, Shape], others: Mapping[str, Shape]) -> Iterator[str]:
    """For each name, those on the other side that are like it: of the same shape, if any are.

    Files and graphs have layers in much the same order. Of many, the ones at the same place among
    those of their shape are looked at.
    """
    seen: dict[Shape, int] = {}
    for name, shape in names.items():
        place = seen[shape] = seen.get(shape, -1) + 1
        alike = [other for other, its in others.items() if its == shape]
        cutoff = 0.6 if alike else 0.8  # another shape needs a name that is nearly the same
        alike = alike or list(others)
        start = max(0, min(place - _CANDIDATES // 2, len(alike) - _CANDIDATES))
        close = difflib.get_close_matches(name, alike[start : start + _CANDIDATES], 2, cutoff)
        yield f" (is it {' or '.join(close)}?)" if close else ""


def _hint(missing: Mapping[str, Shape], unexpected: Mapping[str, Shape]) -> str:
    """That one side's names are the other's after a word, as ``module.`` of DataParallel."""
    if prefix := _prefix(missing, unexpected):
        return f" (given names begin with {prefix!r}, expected ones do not)"
    if prefix := _prefix(unexpected, missing):
        return f" (expected names begin with {prefix!r}, given ones do not)"
    return ""


def _prefix(short: Mapping[str, Shape], long: Mapping[str, Shape]) -> str:
    """What stands before each of the short names in a long one; "" if there is no such thing."""
    first = next(iter(short), None)
    for name in long if first is not None else ():
        prefix = name.removesuffix(str(first))
        if name.endswith(str(first)) and all(prefix + other in long for other in short):
            return prefix
    return ""
