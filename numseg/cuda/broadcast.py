"""The kernels of broadcasting operators (:mod:`numseg.broadcasting`) on CUDA.

A thread owns a number of the result: its pixel is the place along the last axis, its plane the
place along the others. Of the gradient of what was repeated, a thread owns a part of a sum, whose
terms lie as far apart as there are parts, so that neighbours in memory are read together.

As on the CPU, a formula is one of a number of *own*, of its *partner*, and of gy.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from types import ModuleType
from typing import Any, NamedTuple

from numba import int32

from numseg.cuda import elementary
from numseg.cuda.elementwise import ROW, kernel_of
from numseg.cuda.launch import Reals, Split, add_up, launch, next_plane, quotient, split, thread
from numseg.errors import DeviceError
from numseg.kernels.machine.jit import rule

AXES = 6
"""Axes that are told apart, besides the last one. Neighbours that are walked through alike are one:
it takes 8 that alternate to have more."""

Walk: Any = NamedTuple(  # type: ignore[misc]
    "Walk", [(f"{what}{k}", int) for what in ("size", "own", "partner", "y") for k in range(AXES)]
)
"""Axes, the last one first: their sizes, and the steps along them in each array."""


class Row(NamedTuple):
    """The last axis, and how many rows there are."""

    size: int
    own: int
    partner: int
    rows: int


def _places(k: int) -> Any:
    """A rule for where the given place along axes from ``k`` on lies in own, partner and gy."""
    if k == AXES:
        return rule(lambda index, walk: (0, 0, 0))
    further = _places(k + 1)

    def places(index, walk):
        rest = quotient(index, walk[k])
        at = int32(index - rest * walk[k])
        own, partner, y = further(rest, walk) if rest > 0 else (0, 0, 0)
        return (
            own + at * walk[AXES + k],
            partner + at * walk[2 * AXES + k],
            y + at * walk[3 * AXES + k],
        )

    return rule(places)


places = _places(0)


def face(rules: ModuleType) -> dict[str, Any]:
    """``forward`` and ``backward`` with the formulas of an operator's ``rules.py``."""
    elementary.register()
    value = rules.value

    def of_two(own, partner, gy):
        return value(own, partner)

    values = kernel_of(filling(rule(of_two)), rules, "_forward")
    fills, sums = [], []
    for name, formula in _gradients(rules).items():
        fills.append(kernel_of(filling(formula), rules, f"_{name}"))
        sums.append(_summing(rules, f"_{name}_sums", formula))

    def forward(x: Any, other: Any, y: Any, g: Any) -> None:
        fill(values, x, other, y, y, (g, False, True))  # nobody reads what y was

    def backward(*arrays: Any) -> None:
        *saved, gy, gx, gother, g = arrays
        x, other = saved or (gy, gy)  # in the place of what is not read
        for k, own, partner, grad in ((0, x, other, gx), (1, other, x, gother)):
            how = g, k == 1, bool(saved)
            if grad is not None and grad.size == gy.size:
                fill(fills[k], own, partner, gy, grad, how)
            elif grad is not None:
                _add(sums[k], own, partner, gy, grad, how)

    kernels = (values, *fills, *sums)
    return {"forward": forward, "backward": backward} | {k.function.__name__: k for k in kernels}


def _gradients(rules: ModuleType) -> dict[str, Any]:
    """The formulas of both gradients, for own and partner. One that is not stated is gy."""
    of_x = getattr(rules, "grad_x", _gy)
    of_other = getattr(rules, "grad_other", _gy)

    def swapped(own, partner, gy):
        return of_other(partner, own, gy)

    return {"grad_x": of_x, "grad_other": rule(swapped)}


@rule
def _gy(x, other, gy):
    return gy


def filling(formula: Any) -> Any:
    """The loop of a kernel that :func:`fill` runs."""

    def loop(own: Reals, partner: Reals, gy: Reals, out: Reals, row: Row, outer: Walk) -> None:
        place, number = thread()
        while number < row.rows:
            at, there, y = places(number, outer)
            i = place
            while i < row.size and y + i < out.size:
                out[y + i] = formula(
                    own[at + i * row.own], partner[there + i * row.partner], gy[y + i]
                )
                i = int32(i + ROW)
            number = next_plane(number)

    return loop


def _summing(rules: ModuleType, name: str, formula: Any) -> Any:
    def add(
        own: Reals,
        partner: Reals,
        gy: Reals,
        addends: Reals,
        kept: Walk,
        added: Walk,
        terms: Split,
        along: bool,
    ) -> None:
        place, plane = thread()
        numbers = quotient(addends.size, terms.parts)
        if place >= (terms.parts if along else numbers):
            return
        while plane < (numbers if along else terms.parts):
            number, part = (plane, place) if along else (place, plane)
            at, there, y = places(number, kept)
            total = addends.dtype.type(0)
            term = part
            while term < terms.terms:
                here, beside, over = places(term, added)
                total += formula(own[at + here], partner[there + beside], gy[y + over])
                term = int32(term + terms.parts)
            addends[part * numbers + number] = total
            plane = next_plane(plane)

    return kernel_of(add, rules, name)


def fill(kernel: Any, own: Any, partner: Any, gy: Any, out: Any, how: Any) -> None:
    """Fill ``out`` with a formula of each number of own, of partner and of gy."""
    if out.size == 0:
        return
    if own.size == partner.size == out.size:
        row = Row(min(out.size, ROW), 1, 1, -(-out.size // ROW))
        outer = walk([(row.rows, ROW, ROW, ROW)])
    else:
        *others, (size, at, there, _, _) = _axes(*how)
        row = Row(size, at, there, out.size // max(size, 1))
        outer = walk([axis[:4] for axis in others])
    launch(kernel, row.rows, min(row.size, ROW), own, partner, gy, out, row, outer)


def _add(kernel: Any, own: Any, partner: Any, gy: Any, grad: Any, how: Any) -> None:
    """Fill ``grad`` with sums; those of no terms are 0."""
    axes = _axes(*how) if gy.size else []
    kept, added = ([axis[:4] for axis in axes if axis[4] is r] for r in (False, True))
    terms = gy.size // max(grad.size, 1)
    parts, addends = split(grad, terms)
    whole = Split(parts.parts, terms)
    along = bool(axes) and axes[-1][4]
    count = (grad.size, whole.parts) if along else (whole.parts, grad.size)
    arrays = own, partner, gy, addends, walk(kept), walk(added), whole, along
    launch(kernel, *count, *arrays)
    add_up(addends, grad, parts)


@functools.lru_cache(maxsize=256)
def _axes(g: Any, swapped: bool, saved: bool) -> list[tuple[int, int, int, int, bool]]:
    """Of each axis, the size, the steps in own, partner and gy, and whether own is repeated. Where
    nothing is saved, gy stands in the place of own and partner."""
    found = []
    for size, x, other, y in g.axes if g.size else ():
        own, partner = (other, x) if swapped else (x, other)
        found.append((size, *((own, partner) if saved else (y, y)), y, own == 0))
    return found


def walk(axes: Sequence[tuple[int, ...]]) -> Walk:
    """What a kernel is given of axes, outermost first: their sizes and steps."""
    if len(axes) > AXES:
        raise DeviceError(
            f"the arrays are repeated along axes that alternate: CUDA kernels tell {AXES} apart"
        )
    padded = [*reversed(axes), *[(1, 0, 0, 0)] * (AXES - len(axes))]
    return Walk(*(number for column in zip(*padded, strict=True) for number in column))
