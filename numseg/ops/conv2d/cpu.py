"""conv2d on the CPU.

Forward: a unit is an output plane. Gradient of x: an input plane. Gradient of w: a filter.
"""

from __future__ import annotations

from numseg.kernels.jit import kernel
from numseg.kernels.parallel import launch
from numseg.ops.conv2d import Geometry
from numseg.ops.conv2d.rules import end_output, first_output
from numseg.typing import Array


@kernel({"contract"})
def _forward(start, stop, x, w, b, y, g):
    cg, fg = g.c // g.groups, g.f // g.groups
    for unit in range(start, stop):
        n, f = divmod(unit, g.f)
        y[n, f] = 0 if b is None else b[f]
        for c in range(cg):
            plane = x[n, f // fg * cg + c]
            for i in range(g.kh):
                p0 = first_output(i * g.dy - g.pt, g.sy)
                p1 = end_output(i * g.dy - g.pt, g.sy, g.h, g.oh)
                for j in range(g.kw):
                    left = j * g.dx - g.pl
                    q0, q1 = first_output(left, g.sx), end_output(left, g.sx, g.w, g.ow)
                    weight = w[f, c, i, j]
                    for p in range(p0, p1):
                        row = plane[p * g.sy - g.pt + i * g.dy]
                        for q in range(q0, q1):
                            y[n, f, p, q] += weight * row[q * g.sx + left]


@kernel({"contract"})
def _grad_x(start, stop, w, gy, gx, g):
    cg, fg = g.c // g.groups, g.f // g.groups
    for unit in range(start, stop):
        n, channel = divmod(unit, g.c)
        group, c = divmod(channel, cg)
        gx[n, channel] = 0
        for f in range(group * fg, (group + 1) * fg):
            for i in range(g.kh):
                p0 = first_output(i * g.dy - g.pt, g.sy)
                p1 = end_output(i * g.dy - g.pt, g.sy, g.h, g.oh)
                for j in range(g.kw):
                    left = j * g.dx - g.pl
                    q0, q1 = first_output(left, g.sx), end_output(left, g.sx, g.w, g.ow)
                    weight = w[f, c, i, j]
                    for p in range(p0, p1):
                        row = gx[n, channel, p * g.sy - g.pt + i * g.dy]
                        for q in range(q0, q1):
                            row[q * g.sx + left] += weight * gy[n, f, p, q]


@kernel({"contract"})
def _grad_w(start, stop, x, gy, gw, g):
    cg, fg = g.c // g.groups, g.f // g.groups
    for f in range(start, stop):
        for c in range(cg):
            channel = f // fg * cg + c
            for i in range(g.kh):
                p0 = first_output(i * g.dy - g.pt, g.sy)
                p1 = end_output(i * g.dy - g.pt, g.sy, g.h, g.oh)
                for j in range(g.kw):
                    left = j * g.dx - g.pl
                    q0, q1 = first_output(left, g.sx), end_output(left, g.sx, g.w, g.ow)
                    total = gw.dtype.type(0)
                    for n in range(g.n):
                        for p in range(p0, p1):
                            row = x[n, channel, p * g.sy - g.pt + i * g.dy]
                            for q in range(q0, q1):
                                total += row[q * g.sx + left] * gy[n, f, p, q]
                    gw[f, c, i, j] = total


@kernel()
def _grad_b(start, stop, gy, gb):
    for f in range(start, stop):
        total = gb.dtype.type(0)
        for n in range(gy.shape[0]):
            for p in range(gy.shape[2]):
                for q in range(gy.shape[3]):
                    total += gy[n, f, p, q]
        gb[f] = total


def forward(x: Array, w: Array, b: Array | None, y: Array, g: Geometry) -> None:
    launch(_forward, g.n * g.f, _products(g), x, w, b, y, g)


def grad_x(w: Array, gy: Array, gx: Array, g: Geometry) -> None:
    launch(_grad_x, g.n * g.c, _products(g), w, gy, gx, g)


def grad_w(x: Array, gy: Array, gw: Array, g: Geometry) -> None:
    launch(_grad_w, g.f, _products(g), x, gy, gw, g)


def grad_b(gy: Array, gb: Array) -> None:
    launch(_grad_b, len(gb), gy.size, gy, gb)


def backward(
    x: Array,
    w: Array,
    gy: Array,
    gx: Array | None,
    gw: Array | None,
    gb: Array | None,
    g: Geometry,
) -> None:
    if gx is not None:
        grad_x(w, gy, gx, g)
    if gw is not None:
        grad_w(x, gy, gw, g)
    if gb is not None:
        grad_b(gy, gb)


def _products(g: Geometry) -> int:
    return g.n * g.f * g.oh * g.ow * (g.c // g.groups) * g.kh * g.kw
