"""l2_norm on CUDA. A thread owns a pixel; of the weight's gradient, a part of a channel's sum."""

from __future__ import annotations

from typing import Any

from numba import int32

from numseg.cuda.columns import Columns, column_and_image, columns_of, next_image, over_columns
from numseg.cuda.launch import (
    Reals,
    Stored,
    given,
    kernel,
    launch,
    next_plane,
    quotient,
    thread,
)
from numseg.cuda.pairs import added, added_square, keep, rounded
from numseg.cuda.sets import Sets, set_and_part, sets_of, store, sums_of
from numseg.kernels.pointwise.elementary import sqrt
from numseg.ops.l2_norm.geometry import Geometry
from numseg.ops.l2_norm.rules import inverse, pull


@kernel
def _forward(
    x: Reals, weight: Reals, y: Reals, norms: Stored, eps: float, rule: int, g: Columns
) -> None:
    column, image = column_and_image(g)
    if image < 0:
        return
    while image < g.n:
        first = image * g.c * g.size + column
        high = low = x.dtype.type(0)
        at = first
        for _ in range(g.c):
            high, low = added_square(high, low, x[at], x.dtype.type(0))
            at += g.size
        norm = sqrt(rounded(high, low))
        norms[image * g.size + column] = norm
        over_d = inverse(norm, eps, rule)
        at = first
        for c in range(g.c):
            value = x[at] * over_d
            y[at] = value * weight[c] if weight.size > 0 else value
            at += g.size
        image = next_image(image, g)


@kernel
def _backward(
    x: Reals,
    weight: Reals,
    norms: Stored,
    gy: Reals,
    gx: Reals,
    eps: float,
    rule: int,
    g: Columns,
) -> None:
    column, image = column_and_image(g)
    if image < 0:
        return
    while image < g.n:
        first = image * g.c * g.size + column
        high = low = x.dtype.type(0)
        at = first
        for c in range(g.c):
            grad = gy[at] * weight[c] if weight.size > 0 else gy[at]
            high, low = added(high, low, x[at] * grad)
            at += g.size
        norm = x.dtype.type(norms[image * g.size + column])
        over_d, drag = inverse(norm, eps, rule), rounded(high, low) * pull(norm, eps, rule)
        at = first
        for c in range(g.c):
            grad = gy[at] * weight[c] if weight.size > 0 else gy[at]
            gx[at] = grad * over_d - x[at] * drag
            at += g.size
        image = next_image(image, g)


@kernel
def _weight_sums(
    x: Reals, gy: Reals, norms: Stored, addends: Reals, eps: float, rule: int, g: Sets
) -> None:
    """Sums of each channel's gradients."""
    place, plane = thread()
    if place >= (g.parts if g.along else g.sets):
        return
    while plane < (g.sets if g.along else g.parts):
        here, part = set_and_part(place, plane, g)
        high = low = x.dtype.type(0)
        block = quotient(part, g.inner)
        i = int32(part - block * g.inner)
        while block < g.outer:
            at = (block * g.sets + here) * g.inner + i
            norm = x.dtype.type(norms[block * g.inner + i])
            high, low = added(high, low, gy[at] * (x[at] * inverse(norm, eps, rule)))
            block, i = int32(block + g.blocks), int32(i + g.rest)
            if i >= g.inner:
                block, i = int32(block + 1), int32(i - g.inner)
        keep(addends, 0, part * g.sets + here, g.parts * g.sets, high, low)
        plane = next_plane(plane)


def forward(x: Any, weight: Any, y: Any, norm: Any, g: Geometry) -> None:
    columns = columns_of(g.n, g.c, g.size)
    over_columns(_forward, columns, x, given(weight, x.dtype), y, norm, g.eps, g.rule)


def backward(x: Any, weight: Any, norm: Any, gy: Any, gx: Any, gw: Any, g: Geometry) -> None:
    if gx is not None:
        arrays = x, given(weight, x.dtype), norm, gy, gx
        over_columns(_backward, columns_of(g.n, g.c, g.size), *arrays, g.eps, g.rule)
    if gw is not None:
        sets = sets_of(g.n, g.c, g.size)
        sums = sums_of(_weight_sums, 1, sets, x.dtype, x, gy, norm, how=(g.eps, g.rule))
        launch(store, 1, g.c, sums, gw)
