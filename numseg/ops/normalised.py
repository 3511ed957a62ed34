"""The second derivative of normalising by one's own mean and variance.

``z = (x - mean) r`` with ``r = 1 / sqrt(var + eps)``. Along v it moves by ``r P v``, where
``P v = v - mean(v) - z mean(z v)`` is symmetric; and r moves by ``-r**2 mean(z v)``.
"""

from __future__ import annotations

import math

from numseg.typing import Array


def mean(values: Array, axes: tuple[int, ...]) -> Array:
    """Over some axes, which stay; 0 over nothing."""
    count = math.prod(values.shape[axis] for axis in axes)
    total: Array = values.sum(axes, keepdims=True)
    return total / max(count, 1)


def moved(v: Array, z: Array, r: Array, axes: tuple[int, ...]) -> Array:
    """``r P v``; ``axes`` are those of mean and variance."""
    v = v - mean(v, axes)
    return r * (v - z * mean(z * v, axes))


def curved(v: Array, u: Array, z: Array, r: Array, axes: tuple[int, ...]) -> Array:
    """The gradient for x of ``sum(u r P v)``.

    With a and b for v and u less their means, the sum is ``m r (mean(a b) - mean(a z) mean(b z))``:
    a function of r and of z, whose motions are known.
    """
    a, b = (t - mean(t, axes) for t in (v, u))
    az, bz, ab = (mean(p * q, axes) for p, q in ((a, z), (b, z), (a, b)))
    return -(r**2) * ((ab - az * bz) * z + bz * (a - z * az) + az * (b - z * bz))
