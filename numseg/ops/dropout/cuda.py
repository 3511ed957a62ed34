"""dropout on CUDA: a thread draws for the numbers that it owns."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from numseg.cuda.elementwise import ROW
from numseg.cuda.launch import Double, Long, Reals, kernel, launch, next_plane, thread
from numseg.ops.dropout.geometry import Geometry
from numseg.ops.dropout.rules import stream, uniform


@kernel
def _apply(x: Reals, y: Reals, seed: Long, below: Long, scale: Double) -> None:
    place, row = thread()
    key = np.uint64(stream(seed))
    i = row * ROW + place
    while i < y.size:
        kept = uniform(key, i) >= below
        y[i] = y.dtype.type(np.float64(x[i]) * scale) if kept else y.dtype.type(0)
        row = next_plane(row)
        i = row * ROW + place


@kernel
def _apply_to_runs(
    x: Reals, y: Reals, run: int, units: int, seed: Long, below: Long, scale: Double
) -> None:
    place, unit = thread()
    if place >= run:
        return
    key = np.uint64(stream(seed))
    while unit < units:
        kept = uniform(key, unit) >= below
        i = unit * run + place
        y[i] = y.dtype.type(np.float64(x[i]) * scale) if kept else y.dtype.type(0)
        unit = next_plane(unit)


def forward(x: Any, y: Any, g: Geometry) -> None:
    how = g.seed, math.ceil(g.p * 2.0**53), g.scale
    if g.run <= 1:
        launch(_apply, -(-g.size // ROW), min(g.size, ROW), x, y, *how)
    else:
        launch(_apply_to_runs, g.size // g.run, g.run, x, y, g.run, g.size // g.run, *how)


def backward(gy: Any, gx: Any, g: Geometry) -> None:
    if gx is not None:
        forward(gy, gx, g)
