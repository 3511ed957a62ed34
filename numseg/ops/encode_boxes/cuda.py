"""encode_boxes on CUDA. A thread owns a box."""

from __future__ import annotations

from typing import Any

from numba import int32

from numseg.cuda.launch import Reals, given, kernel, thread
from numseg.cuda.losses import Elements, over_elements
from numseg.ops.encode_boxes.geometry import Geometry
from numseg.ops.encode_boxes.rules import code_of, gradients_of, weights_along


@kernel
def _forward(boxes: Reals, anchors: Reals, y: Reals, g: Geometry, e: Elements) -> None:
    i, _ = thread()
    if i >= e.threads:
        return
    while i < e.size:
        x = 4 * i
        for k in range(2):
            per_shift, per_scale = weights_along(k, g)
            y[x], y[x + 2] = code_of(
                boxes[x], boxes[x + 2], anchors[x], anchors[x + 2], per_shift, per_scale, g.offset
            )
            x += 1
        i = int32(i + e.threads)


@kernel
def _backward(
    boxes: Reals, anchors: Reals, gy: Reals, gb: Reals, ga: Reals, g: Geometry, e: Elements
) -> None:
    i, _ = thread()
    if i >= e.threads:
        return
    while i < e.size:
        x = 4 * i
        for k in range(2):
            per_shift, per_scale = weights_along(k, g)
            low, high, low_a, high_a = gradients_of(
                boxes[x], boxes[x + 2], anchors[x], anchors[x + 2],
                per_shift * gy[x], per_scale * gy[x + 2], g.offset,
            )  # fmt: skip
            if gb.size > 0:
                gb[x], gb[x + 2] = low, high
            if ga.size > 0:
                ga[x], ga[x + 2] = low_a, high_a
            x += 1
        i = int32(i + e.threads)


def forward(boxes: Any, anchors: Any, y: Any, g: Geometry) -> None:
    over_elements(_forward, g.size, boxes, anchors, y, g)


def backward(boxes: Any, anchors: Any, gy: Any, gb: Any, ga: Any, g: Geometry) -> None:
    grads = given(gb, gy.dtype), given(ga, gy.dtype)
    over_elements(_backward, g.size, boxes, anchors, gy, *grads, g)
