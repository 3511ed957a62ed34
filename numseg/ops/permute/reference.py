"""permute by its definition."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from numseg.ops.permute.geometry import Geometry
from numseg.typing import Array


def forward(x: Array, g: Geometry) -> Array:
    return x.transpose(g.dims)


def backward(gy: Array, g: Geometry) -> Array:
    return gy.transpose(np.argsort(g.dims))


def matrix(g: Geometry) -> Any:
    """A permutation."""
    from scipy import sparse

    size = math.prod(g.shape)
    places = np.arange(size).reshape(g.shape).transpose(g.dims).ravel()
    return sparse.csr_matrix((np.ones(size), (np.arange(size), places)), (size, size))
