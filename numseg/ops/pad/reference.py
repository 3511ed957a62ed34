"""pad by its definition."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.ops.pad.geometry import MODES, Geometry
from numseg.typing import Array


def forward(x: Array, g: Geometry) -> Array:
    y = np.full((*x.shape[:2], g.oh, g.ow), g.value)
    for p, row in enumerate(_sources(g.oh, g.h, g.pt, g)):
        for q, column in enumerate(_sources(g.ow, g.w, g.pl, g)):
            if row is not None and column is not None:
                y[:, :, p, q] = x[:, :, row, column]
    return y


def backward(gy: Array, g: Geometry) -> Array:
    gx = np.zeros((*gy.shape[:2], g.h, g.w))
    for p, row in enumerate(_sources(g.oh, g.h, g.pt, g)):
        for q, column in enumerate(_sources(g.ow, g.w, g.pl, g)):
            if row is not None and column is not None:
                gx[:, :, row, column] += gy[:, :, p, q]
    return gx


def matrix(g: Geometry) -> Any:
    """A row of a plane is a row of the image, and likewise a column: a Kronecker product."""
    from scipy import sparse

    def axis(o: int, i: int, before: int) -> Any:
        read = [(p, r) for p, r in enumerate(_sources(o, i, before, g)) if r is not None]
        places = np.array(read, int).reshape(-1, 2).T
        return sparse.csr_array((np.ones(len(read)), tuple(places)), shape=(o, i))

    plane = sparse.kron(axis(g.oh, g.h, g.pt), axis(g.ow, g.w, g.pl))
    return sparse.kron(sparse.eye_array(g.planes), plane).tocsr()


def _sources(o: int, i: int, before: int, g: Geometry) -> list[int | None]:
    """The pixel that each output pixel of a row copies; None where it is ``value``."""
    return [_source(p - before, i, MODES[g.mode]) for p in range(o)]


def _source(t: int, n: int, mode: str) -> int | None:
    """Of the image continued, pixel t."""
    if 0 <= t < n:
        return t
    if mode == "replicate":
        return 0 if t < 0 else n - 1
    if mode == "circular":
        return t % n
    if mode == "reflect":  # abcdcb abcdcb ...
        t %= max(2 * n - 2, 1)
        return t if t < n else 2 * n - 2 - t
    if mode == "symmetric":  # abcddcba abcddcba ...
        t %= 2 * n
        return t if t < n else 2 * n - 1 - t
    return None
