"""decode_boxes on CUDA. A thread owns a box; of the anchors' gradient, an anchor."""

from __future__ import annotations

from typing import Any

from numba import int32

from numseg.cuda.launch import Reals, kernel, quotient, thread
from numseg.cuda.losses import Elements, over_elements
from numseg.cuda.pairs import added, rounded
from numseg.ops.decode_boxes.geometry import Geometry
from numseg.ops.decode_boxes.rules import ends_of, gradients_of
from numseg.ops.encode_boxes.rules import weights_along


@kernel
def _forward(codes: Reals, anchors: Reals, y: Reals, g: Geometry, e: Elements) -> None:
    i, _ = thread()
    if i >= e.threads:
        return
    while i < e.size:
        x, a = 4 * i, 4 * quotient(i, g.each)
        for k in range(2):
            per_shift, per_scale = weights_along(k, g)
            y[x], y[x + 2] = ends_of(
                codes[x], codes[x + 2], anchors[a], anchors[a + 2], per_shift, per_scale, g
            )
            x += 1
            a += 1
        i = int32(i + e.threads)


@kernel
def _backward_codes(
    codes: Reals, anchors: Reals, gy: Reals, gc: Reals, g: Geometry, e: Elements
) -> None:
    i, _ = thread()
    if i >= e.threads:
        return
    while i < e.size:
        x, a = 4 * i, 4 * quotient(i, g.each)
        for k in range(2):
            per_shift, per_scale = weights_along(k, g)
            found = gradients_of(
                codes[x], codes[x + 2], anchors[a], anchors[a + 2],
                gy[x], gy[x + 2], per_shift, per_scale, g,
            )  # fmt: skip
            gc[x], gc[x + 2] = found[0], found[1]
            x += 1
            a += 1
        i = int32(i + e.threads)


@kernel
def _backward_anchors(
    codes: Reals, anchors: Reals, gy: Reals, ga: Reals, g: Geometry, e: Elements
) -> None:
    i, _ = thread()
    if i >= e.threads:
        return
    while i < e.size:
        a = 4 * i
        for k in range(2):
            per_shift, per_scale = weights_along(k, g)
            begin = begin_rest = end = end_rest = anchors.dtype.type(0)
            x = 4 * i * g.each + k
            for _ in range(g.each):
                found = gradients_of(
                    codes[x], codes[x + 2], anchors[a], anchors[a + 2],
                    gy[x], gy[x + 2], per_shift, per_scale, g,
                )  # fmt: skip
                begin, begin_rest = added(begin, begin_rest, found[2])
                end, end_rest = added(end, end_rest, found[3])
                x += 4
            ga[a], ga[a + 2] = rounded(begin, begin_rest), rounded(end, end_rest)
            a += 1
        i = int32(i + e.threads)


def forward(codes: Any, anchors: Any, y: Any, g: Geometry) -> None:
    over_elements(_forward, g.size * g.each, codes, anchors, y, g)


def backward(codes: Any, anchors: Any, gy: Any, gc: Any, ga: Any, g: Geometry) -> None:
    if gc is not None:
        over_elements(_backward_codes, g.size * g.each, codes, anchors, gy, gc, g)
    if ga is not None:
        over_elements(_backward_anchors, g.size, codes, anchors, gy, ga, g)
