"""permute on the CPU: rows are copied where the last axis stays, else matrices transposed.

A unit is a number of such rows, or a block of a matrix: of few columns, as each is a row of the
result, and a line of the cache there is to be written whole while it is there.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from numseg.kernels.machine.integers import ceil_div
from numseg.kernels.machine.jit import kernel, rule
from numseg.kernels.machine.memcpy import copy
from numseg.kernels.machine.run import run
from numseg.kernels.machine.target import TARGET
from numseg.kernels.machine.threads import launch
from numseg.kernels.machine.transpose import transpose
from numseg.ops.permute.geometry import Axis, Geometry
from numseg.typing import Array

ROWS, COLUMNS = 1024, 64
"""Of a block."""


@rule
def _places(index, axes):
    """Where the given place along some axes lies, the last one fastest, in x and in y."""
    x = y = 0
    for axis in range(axes.shape[1] - 1, -1, -1):
        index, at = divmod(index, axes[0, axis])
        x += at * axes[1, axis]
        y += at * axes[2, axis]
    return x, y


@kernel()
def _rows(start, stop, x, y, outer, length):
    while start < stop:
        row, first = divmod(start, length)
        here, there = _places(row, outer)
        count = min(length - first, stop - start)
        copy(run(x, here + first, count), run(y, there + first, count))
        start += count


@kernel()
def _blocks(start, stop, x, y, outer, matrix, lanes):
    """``matrix``: the axes that are the last one of y, and of x."""
    rows, columns = matrix[0]
    x_step, y_step = matrix[1, 0], matrix[2, 1]
    down, across = (rows + ROWS - 1) // ROWS, (columns + COLUMNS - 1) // COLUMNS
    for unit in range(start, stop):
        number, block = divmod(unit, down * across)
        i, j = block // across * ROWS, block % across * COLUMNS
        here, there = _places(number, outer)
        height, width = min(ROWS, rows - i), min(COLUMNS, columns - j)
        source = run(x, here + i * x_step + j, (height - 1) * x_step + width)
        target = run(y, there + j * y_step + i, (width - 1) * y_step + height)
        transpose(source, x_step, height, width, target, y_step, lanes)


def forward(x: Array, y: Array, g: Geometry) -> None:
    outer, matrix = _split(g)
    x, y = x.reshape(-1), y.reshape(-1)
    rows, columns = matrix[0].tolist()
    if columns == 1:
        launch(_rows, x.size, x.size, x, y, outer, rows)
        return
    blocks = ceil_div(rows, ROWS) * ceil_div(columns, COLUMNS)
    units = x.size // (rows * columns) * blocks
    launch(_blocks, units, x.size, x, y, outer, matrix, TARGET.vector_bytes // x.itemsize)


def backward(gy: Array, gx: Array | None, g: Geometry) -> None:
    if gx is not None:
        forward(gy, gx, g.inverse)


@functools.lru_cache(maxsize=256)
def _split(g: Geometry) -> tuple[Array, Array]:
    """The outer axes, and the two of a matrix: that which is the last of y, and that of x."""
    *outer, last = g.axes
    first = next((axis for axis in outer if axis.x == 1), Axis(1, 1, 1))
    return _table([axis for axis in outer if axis is not first]), _table([last, first])


def _table(axes: Sequence[Axis]) -> Array:
    """A column for each axis."""
    table = np.array(axes or [Axis(1, 0, 0)], np.int64).T.copy()
    table.flags.writeable = False
    return table
