"""linear by its definition."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.ops.linear.geometry import Geometry
from numseg.typing import Array


def forward(x: Array, w: Array, b: Array | None, g: Geometry) -> Array:
    y = np.einsum("...i,oi->...o", x, w)
    return y if b is None else y + b


def backward(x: Array, w: Array, gy: Array, g: Geometry) -> tuple[Array, Array, Array]:
    rows, grads = x.reshape(g.rows, g.inputs), gy.reshape(g.rows, g.outputs)
    return (
        np.einsum("...o,oi->...i", gy, w),
        np.einsum("ro,ri->oi", grads, rows),
        grads.sum(0),
    )


def matrix(w: Array, b: Array | None, g: Geometry) -> Any:
    """w once for every row of x."""
    from scipy import sparse

    return sparse.kron(sparse.eye_array(g.rows), sparse.csr_array(w), format="csr")
