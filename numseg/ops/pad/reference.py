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

    rows = sparse.eye(g.oh, g.h, k=-g.pt)  # (p, p - top)
    columns = sparse.eye(g.ow, g.w, k=-g.pl)
    return sparse.kron(sparse.eye(g.planes), sparse.kron(rows, columns)).tocsr()
