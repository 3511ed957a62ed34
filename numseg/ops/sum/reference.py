"""sum and mean by their definition."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from numseg.over_axes import Geometry
from numseg.typing import Array


def forward(x: Array, g: Geometry) -> Array:
    return x.sum(g.dims) / np.float64(g.number)  # a mean of nothing is NaN


def backward(gy: Array, g: Geometry) -> Array:
    return np.broadcast_to(gy.reshape(g.kept) / g.number, g.shape)


def matrix(g: Geometry) -> Any:
    from scipy import sparse

    size, results = math.prod(g.shape), math.prod(g.kept)
    into = np.broadcast_to(np.arange(results).reshape(g.kept), g.shape).ravel()
    values = np.full(size, 1 / max(g.number, 1))
    return sparse.csr_matrix((values, (into, np.arange(size))), (results, size))
