"""The gradient of ``<left, K right>`` by the features, K a filter by a lattice: through the weights
of points at the vertices of their simplices, which are held fixed."""

from __future__ import annotations

import numpy as np

from numseg.kernels.lattice import simplex
from numseg.kernels.lattice.build import BLOCK, Lattice, differences
from numseg.kernels.lattice.filter import blurred, splatted
from numseg.kernels.machine.jit import kernel
from numseg.kernels.machine.threads import launch
from numseg.typing import Array


def features_gradient(
    lattice: Lattice, features: Array, left: Array, right: Array, out: Array
) -> None:
    """``out`` (D, P), for features (P, D) that the lattice was built of, and rows (P, L)."""
    of_weights = np.zeros_like(lattice.weights)
    add_weights_gradient(lattice, left, right, of_weights)
    to_features(features, of_weights, out)


def add_weights_gradient(lattice: Lattice, left: Array, right: Array, of_weights: Array) -> None:
    """Of ``<left, K right>`` for rows (P, L), by the lattice's weights: to (P, D + 1)."""
    ahead = blurred(splatted(lattice, right), lattice)
    back = blurred(splatted(lattice, left), lattice, reverse=True)
    points, corners = of_weights.shape
    launch(_add_weights, points, of_weights.size * (4 * left.shape[1] + 8), lattice.vertices, left,
           right, ahead, back, simplex.slice_factor(corners - 1), of_weights)  # fmt: skip


def to_features(features: Array, of_weights: Array, out: Array) -> None:
    """From the gradient of barycentric weights (P, D + 1) to that of features (P, D), as (D, P)."""
    planes = np.ascontiguousarray(features.T)
    launch(_to_features, -(-planes.shape[1] // BLOCK), of_weights.size * 64, planes,
           simplex.scales(len(planes)), of_weights, out)  # fmt: skip


@kernel()
def _add_weights(start, stop, vertices, left, right, ahead, back, factor, of_weights):
    for p in range(start, stop):
        for k in range(vertices.shape[1]):
            v, total = vertices[p, k], 0.0
            for l in range(left.shape[1]):
                total += left[p, l] * ahead[v, l] + right[p, l] * back[v, l]
            of_weights[p, k] += factor * total


@kernel()
def _to_features(start, stop, planes, scale, of_weights, out):
    """Weight k is the difference of the coordinates of rank d - k and d - k + 1, divided by d + 1;
    weight 0 is what is left to 1."""
    d, points = planes.shape
    quotient, difference = np.empty((d + 1, BLOCK)), np.empty((d + 1, BLOCK))
    rank, place = np.empty((d + 1, BLOCK)), np.empty(d + 1)
    for first in range(start * BLOCK, min(stop * BLOCK, points), BLOCK):
        count = min(BLOCK, points - first)
        differences(planes, first, count, scale, quotient, difference, rank)
        for i in range(count):
            row = of_weights[first + i]
            for j in range(d + 1):
                k = d - int(rank[j, i])
                behind = row[k + 1] if k < d else row[0]
                place[j] = (np.float64(row[k]) - behind) / (d + 1)
            before = 0.0
            for j in range(d):
                before += place[j]
                out[j, first + i] = scale[j] * (before - (j + 1) * place[j + 1])
