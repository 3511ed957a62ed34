"""pad by its definition."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.ops.pad import Geometry
from numseg.typing import Array


def forward(x: Array, g: Geometry) -> Array:
    y = np.full((*x.shape[:2], g.oh, g.ow), g.value)
    for p in range(g.oh):
        for q in range(g.ow):
            if 0 <= p - g.pt < g.h and 0 <= q - g.pl < g.w:
                y[:, :, p, q] = x[:, :, p - g.pt, q - g.pl]
    return y


def backward(gy: Array, g: Geometry) -> Array:
    gx = np.zeros((*gy.shape[:2], g.h, g.w))
    for p in range(g.oh):
        for q in range(g.ow):
            if 0 <= p - g.pt < g.h and 0 <= q - g.pl < g.w:
                gx[:, :, p - g.pt, q - g.pl] = gy[:, :, p, q]
    return gx


def matrix(g: Geometry) -> Any:
    """A row of a plane is a row of the image, and likewise a column: a Kronecker product."""
    from scipy import sparse

    def shift(o: int, i: int, before: int) -> Any:
        kept = np.arange(max(before, 0), min(o, i + before))
        return sparse.csr_array((np.ones(len(kept)), (kept, kept - before)), shape=(o, i))

    plane = sparse.kron(shift(g.oh, g.h, g.pt), shift(g.ow, g.w, g.pl))
    return sparse.kron(sparse.eye_array(g.planes), plane).tocsr()
