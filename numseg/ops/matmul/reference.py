"""matmul by its definition."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from numseg.broadcasting import summed_to
from numseg.ops.matmul.geometry import Geometry
from numseg.typing import Array


def forward(x: Array, other: Array, g: Geometry) -> Array:
    return np.einsum("...mk,...kn->...mn", x.reshape(g.left), other.reshape(g.right))


def backward(x: Array, other: Array, gy: Array, g: Geometry) -> tuple[Array, Array]:
    x, other, gy = x.reshape(g.left), other.reshape(g.right), gy.reshape(g.shape)
    of_x = np.einsum("...mn,...kn->...mk", gy, other)
    of_other = np.einsum("...mk,...mn->...kn", x, gy)
    return summed_to(g.left, of_x), summed_to(g.right, of_other)


def matrix(other: Array, g: Geometry) -> Any:
    """A matrix of other once for each row of a matrix of x."""
    from scipy import sparse

    m, k = g.left[-2:]
    stacks, others = math.prod(g.left[:-2]), other.reshape(-1, *g.right[-2:])
    found = []
    for i, j in g.pairs:
        place = sparse.csr_matrix(([1.0], ([0], [i])), (1, stacks))
        found.append(sparse.kron(place, sparse.kron(sparse.eye(m), others[j].T)))
    if not found:
        return sparse.csr_matrix((0, stacks * m * k))
    return sparse.vstack(found, "csr")
