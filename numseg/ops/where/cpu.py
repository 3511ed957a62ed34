"""where on the CPU. A unit is a number of the result; rows are the last axis."""

from __future__ import annotations

import functools

import numpy as np

from numseg.broadcasting import Geometry as Broadcast
from numseg.faces import module
from numseg.kernels.machine.jit import kernel
from numseg.kernels.machine.threads import launch
from numseg.kernels.pointwise.broadcast import places
from numseg.ops.add import add
from numseg.ops.where.geometry import Geometry
from numseg.typing import Array


@kernel()
def _choose(start, stop, condition, x, other, y, row, outer):
    size = row[0, 0]
    number, first = divmod(start, size)
    while start < stop:
        count = min(size - first, stop - start)
        at, here, there = places(number, outer)
        at, here, there = (
            at + first * row[1, 0],
            here + first * row[2, 0],
            there + first * row[3, 0],
        )
        for i in range(count):
            if condition[at + i * row[1, 0]] != 0:
                y[start + i] = x[here + i * row[2, 0]]
            else:
                y[start + i] = other[there + i * row[3, 0]]
        start, number, first = start + count, number + 1, 0


@functools.lru_cache(maxsize=256)
def _tables(g: Geometry) -> tuple[Array, Array]:
    """The last axis, and the others: a column for each."""
    *outer, row = g.axes
    tables = (
        np.array([row], np.int64).T.copy(),
        np.array(outer or [(1, 0, 0, 0)], np.int64).T.copy(),
    )
    for table in tables:
        table.flags.writeable = False
    return tables


def forward(condition: Array, x: Array, other: Array, y: Array, g: Geometry) -> None:
    if y.size:
        flat = (array.reshape(-1) for array in (condition, x, other, y))
        launch(_choose, y.size, y.size, *flat, *_tables(g))


def backward(
    condition: Array, gy: Array, gx: Array | None, gother: Array | None, g: Geometry
) -> None:
    zero = np.zeros((), gy.dtype)
    zero.flags.writeable = False  # as inputs are
    for grad, own, chosen in ((gx, g.x, True), (gother, g.other, False)):
        if grad is None:
            continue
        whole = grad if grad.size == gy.size else np.empty_like(gy)
        x, other = (gy, zero) if chosen else (zero, gy)
        forward(condition, x, other, whole, g.of_gradient(chosen))
        if whole is not grad:  # what was repeated gets the sum, as add's does
            whole.flags.writeable = False
            module(add, "cpu").backward(whole, None, grad, Broadcast(g.shape, own))
