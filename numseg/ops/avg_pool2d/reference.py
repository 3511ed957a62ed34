"""avg_pool2d by its definition."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from numseg.ops.avg_pool2d.geometry import Geometry
from numseg.typing import Array


def forward(x: Array, g: Geometry) -> Array:
    y = np.zeros((g.n, g.c, g.oh, g.ow))
    for p, q, rows, columns, divisor in _windows(g):
        y[:, :, p, q] = x[:, :, rows, columns].sum((2, 3)) / divisor
    return y


def backward(gy: Array, g: Geometry) -> Array:
    gx = np.zeros((g.n, g.c, g.h, g.w))
    for p, q, rows, columns, divisor in _windows(g):
        gx[:, :, rows, columns] += gy[:, :, p, q, None, None] / divisor
    return gx


def _windows(g: Geometry) -> Iterator[tuple[int, int, slice, slice, int]]:
    """Each output pixel, the pixels of its window that are on the image, and the divisor."""
    for p in range(g.oh):
        rows, row_count = _span(p * g.sy - g.pt, g.kh, g.h, g.pb, g.include_pad)
        for q in range(g.ow):
            columns, column_count = _span(q * g.sx - g.pl, g.kw, g.w, g.pr, g.include_pad)
            # a window without a pixel is 0, whatever the divisor
            yield p, q, rows, columns, g.divisor or max(row_count * column_count, 1)


def _span(start: int, k: int, size: int, after: int, include_pad: bool) -> tuple[slice, int]:
    """Along one axis: the taps on the image, and how many taps the divisor counts."""
    end = min(start + k, size + after)
    on_image = slice(max(start, 0), max(min(end, size), 0))
    return on_image, end - start if include_pad else on_image.stop - on_image.start


def matrix(g: Geometry) -> Any:
    """Sums and divisors of rows and columns are independent: a Kronecker product."""
    from scipy import sparse

    def axis(o: int, s: int, k: int, before: int, after: int, size: int) -> Any:
        sums = np.zeros((o, size))
        for p in range(o):
            taps, count = _span(p * s - before, k, size, after, g.include_pad)
            sums[p, taps] = 1 if g.divisor else 1 / max(count, 1)
        return sparse.csr_matrix(sums)

    rows = axis(g.oh, g.sy, g.kh, g.pt, g.pb, g.h)
    columns = axis(g.ow, g.sx, g.kw, g.pl, g.pr, g.w)
    return sparse.kron(sparse.eye(g.n * g.c), sparse.kron(rows, columns)).tocsr() / (g.divisor or 1)
