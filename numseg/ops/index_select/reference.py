"""index_select by its definition."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.ops.index_select.geometry import Geometry
from numseg.typing import Array


def forward(x: Array, index: Array, g: Geometry) -> Array:
    return x.reshape(g.outer, g.size, g.inner)[:, index]


def backward(index: Array, gy: Array, g: Geometry) -> Array:
    gx = np.zeros((g.outer, g.size, g.inner))
    for k, i in enumerate(index):
        gx[:, i] += gy.reshape(g.outer, g.taken, g.inner)[:, k]
    return gx


def matrix(index: Array, g: Geometry) -> Any:
    from scipy import sparse

    places = np.arange(g.taken), np.asarray(index) % max(g.size, 1)
    one = sparse.csr_matrix((np.ones(g.taken), places), (g.taken, g.size))
    return sparse.kron(sparse.eye(g.outer), sparse.kron(one, sparse.eye(g.inner)), "csr")
