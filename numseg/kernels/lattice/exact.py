"""The Gaussian filter by its sum over all pairs of points, in float64 and in the points' order."""

from __future__ import annotations

import math

import numpy as np

from numseg.kernels.machine.jit import kernel
from numseg.kernels.machine.threads import launch
from numseg.typing import Array


def filtered(
    features: Array, values: Array, out: Array, reverse: bool = False, include_self: bool = True
) -> None:
    """``out[i] = sum over points j of exp(-|f_i - f_j|^2 / 2) values[j]``, of features (P, D) and
    values (P, L). The kernel is symmetric: ``reverse`` changes nothing."""
    points, d = features.shape
    work = points * points * (d + values.shape[1] + 8)
    launch(_filter, points, work, features, values, include_self, out)


@kernel(fastmath={"contract"})
def _filter(start, stop, features, values, include_self, out):
    points, d = features.shape
    labels = values.shape[1]
    total = np.empty(labels)
    for i in range(start, stop):
        total[:] = 0
        for j in range(points):
            if i != j or include_self:
                distance = 0.0
                for a in range(d):
                    difference = np.float64(features[i, a]) - np.float64(features[j, a])
                    distance += difference * difference
                weight = math.exp(-0.5 * distance)
                for l in range(labels):
                    total[l] += weight * values[j, l]
        for l in range(labels):
            out[i, l] = total[l]


def features_gradient(features: Array, left: Array, right: Array, out: Array) -> None:
    """``out`` (D, P): the gradient of ``<left, K right>`` by features (P, D), for rows (P, L)."""
    points, d = features.shape
    work = points * points * (2 * d + 2 * left.shape[1] + 8)
    launch(_gradient, points, work, features, left, right, out)


@kernel(fastmath={"contract"})
def _gradient(start, stop, features, left, right, out):
    points, d = features.shape
    total, difference = np.empty(d), np.empty(d)
    for i in range(start, stop):
        total[:] = 0
        for j in range(points):
            if i != j:
                distance, pair = 0.0, 0.0
                for a in range(d):
                    difference[a] = np.float64(features[j, a]) - np.float64(features[i, a])
                    distance += difference[a] * difference[a]
                for l in range(left.shape[1]):
                    pair += np.float64(left[i, l]) * right[j, l]
                    pair += np.float64(right[i, l]) * left[j, l]
                pair *= math.exp(-0.5 * distance)
                for a in range(d):
                    total[a] += pair * difference[a]
        for a in range(d):
            out[a, i] = total[a]
