"""Planes of values to rows, one to a point, and back; on the way each point has a factor."""

from __future__ import annotations

import numpy as np

from numseg.kernels.machine.jit import kernel
from numseg.kernels.machine.threads import launch
from numseg.typing import Array

BLOCK = 64
"""Points that are moved at once: their part of each plane is a few lines of the cache."""


def to_rows(planes: Array, factor: Array | None, rows: Array) -> None:
    """``rows[p, l] = planes[l, p] * factor[p]`` of planes (L, P), rows (P, L or more); without a
    factor, 1. What else a row holds is left as it is."""
    blocks = -(-planes.shape[1] // BLOCK)
    launch(_to_rows, blocks, 4 * planes.size, planes, _given(factor, planes), rows)


def to_planes(rows: Array, factor: Array | None, planes: Array) -> None:
    """``planes[l, p] = rows[p, l] * factor[p]``."""
    blocks = -(-planes.shape[1] // BLOCK)
    launch(_to_planes, blocks, 4 * planes.size, rows, _given(factor, planes), planes)


def _given(factor: Array | None, planes: Array) -> Array:
    return np.empty(0, planes.dtype) if factor is None else factor


@kernel()
def _to_rows(start, stop, planes, factor, rows):
    labels, points = planes.shape
    for first in range(start * BLOCK, min(stop * BLOCK, points), BLOCK):
        end = min(first + BLOCK, points)
        for l in range(labels):
            if factor.size:
                for p in range(first, end):
                    rows[p, l] = planes[l, p] * factor[p]
            else:
                for p in range(first, end):
                    rows[p, l] = planes[l, p]


@kernel()
def _to_planes(start, stop, rows, factor, planes):
    labels, points = planes.shape
    for first in range(start * BLOCK, min(stop * BLOCK, points), BLOCK):
        end = min(first + BLOCK, points)
        for l in range(labels):
            if factor.size:
                for p in range(first, end):
                    planes[l, p] = rows[p, l] * factor[p]
            else:
                for p in range(first, end):
                    planes[l, p] = rows[p, l]
