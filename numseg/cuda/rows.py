"""Rows of labels on CUDA: arrays (rows, labels), a thread to each number.

Neighbouring threads have neighbouring labels, however few labels there are, so that rows are read
and written side by side. A row is a point's, or a vertex's.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from numba import int32

from numseg.cuda.launch import Kernel, Reals, kernel, launch, quotient, thread
from numseg.cuda.runtime import cuda, empty, simulated

SHARED = 32 if simulated() else 2**18
"""Numbers of the rows that one plane of threads has, at least one row's: planes are strided over,
so arrays may have more than 2**30 numbers."""


class Rows(NamedTuple):
    """How threads are laid over rows."""

    rows: int
    labels: int
    group: int
    """Rows that one plane of threads has."""


def over_rows(kernel: Kernel, rows: int, labels: int, *args: Any) -> None:
    """Launch a kernel whose last argument is :class:`Rows`, with a thread for each label of a row.

    The kernel asks :func:`row_and_label` for its first, returns where ``row`` is negative, and goes
    on with ``row += step_of_rows(g)`` while ``row < g.rows``.
    """
    group = max(min(rows, SHARED // max(labels, 1)), 1)
    launch(kernel, -(-rows // group), group * labels, *args, Rows(rows, labels, group))


@cuda.jit(device=True)
def row_and_label(g: Any) -> Any:
    """The thread's first row and its label; row -1 if it has none."""
    place, plane = thread()
    if place >= g.group * g.labels:
        return -1, int32(0)
    inside = quotient(place, g.labels)
    return plane * g.group + inside, int32(place - inside * g.labels)


@cuda.jit(device=True)
def step_of_rows(g: Any) -> Any:
    """From one row of a thread to its next."""
    return cuda.gridDim.y * cuda.blockDim.y * g.group


def rows_of(planes: Any) -> Any:
    """From (labels, points) to (points, labels)."""
    labels, points = planes.shape
    rows = empty((points, labels), planes.dtype)
    to_rows(planes, rows)
    return rows


def to_rows(planes: Any, rows: Any) -> None:
    """The same into an array."""
    launch(_to_rows, 1, rows.shape[0], planes, rows, rows.shape[1])


def to_planes(rows: Any, planes: Any) -> None:
    """From (points, labels) to (labels, points)."""
    launch(_to_planes, 1, rows.shape[0], rows, planes, rows.shape[1])


@kernel
def _to_rows(planes: Reals, rows: Reals, labels: int) -> None:
    point, _ = thread()
    points = quotient(rows.size, labels)
    if point >= points:
        return
    for label in range(labels):
        rows[point * labels + label] = planes[label * points + point]


@kernel
def _to_planes(rows: Reals, planes: Reals, labels: int) -> None:
    point, _ = thread()
    points = quotient(rows.size, labels)
    if point >= points:
        return
    for label in range(labels):
        planes[label * points + point] = rows[point * labels + label]
