"""bed_of_nails2d by its definition."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.ops.bed_of_nails2d.geometry import Geometry
from numseg.typing import Array


def forward(x: Array, g: Geometry) -> Array:
    y = np.zeros((g.n, g.c, g.h * g.sy, g.w * g.sx))
    y[:, :, :: g.sy, :: g.sx] = x
    return y


def backward(gy: Array, g: Geometry) -> Array:
    return gy[:, :, :: g.sy, :: g.sx]


def matrix(g: Geometry) -> Any:
    """A one in the row of each nail."""
    from scipy import sparse

    planes = np.arange(g.n * g.c)[:, None, None]
    rows, columns = np.arange(g.h)[:, None], np.arange(g.w)
    nails = ((planes * g.h + rows) * g.sy * g.w + columns) * g.sx  # flat index in y
    count = nails.size
    shape = (count * g.sy * g.sx, count)
    return sparse.csr_matrix((np.ones(count), (nails.ravel(), np.arange(count))), shape)
