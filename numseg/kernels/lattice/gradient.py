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
    planes = np.ascontiguousarray(features.T)
    d, points = planes.shape
    ahead = blurred(splatted(lattice, right), lattice)
    back = blurred(splatted(lattice, left), lattice, reverse=True)
    blocks = -(-points // BLOCK)
    work = points * (d + 1) * (4 * left.shape[1] + 64)
    launch(_gradient, blocks, work, planes, simplex.scales(d), simplex.slice_factor(d),
           lattice.vertices, left, right, ahead, back, out)  # fmt: skip


@kernel()
def _gradient(start, stop, planes, scale, factor, vertices, left, right, ahead, back, out):
    d, points = planes.shape
    quotient, difference = np.empty((d + 1, BLOCK)), np.empty((d + 1, BLOCK))
    rank, of_weight, of_place = np.empty((d + 1, BLOCK)), np.empty(d + 2), np.empty(d + 1)
    for first in range(start * BLOCK, min(stop * BLOCK, points), BLOCK):
        count = min(BLOCK, points - first)
        differences(planes, first, count, scale, quotient, difference, rank)
        for i in range(count):
            p = first + i
            for k in range(d + 1):
                v, total = vertices[p, k], 0.0
                for l in range(left.shape[1]):
                    total += left[p, l] * ahead[v, l] + right[p, l] * back[v, l]
                of_weight[k] = factor * total
            # a coordinate's share is added to one remainder's weight, taken from the next one's
            of_weight[d + 1] = of_weight[0]
            for j in range(d + 1):
                k = d - int(rank[j, i])
                of_place[j] = (of_weight[k] - of_weight[k + 1]) / (d + 1)
            before = 0.0
            for j in range(d):
                before += of_place[j]
                out[j, p] = scale[j] * (before - (j + 1) * of_place[j + 1])
