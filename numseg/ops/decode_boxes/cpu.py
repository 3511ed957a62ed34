"""decode_boxes on the CPU, in float64. A unit is an anchor."""

from __future__ import annotations

import numpy as np

from numseg.kernels.machine.jit import kernel
from numseg.kernels.machine.threads import launch
from numseg.ops.decode_boxes.geometry import Geometry
from numseg.ops.decode_boxes.rules import ends_of, gradients_of
from numseg.ops.encode_boxes.rules import weights_along
from numseg.typing import Array


@kernel()
def _forward(start, stop, codes, anchors, y, g):
    for i in range(start, stop):
        anchor = anchors[i]
        for c in range(g.each):
            code, box = codes[i, c], y[i, c]
            for k in range(2):
                per_shift, per_scale = weights_along(k, g)
                box[k], box[2 + k] = ends_of(
                    np.float64(code[k]), np.float64(code[2 + k]),
                    np.float64(anchor[k]), np.float64(anchor[2 + k]),
                    per_shift, per_scale, g,
                )  # fmt: skip


@kernel()
def _backward(start, stop, codes, anchors, gy, gc, ga, g):
    for i in range(start, stop):
        anchor = anchors[i]
        for k in range(2):
            per_shift, per_scale = weights_along(k, g)
            begin = end = 0.0
            for c in range(g.each):
                code, grad = codes[i, c], gy[i, c]
                shift, scale, low, high = gradients_of(
                    np.float64(code[k]), np.float64(code[2 + k]),
                    np.float64(anchor[k]), np.float64(anchor[2 + k]),
                    np.float64(grad[k]), np.float64(grad[2 + k]),
                    per_shift, per_scale, g,
                )  # fmt: skip
                if len(gc):
                    gc[i, c, k], gc[i, c, 2 + k] = shift, scale
                begin += low
                end += high
            if len(ga):
                ga[i, k], ga[i, 2 + k] = begin, end


def forward(codes: Array, anchors: Array, y: Array, g: Geometry) -> None:
    codes, y = (a.reshape(g.size, g.each, 4) for a in (codes, y))
    launch(_forward, g.size, 20 * codes.size, codes, anchors.reshape(g.size, 4), y, g)


def backward(
    codes: Array, anchors: Array, gy: Array, gc: Array | None, ga: Array | None, g: Geometry
) -> None:
    codes, gy = (a.reshape(g.size, g.each, 4) for a in (codes, gy))
    gc = np.empty((0, 0, 4), gy.dtype) if gc is None else gc.reshape(codes.shape)
    ga = np.empty((0, 4), gy.dtype) if ga is None else ga.reshape(g.size, 4)
    launch(_backward, g.size, 20 * codes.size, codes, anchors.reshape(g.size, 4), gy, gc, ga, g)
