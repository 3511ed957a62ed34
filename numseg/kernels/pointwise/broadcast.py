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
        if y.size:
            values.fill(x, other, y, y, _walk(g, swapped=False, saved=True))

    def backward(*arrays: Any) -> None:
        *saved, gy, gx, gother, g = arrays
        x, other = saved or (gy, gy)  # in the place of what is not read
        for gradient, own, partner, grad in zip(
            gradients, (x, other), (other, x), (gx, gother), strict=True
        ):
            if grad is not None:
                gradient.fill_or_sum(own, partner, gy, grad, g, bool(saved))

    kernels = [*values.kernels, *(k for gradient in gradients for k in gradient.kernels)]
    return {"forward": forward, "backward": backward} | {k.__name__: k for k in kernels}


class _Walk(NamedTuple):
    """How arrays are walked through. Tables have a column for each axis: its size, and the steps
    in own, in partner and in gy."""

    row: Array
    """The last axis."""
    outer: Array
    """The others."""
    kept: Array
    """Those of the others along which own is not repeated."""
    added: Array
    """Those along which it is."""
    summed: bool
    """Whether own is repeated along rows."""


@functools.lru_cache(maxsize=256)
def _walk(g: Any, swapped: bool, saved: bool) -> _Walk:
    axes = [(n, other, x, y) if swapped else (n, x, other, y) for n, x, other, y in g.axes]
    repeated = [own == 0 for _, own, _, _ in axes]
    if not saved:  # gy stands in the place of both
        axes = [(n, y, y, y) for n, _, _, y in axes]
    *outer, row = axes
    kept = [axis for axis, again in zip(outer, repeated, strict=False) if not again]
    added = [axis for axis, again in zip(outer, repeated, strict=False) if again]
    return _Walk(_table([row]), _table(outer), _table(kept), _table(added), repeated[-1])


def _table(axes: Sequence[tuple[int, ...]]) -> Array:
    table = np.array(axes or [(1, 0, 0, 0)], np.int64).T.copy()
    table.flags.writeable = False
    return table


@rule
def _places(index, axes):
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
            while start < stop:
                number, first = divmod(start, row[0, 0])
                count = min(row[0, 0] - first, stop - start)
                at, there, _ = _places(number, outer)
                owns = own[at + first * row[1, 0] :]
                partners = partner[there + first * row[2, 0] :]
                gys, line = gy[start : start + count], out[start : start + count]
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
                start += count

        self.flat = kernel_of(flat, rules, name)
        self.rows = kernel_of(rows, rules, f"{name}_rows")
        self.kernels = [self.flat, self.rows]

    def fill(self, own: Array, partner: Array, gy: Array, out: Array, walk: _Walk) -> None:
        """``out`` has the shape of gy."""
        arrays = [array.reshape(-1) for array in (own, partner, gy, out)]
        if own.size == partner.size == out.size:
            launch(self.flat, out.size, out.size, *arrays)
        else:
            launch(self.rows, out.size, out.size, *arrays, walk.row, walk.outer)


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
            self._sums.fill(own, partner, gy, grad, _walk(g, self._swapped, saved))
        elif self._filling:
            self._filling.fill(own, partner, gy, grad, _walk(g, self._swapped, saved))
        else:
            launch(_copy, gy.size, gy.size, gy.reshape(-1), grad.reshape(-1))


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
        def run(one, partners, gys):
            total = 0.0
            for i in range(len(gys)):
                total += formula(wide(one), wide(partners[i]), wide(gys[i]))
            return total

        run_sum = rule(run, {"contract", "reassoc"})  # in an order chosen when it is compiled

        def along(start, stop, own, partner, gy, sums, row, kept, added):
            """Sums along rows. A unit is a part of one."""
            blocks = (row[0, 0] + RUN - 1) // RUN
            runs = _count(added) * blocks
            for unit in range(start, stop):
                part, number = divmod(unit, sums.shape[1])
                at, there, y = _places(number, kept)
                total = 0.0
                first, end = _part(part, len(sums), runs)
                for turn in range(first, end):
                    line, block = divmod(turn, blocks)
                    here, beside, over = _places(line, added)
                    begin = block * RUN
                    count = min(RUN, row[0, 0] - begin)
                    partners = partner[there + beside + begin :][:count]
                    gys = gy[y + over + begin :][:count]
                    total += run_sum(own[at + here], partners, gys)
                sums[part, number] = total

        def across(start, stop, own, partner, gy, sums, row, kept, added):
            """Sums of rows. A unit is a part of a block of neighbours."""
            blocks = (row[0, 0] + BLOCK - 1) // BLOCK
            units, runs = _count(kept) * blocks, _count(added)
            for unit in range(start, stop):
                part, rest = divmod(unit, units)
                number, block = divmod(rest, blocks)
                begin = block * BLOCK
                count = min(BLOCK, row[0, 0] - begin)
                at, there, y = _places(number, kept)
                total = sums[part, number * row[0, 0] + begin :][:count]
                total[:] = 0
                first, end = _part(part, len(sums), runs)
                for turn in range(first, end):
                    here, beside, over = _places(turn, added)
                    owns = own[at + here + begin :][:count]
                    partners = partner[there + beside + begin * row[2, 0] :]
                    gys = gy[y + over + begin :][:count]
                    if row[2, 0] == 0:
                        one = partners[0]
                        for i in range(len(total)):
                            total[i] += formula(wide(owns[i]), wide(one), wide(gys[i]))
                    else:
                        for i in range(len(total)):
                            total[i] += formula(wide(owns[i]), wide(partners[i]), wide(gys[i]))

        self._along = kernel_of(along, rules, f"{name}_along")
        self._across = kernel_of(across, rules, f"{name}_across")
        self.kernels = [self._along, self._across]

    def fill(self, own: Array, partner: Array, gy: Array, grad: Array, walk: _Walk) -> None:
        size = int(walk.row[0, 0])
        kept, runs = (math.prod(table[0].tolist()) for table in (walk.kept, walk.added))
        if walk.summed:
            units, runs = kept, runs * ceil_div(size, RUN)
        else:
            units = kept * ceil_div(size, BLOCK)
        parts = min(runs, ceil_div(ENOUGH_UNITS, units))
        sums = np.empty((parts, grad.size))
        arrays = [array.reshape(-1) for array in (own, partner, gy)]
        loop = self._along if walk.summed else self._across
        launch(loop, parts * units, gy.size, *arrays, sums, walk.row, walk.kept, walk.added)
        store(grad.reshape(-1), functools.reduce(np.add, sums))


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
