"""The loops of broadcasting operators (:mod:`numseg.broadcasting`) on the CPU.

Arrays are walked through in rows, which are the last axis of the result: there an array is either
a row too, or one number. Where a row begins in each array, its place along the other axes says.

The gradient of what was repeated is a sum, in float64. It is cut into parts, as many as sizes say;
a unit is a part of one sum, or of a block of neighbouring sums, and parts are added up in order.

A formula is one of three numbers: of *own*, the array whose gradient it is, of its *partner*, which
is the other array, and of gy.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from numseg.kernels.machine.integers import ceil_div
from numseg.kernels.machine.jit import kernel, rule
from numseg.kernels.machine.memcpy import copy
from numseg.kernels.machine.run import run
from numseg.kernels.machine.threads import launch
from numseg.kernels.machine.work_units import ENOUGH_UNITS
from numseg.kernels.pointwise.elementary import wide
from numseg.kernels.pointwise.elementwise import inlined, kernel_of
from numseg.kernels.pointwise.losses import store
from numseg.typing import Array

RUN = 4096
"""The longest part of a row that is summed up at once."""

BLOCK = 512
"""Neighbouring sums that are added to at once: they stay in the first-level cache."""


def face(rules: ModuleType) -> dict[str, Any]:
    """``forward`` and ``backward`` with the formulas of an operator's ``rules.py``."""
    value = inlined(rules.value.py_func)

    def of_two(own, partner, gy):
        return value(own, partner)

    values = _Filling(rules, "_forward", inlined(of_two))
    gradients = [
        _Gradient(rules, "grad_x", swapped=False),
        _Gradient(rules, "grad_other", swapped=True),
    ]

    def forward(x: Array, other: Array, y: Array, g: Any) -> None:
        y = y.reshape(-1)
        values.fill(x.reshape(-1), other.reshape(-1), y, y, g, False, True)  # y is not read

    def backward(*arrays: Any) -> None:
        *saved, gy, gx, gother, g = arrays
        x, other = saved or (gy, gy)  # in the place of what is not read
        for gradient, own, partner, grad in zip(
            gradients, (x, other), (other, x), (gx, gother), strict=True
        ):
            if grad is not None:
                own, partner, gy, grad = (a.reshape(-1) for a in (own, partner, gy, grad))
                gradient.fill_or_sum(own, partner, gy, grad, g, bool(saved))

    kernels = [*values.kernels, *(k for gradient in gradients for k in gradient.kernels)]
    return {"forward": forward, "backward": backward} | {k.__name__: k for k in kernels}


class _Axis(NamedTuple):
    """An axis of the result: how many, and how far apart neighbours lie in each array."""

    size: int
    own: int
    partner: int
    y: int
    repeated: bool
    """Whether own is, along this axis."""


def _axes(g: Any, swapped: bool, saved: bool) -> list[_Axis]:
    """Those of a call. Where nothing is saved, gy stands in the place of own and partner."""
    found = []
    for size, x, other, y in g.axes:
        own, partner = (other, x) if swapped else (x, other)
        found.append(_Axis(size, *((own, partner) if saved else (y, y)), y, own == 0))
    return found


class _Rows(NamedTuple):
    """How rows are filled. A table has a column for each axis."""

    row: Array
    outer: Array
    copies: int
    """Of a partner that is but one short row: so many are put side by side, as vectors want rows
    longer than a few of them."""


@functools.lru_cache(maxsize=256)
def _rows(*call: Any) -> _Rows:
    *outer, row = _axes(*call)
    copies = 1
    if len(outer) == 1 and (outer[0].partner, row.own, row.partner) == (0, 1, 1):
        copies = max(min(BLOCK // row.size, outer[0].size), 1)
        row = row._replace(size=copies * row.size)
        outer = [outer[0]._replace(own=row.size, y=row.size)]
    return _Rows(_table([row]), _table(outer), copies)


class _Addends(NamedTuple):
    """What sums are taken over."""

    row: Array
    kept: Array
    """The other axes along which own is not repeated."""
    added: Array
    """The other axes along which it is."""
    along: bool
    """Whether it is along rows."""


@functools.lru_cache(maxsize=256)
def _addends(*call: Any) -> _Addends:
    *outer, row = _axes(*call)
    kept, added = ([axis for axis in outer if axis.repeated is r] for r in (False, True))
    return _Addends(_table([row]), _table(kept), _table(added), row.repeated)


def _table(axes: Sequence[_Axis]) -> Array:
    table = np.array([axis[:4] for axis in axes] or [(1, 0, 0, 0)], np.int64).T.copy()
    table.flags.writeable = False
    return table


@rule
def places(index, axes):
    """Where the given place along some axes lies, the last one fastest, in own, partner and gy."""
    own = partner = y = 0
    for axis in range(axes.shape[1] - 1, 0, -1):
        rest = index // axes[0, axis]
        at = index - rest * axes[0, axis]
        own += at * axes[1, axis]
        partner += at * axes[2, axis]
        y += at * axes[3, axis]
        index = rest
    return own + index * axes[1, 0], partner + index * axes[2, 0], y + index * axes[3, 0]


class _Filling:
    """Kernels that fill an array, number by number. A unit is one of its numbers."""

    def __init__(self, rules: ModuleType, name: str, formula: Any) -> None:
        def flat(start, stop, own, partner, gy, out):
            own, partner, gy = own[start:stop], partner[start:stop], gy[start:stop]
            out = out[start:stop]
            for i in range(len(out)):
                out[i] = formula(own[i], partner[i], gy[i])

        def rows(start, stop, own, partner, gy, out, row, outer):
            number, first = divmod(start, row[0, 0])
            while start < stop:
                count = min(row[0, 0] - first, stop - start)
                at, there, _ = places(number, outer)
                owns = run(own, at + first * row[1, 0], count)
                partners = run(partner, there + first * row[2, 0], count)
                gys, line = run(gy, start, count), run(out, start, count)
                if row[1, 0] == 0:
                    one = owns[0]
                    for i in range(len(line)):
                        line[i] = formula(one, partners[i], gys[i])
                elif row[2, 0] == 0:
                    one = partners[0]
                    for i in range(len(line)):
                        line[i] = formula(owns[i], one, gys[i])
                else:
                    for i in range(len(line)):
                        line[i] = formula(owns[i], partners[i], gys[i])
                start, number, first = start + count, number + 1, 0

        self.flat = kernel_of(flat, rules, name)
        self.rows = kernel_of(rows, rules, f"{name}_rows")
        self.kernels = [self.flat, self.rows]

    def fill(self, own: Array, partner: Array, gy: Array, out: Array, *how: Any) -> None:
        """``out`` has the size of gy. All arrays are flat: how they lie, :func:`_axes` is told."""
        size = out.size
        if own.size == partner.size == size or size == 0:
            launch(self.flat, size, size, own, partner, gy, out)
            return
        row, outer, copies = _rows(*how)
        partner = np.tile(partner, copies) if copies > 1 else partner
        launch(self.rows, size, size, own, partner, gy, out, row, outer)


class _Gradient:
    """Kernels of the gradient of one array. One that is not stated is gy."""

    def __init__(self, rules: ModuleType, name: str, swapped: bool) -> None:
        self._swapped = swapped
        stated = getattr(rules, name, None)
        formula = inlined(_gy if stated is None else stated.py_func)
        if swapped and stated is not None:
            formula = _swapped(formula)
        self._filling = None if stated is None else _Filling(rules, f"_{name}", formula)
        self._sums = _Sums(rules, f"_{name}", formula)
        self.kernels = self._sums.kernels + (self._filling.kernels if self._filling else [])

    def fill_or_sum(
        self, own: Array, partner: Array, gy: Array, grad: Array, g: Any, saved: bool
    ) -> None:
        if gy.size == 0:
            grad.fill(0)
        elif grad.size < gy.size:
            self._sums.fill(own, partner, gy, grad, _addends(g, self._swapped, saved))
        elif self._filling:
            self._filling.fill(own, partner, gy, grad, g, self._swapped, saved)
        else:
            launch(_copy, gy.size, gy.size, gy, grad)


@kernel()
def _copy(start, stop, gy, grad):
    copy(gy[start:stop], grad[start:stop])


def _gy(own, partner, gy):
    return gy


def _swapped(formula: Any) -> Any:
    def of_partner_and_own(own, partner, gy):
        return formula(partner, own, gy)

    return inlined(of_partner_and_own)


class _Sums:
    """Kernels of the gradient of an array that was repeated."""

    def __init__(self, rules: ModuleType, name: str, formula: Any) -> None:
        def total_of(one, partners, gys):
            total = 0.0
            for i in range(len(gys)):
                total += formula(wide(one), wide(partners[i]), wide(gys[i]))
            return total

        run_sum = rule(total_of, {"contract", "reassoc"})  # in an order chosen when it is compiled

        def along(start, stop, own, partner, gy, sums, row, kept, added):
            """Sums along rows. A unit is a part of one."""
            blocks = (row[0, 0] + RUN - 1) // RUN
            runs = _count(added) * blocks
            for unit in range(start, stop):
                part, number = divmod(unit, sums.shape[1])
                at, there, y = places(number, kept)
                total = 0.0
                first, end = _part(part, len(sums), runs)
                for turn in range(first, end):
                    line, block = divmod(turn, blocks)
                    here, beside, over = places(line, added)
                    begin = block * RUN
                    count = min(RUN, row[0, 0] - begin)
                    partners = run(partner, there + beside + begin, count)
                    gys = run(gy, y + over + begin, count)
                    total += run_sum(own[at + here], partners, gys)
                sums[part, number] = total

        def across(start, stop, own, partner, gy, sums, row, kept, added):
            """Sums of rows. A unit is a part of a block of neighbours.

            Four rows are added at once, as half the work is to load and store sums; in a rule of
            its own that takes twice as long.
            """
            blocks = (row[0, 0] + BLOCK - 1) // BLOCK
            units, runs = _count(kept) * blocks, _count(added)
            for unit in range(start, stop):
                part, rest = divmod(unit, units)
                number, block = divmod(rest, blocks)
                begin = block * BLOCK
                count = min(BLOCK, row[0, 0] - begin)
                at, there, y = places(number, kept)
                total = run(sums[part], number * row[0, 0] + begin, count)
                for i in range(len(total)):
                    total[i] = 0.0
                first, end = _part(part, len(sums), runs)
                alone = end if row[2, 0] == 0 else first + (end - first) % 4
                for turn in range(first, alone):
                    here, beside, over = places(turn, added)
                    owns = run(own, at + here + begin, count)
                    partners = run(partner, there + beside + begin * row[2, 0], count)
                    gys = run(gy, y + over + begin, count)
                    if row[2, 0] == 0:
                        one = wide(partners[0])
                        for i in range(len(total)):
                            total[i] += formula(wide(owns[i]), one, wide(gys[i]))
                    else:
                        for i in range(len(total)):
                            total[i] += formula(wide(owns[i]), wide(partners[i]), wide(gys[i]))
                owns = run(own, at + begin, count)
                for turn in range(alone, end, 4):
                    _, beside0, over0 = places(turn, added)
                    _, beside1, over1 = places(turn + 1, added)
                    _, beside2, over2 = places(turn + 2, added)
                    _, beside3, over3 = places(turn + 3, added)
                    partners0 = run(partner, there + beside0 + begin, count)
                    partners1 = run(partner, there + beside1 + begin, count)
                    partners2 = run(partner, there + beside2 + begin, count)
                    partners3 = run(partner, there + beside3 + begin, count)
                    gys0 = run(gy, y + over0 + begin, count)
                    gys1 = run(gy, y + over1 + begin, count)
                    gys2 = run(gy, y + over2 + begin, count)
                    gys3 = run(gy, y + over3 + begin, count)
                    for i in range(len(total)):
                        one = wide(owns[i])
                        t = total[i]
                        t += formula(one, wide(partners0[i]), wide(gys0[i]))
                        t += formula(one, wide(partners1[i]), wide(gys1[i]))
                        t += formula(one, wide(partners2[i]), wide(gys2[i]))
                        t += formula(one, wide(partners3[i]), wide(gys3[i]))
                        total[i] = t

        self._along = kernel_of(along, rules, f"{name}_along")
        self._across = kernel_of(across, rules, f"{name}_across")
        self.kernels = [self._along, self._across]

    def fill(self, own: Array, partner: Array, gy: Array, grad: Array, of: _Addends) -> None:
        size = int(of.row[0, 0])
        kept, runs = (math.prod(table[0].tolist()) for table in (of.kept, of.added))
        if of.along:
            units, runs = kept, runs * ceil_div(size, RUN)
        else:
            units = kept * ceil_div(size, BLOCK)
        parts = min(runs, ceil_div(ENOUGH_UNITS, units))
        sums = np.empty((parts, grad.size))
        loop = self._along if of.along else self._across
        launch(loop, parts * units, gy.size, own, partner, gy, sums, of.row, of.kept, of.added)
        with np.errstate(all="ignore"):  # infinities come and go as in kernels
            store(grad, functools.reduce(np.add, sums))


@rule
def _count(axes):
    count = 1
    for axis in range(axes.shape[1]):
        count *= axes[0, axis]
    return count


@rule
def _part(part, parts, runs):
    """The runs of a part: the first, and one past the last."""
    return part * runs // parts, (part + 1) * runs // parts
