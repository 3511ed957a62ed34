"""dropout by its definition."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.ops.dropout.geometry import Geometry
from numseg.typing import Array


def forward(x: Array, g: Geometry) -> Array:
    return np.where(_kept(g).reshape(x.shape), x * g.scale, 0.0)


def backward(gy: Array, g: Geometry) -> Array:
    return forward(gy, g)


def matrix(g: Geometry) -> Any:
    """A diagonal: the scale for what is kept, 0 for what is dropped."""
    from scipy import sparse

    return sparse.diags_array(_kept(g) * g.scale, shape=(g.size, g.size), format="csr")


def _kept(g: Geometry) -> Array:
    gamma = np.uint64(0x9E3779B97F4A7C15)
    key = _mix(np.array([g.seed], np.uint64) + gamma)
    units = np.arange(1, g.size // max(g.run, 1) + 1, dtype=np.uint64)
    return np.repeat(_mix(key + units * gamma) // 2**11 >= g.p * 2.0**53, g.run)


def _mix(z: Array) -> Array:
    """The output function of SplitMix64; NumPy's unsigned arrays count modulo 2**64."""
    z = (z ^ (z >> 30)) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> 27)) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> 31)
