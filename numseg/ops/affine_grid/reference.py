"""affine_grid by its definition."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.ops.affine_grid.geometry import Geometry
from numseg.typing import Array


def forward(theta: Array, g: Geometry) -> Array:
    return np.einsum("ijk,nck->nijc", _base(g), theta)


def backward(gy: Array, g: Geometry) -> Array:
    return np.einsum("ijk,nijc->nck", _base(g), gy)


def matrix(g: Geometry) -> Any:
    from scipy import sparse

    base = sparse.csr_matrix(_base(g).reshape(-1, 3))
    both = sparse.vstack([sparse.kron(row, sparse.eye(2)) for row in base])
    columns = [2 * k + c for c in range(2) for k in range(3)]  # of (2, 3), not (3, 2)
    return sparse.kron(sparse.eye(g.n), sparse.csr_matrix(both)[:, columns]).tocsr()


def _base(g: Geometry) -> Array:
    """(h, w, 3): x, y and 1."""
    base = np.ones((g.h, g.w, 3))
    base[..., 0], base[..., 1] = _line(g.w, g.align), _line(g.h, g.align)[:, None]
    return base


def _line(size: int, align: bool) -> Array:
    if align:
        return np.linspace(-1, 1, size) if size > 1 else np.zeros(1)
    return (2 * np.arange(size) + 1) / size - 1
