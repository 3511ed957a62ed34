"""log_softmax on CUDA. A thread owns a column."""

from __future__ import annotations

from typing import Any

from numseg.cuda.columns import (
    Columns,
    column_and_image,
    columns_of,
    largest_and_exps,
    log_of,
    next_image,
    over_columns,
)
from numseg.cuda.launch import Reals, kernel
from numseg.cuda.pairs import added, rounded
from numseg.kernels.pointwise.elementary import decay
from numseg.ops.log_softmax.geometry import Geometry


@kernel
def _forward(x: Reals, y: Reals, g: Columns) -> None:
    column, image = column_and_image(g)
    if image < 0:
        return
    while image < g.n:
        first = image * g.c * g.size + column
        largest, high, low = largest_and_exps(x, first, g.c, g.size)
        total = log_of(high, low)
        at = first
        for _ in range(g.c):
            y[at] = (x[at] - largest) - total
            at += g.size
        image = next_image(image, g)


@kernel
def _backward(y: Reals, gy: Reals, gx: Reals, g: Columns) -> None:
    column, image = column_and_image(g)
    if image < 0:
        return
    while image < g.n:
        first = image * g.c * g.size + column
        high = low = y.dtype.type(0)
        at = first
        for _ in range(g.c):
            high, low = added(high, low, gy[at])
            at += g.size
        total = rounded(high, low)
        at = first
        for _ in range(g.c):
            gx[at] = gy[at] - decay(y[at]) * total
            at += g.size
        image = next_image(image, g)


def forward(x: Any, y: Any, g: Geometry) -> None:
    over_columns(_forward, columns_of(g.n, g.c, g.size), x, y)


def backward(y: Any, gy: Any, gx: Any, g: Geometry) -> None:
    if gx is not None:
        over_columns(_backward, columns_of(g.n, g.c, g.size), y, gy, gx)
