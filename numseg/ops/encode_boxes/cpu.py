"""encode_boxes on the CPU, in float64. A unit is a box."""

from __future__ import annotations

import numpy as np

from numseg.kernels.machine.jit import kernel
from numseg.kernels.machine.threads import launch
from numseg.ops.encode_boxes.geometry import Geometry
from numseg.ops.encode_boxes.rules import code_of, gradients_of, weights_along
from numseg.typing import Array


@kernel()
def _forward(start, stop, boxes, anchors, y, g):
    for i in range(start, stop):
        box, anchor, code = boxes[i], anchors[i], y[i]
        for k in range(2):
            per_shift, per_scale = weights_along(k, g)
            code[k], code[2 + k] = code_of(
                np.float64(box[k]), np.float64(box[2 + k]),
                np.float64(anchor[k]), np.float64(anchor[2 + k]),
                per_shift, per_scale, g.offset,
            )  # fmt: skip


@kernel()
def _backward(start, stop, boxes, anchors, gy, gb, ga, g):
    for i in range(start, stop):
        box, anchor, grad = boxes[i], anchors[i], gy[i]
        for k in range(2):
            per_shift, per_scale = weights_along(k, g)
            low, high, low_a, high_a = gradients_of(
                np.float64(box[k]), np.float64(box[2 + k]),
                np.float64(anchor[k]), np.float64(anchor[2 + k]),
                per_shift * grad[k], per_scale * grad[2 + k], g.offset,
            )  # fmt: skip
            if len(gb):
                gb[i, k], gb[i, 2 + k] = low, high
            if len(ga):
                ga[i, k], ga[i, 2 + k] = low_a, high_a


def forward(boxes: Array, anchors: Array, y: Array, g: Geometry) -> None:
    arrays = (a.reshape(-1, 4) for a in (boxes, anchors, y))
    launch(_forward, g.size, 80 * g.size, *arrays, g)


def backward(
    boxes: Array, anchors: Array, gy: Array, gb: Array | None, ga: Array | None, g: Geometry
) -> None:
    arrays = (a.reshape(-1, 4) for a in (boxes, anchors, gy))
    grads = (np.empty((0, 4), gy.dtype) if a is None else a.reshape(-1, 4) for a in (gb, ga))
    launch(_backward, g.size, 80 * g.size, *arrays, *grads, g)
