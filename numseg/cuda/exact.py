"""The Gaussian filter on CUDA by its sum over all pairs of points, in the points' order: the twin
of :mod:`numseg.kernels.lattice.exact`.

Features are (D, P), values (P, L), a row of L labels to a point. A thread has some labels of a
point, or some features of its gradient, so that each weight serves several sums.
"""

from __future__ import annotations

from typing import Any

from numba import int32

from numseg.cuda import elementary
from numseg.cuda.launch import Reals, kernel, launch, next_plane, quotient, thread
from numseg.cuda.runtime import cuda
from numseg.kernels.pointwise.elementary import decay

elementary.register()

HELD = 8
"""Sums of a thread."""


def filtered(features: Any, values: Any, out: Any, include_self: bool = True) -> None:
    """``out[i] = sum over points j of exp(-|f_i - f_j|^2 / 2) values[j]``. It is its own
    transpose."""
    points, labels = values.shape
    arrays = features, values, out
    launch(_filter, -(-labels // HELD), points, *arrays, points, labels, include_self)


def add_slope(features: Any, x: Any, gy: Any, grad: Any) -> None:
    """Add to ``grad``, (D, P), the derivative of ``<gy, filtered(x)>`` by features:
    ``sum over points j of exp(-|f_i - f_j|^2 / 2) (f_j - f_i) (<gy_i, x_j> + <x_i, gy_j>)``."""
    (d, points), labels = features.shape, x.shape[1]
    launch(_slope, -(-d // HELD), points, features, x, gy, grad, points, labels)


@kernel
def _filter(
    features: Reals, values: Reals, out: Reals, points: int, labels: int, include_self: bool
) -> None:
    point, group = thread()
    d = quotient(features.size, points)
    if point >= points:
        return
    while group * HELD < labels:
        total = cuda.local.array(HELD, out.dtype)
        for held in range(HELD):
            total[held] = out.dtype.type(0)
        other = int32(0)
        while other < points:
            weight = _weight(features, point, other, points, d)
            if other == point and not include_self:
                weight = out.dtype.type(0)
            for held in range(HELD):
                label = group * HELD + held
                if label < labels:
                    total[held] += weight * values[other * labels + label]
            other = int32(other + 1)
        for held in range(HELD):
            label = group * HELD + held
            if label < labels:
                out[point * labels + label] = total[held]
        group = next_plane(group)


@kernel
def _slope(features: Reals, x: Reals, gy: Reals, grad: Reals, points: int, labels: int) -> None:
    point, group = thread()
    d = quotient(features.size, points)
    if point >= points:
        return
    while group * HELD < d:
        total = cuda.local.array(HELD, grad.dtype)
        for held in range(HELD):
            total[held] = grad.dtype.type(0)
        other = int32(0)
        while other < points:
            both = grad.dtype.type(0)
            for label in range(labels):
                here, there = point * labels + label, other * labels + label
                both += gy[here] * x[there] + x[here] * gy[there]
            both *= _weight(features, point, other, points, d)
            for held in range(HELD):
                j = group * HELD + held
                if j < d:
                    away = features[j * points + other] - features[j * points + point]
                    total[held] += both * away
            other = int32(other + 1)
        for held in range(HELD):
            j = group * HELD + held
            if j < d:
                grad[j * points + point] += total[held]
        group = next_plane(group)


@cuda.jit(device=True)
def _weight(features: Any, point: Any, other: Any, points: Any, d: Any) -> Any:
    distance = features.dtype.type(0)
    for j in range(d):
        away = features[j * points + point] - features[j * points + other]
        distance += away * away
    return decay(features.dtype.type(-0.5) * distance)
