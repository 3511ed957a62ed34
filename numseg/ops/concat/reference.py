"""concat by its definition."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.ops.concat.geometry import Geometry
from numseg.typing import Array


def forward(xs: tuple[Array, ...], g: Geometry) -> Array:
    return np.concatenate(xs, g.axis)


def backward(gy: Array, g: Geometry) -> tuple[tuple[Array, ...]]:
    return (tuple(np.split(gy, np.cumsum(g.sizes)[:-1], g.axis)),)


def matrix(g: Geometry) -> Any:
    from scipy import sparse

    # where each number of the output stands among the inputs laid end to end
    parts, start = [], 0
    for size in g.sizes:
        count = g.outer * size * g.inner
        parts.append(start + np.arange(count).reshape(g.outer, size, g.inner))
        start += count
    source = np.concatenate(parts, 1).ravel()
    ones = np.ones(source.size)
    return sparse.csr_matrix((ones, source, np.arange(source.size + 1)), (source.size, start))
