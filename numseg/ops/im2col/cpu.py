"""im2col on the CPU. Forward: a unit is a row of the result. Backward: a plane of the image."""

from __future__ import annotations

from numseg.kernels.machine.jit import kernel
from numseg.kernels.machine.threads import launch
from numseg.ops.conv2d.rules import end_output, first_output
from numseg.ops.im2col.geometry import Geometry
from numseg.typing import Array


@kernel()
def _forward(start, stop, x, y, g):
    for unit in range(start, stop):
        rest, j = divmod(unit, g.kw)
        plane, i = divmod(rest, g.kh)
        top, left = i * g.dy - g.pt, j * g.dx - g.pl
        p0, p1 = first_output(top, g.sy), end_output(top, g.sy, g.h, g.oh)
        q0, q1 = first_output(left, g.sx), end_output(left, g.sx, g.w, g.ow)
        if p0 >= p1 or q0 >= q1:
            y[unit] = 0
            continue
        y[unit, :p0] = 0
        y[unit, p1:] = 0
        for p in range(p0, p1):
            for q in range(q0):
                y[unit, p, q] = 0
            for q in range(q1, g.ow):
                y[unit, p, q] = 0
            seen = y[unit, p, q0:q1]
            pixels = x[plane, p * g.sy + top, q0 * g.sx + left :]
            if g.sx == 1:
                for q in range(len(seen)):
                    seen[q] = pixels[q]
            else:
                apart = pixels[:: g.sx]
                for q in range(len(seen)):
                    seen[q] = apart[q]


@kernel()
def _backward(start, stop, gy, gx, g):
    for plane in range(start, stop):
        gx[plane] = 0
        for i in range(g.kh):
            top = i * g.dy - g.pt
            p0, p1 = first_output(top, g.sy), end_output(top, g.sy, g.h, g.oh)
            for j in range(g.kw):
                left = j * g.dx - g.pl
                q0, q1 = first_output(left, g.sx), end_output(left, g.sx, g.w, g.ow)
                if q0 >= q1:
                    continue
                for p in range(p0, p1):
                    seen = gy[(plane * g.kh + i) * g.kw + j, p, q0:q1]
                    pixels = gx[plane, p * g.sy + top, q0 * g.sx + left :]
                    if g.sx == 1:
                        for q in range(len(seen)):
                            pixels[q] += seen[q]
                    else:
                        apart = pixels[:: g.sx]
                        for q in range(len(seen)):
                            apart[q] += seen[q]


def forward(x: Array, y: Array, g: Geometry) -> None:
    rows = g.n * g.c * g.kh * g.kw
    launch(_forward, rows, y.size, x.reshape(g.n * g.c, g.h, g.w), y.reshape(rows, g.oh, g.ow), g)


def backward(gy: Array, gx: Array | None, g: Geometry) -> None:
    rows = g.n * g.c * g.kh * g.kw
    if gx is not None:
        planes = gx.reshape(g.n * g.c, g.h, g.w)
        launch(_backward, len(planes), gy.size, gy.reshape(rows, g.oh, g.ow), planes, g)
