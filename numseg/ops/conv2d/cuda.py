"""conv2d on CUDA: the plain kernels, which take anything, and what runs when.

Whatever fills tiles is a product of matrices (:mod:`numseg.ops.conv2d.cuda_tiles`). For the rest:
forward a thread owns an output pixel, or a run of them in a column if there is one channel to a
filter. Gradient of x: an input pixel. Gradients of w and b: a part of the sum for one weight or
filter, the parts being rows of all images in their order; a second kernel adds the parts up.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import int32

from numseg.cuda.epilogue import Epilogue, Last, finished, prepared
from numseg.cuda.launch import (
    Ints,
    Reals,
    Split,
    add_up,
    kernel,
    launch,
    next_plane,
    quotient,
    split,
    thread,
)
from numseg.cuda.runtime import cuda, empty
from numseg.errors import DeviceError
from numseg.kernels.machine.jit import rule
from numseg.ops.conv2d import cuda_tiles as tiles
from numseg.ops.conv2d.cpu import takes
from numseg.ops.conv2d.geometry import Geometry
from numseg.ops.conv2d.rules import end_output, first_output
from numseg.plan import Step

__all__ = ["backward", "forward", "grad_b", "grad_w", "grad_x", "takes"]

RUN = 4
"""Outputs of a thread of a depthwise convolution."""


class Steps(NamedTuple):
    """From one tap that meets an input pixel to the next: taps forward and outputs back.

    Tap i of output p meets row ``p*sy - pt + i*dy``. All the (p, i) that meet one row are steps of
    ``(-dy / d, sy / d)`` apart, where d is the greatest common divisor of sy and dy.
    """

    i: int
    j: int
    p: int
    q: int


@kernel
def _forward(
    x: Reals, w: Reals, b: Reals, y: Reals, norms: Reals, terms: Reals, last: Last, g: Geometry
) -> None:
    pixel, plane = thread()
    if pixel >= g.oh * g.ow:
        return
    cg, fg = quotient(g.c, g.groups), quotient(g.f, g.groups)
    p = quotient(pixel, g.ow)
    top, left = int32(p * g.sy - g.pt), int32((pixel - p * g.ow) * g.sx - g.pl)
    while plane < g.n * g.f:
        n = quotient(plane, g.f)
        f = int32(plane - n * g.f)
        first = n * g.c + quotient(f, fg) * cg
        total = y.dtype.type(0)
        for c in range(cg):
            i, row = int32(0), top
            while i < g.kh:
                j, column = int32(0), left
                while j < g.kw:
                    value = x.dtype.type(0)  # beyond the border: an infinite weight makes it NaN
                    if 0 <= row < g.h and 0 <= column < g.w:
                        value = x[((first + c) * g.h + row) * g.w + column]
                    total += w[((f * cg + c) * g.kh + i) * g.kw + j] * value
                    j, column = int32(j + 1), int32(column + g.dx)
                i, row = int32(i + 1), int32(row + g.dy)
        total = total + b[f] if b.size > 0 else total
        at = plane * g.oh * g.ow + pixel
        y[at] = finished(total, f, at, norms, terms, last)
        plane = next_plane(plane)


@kernel
def _depthwise(
    x: Reals, w: Reals, b: Reals, y: Reals, norms: Reals, terms: Reals, last: Last, g: Geometry
) -> None:
    """A thread owns outputs one below the other, so that neighbours read neighbours: what is known
    of a tap is known once for all of them."""
    place, plane = thread()
    run = quotient(place, g.ow)
    p0, q = int32(run * RUN), int32(place - run * g.ow)
    if p0 >= g.oh:
        return
    totals = cuda.local.array(RUN, y.dtype)
    zero = y.dtype.type(0)
    multiplier = quotient(g.f, g.groups)
    while plane < g.n * g.f:
        n = quotient(plane, g.f)
        f = int32(plane - n * g.f)
        image = (n * g.c + quotient(f, multiplier)) * g.h * g.w
        for k in range(RUN):
            totals[k] = zero
        i = int32(0)
        while i < g.kh:
            j, top = int32(0), int32(p0 * g.sy - g.pt + i * g.dy)
            while j < g.kw:
                weight = w[(f * g.kh + i) * g.kw + j]
                column = int32(q * g.sx - g.pl + j * g.dx)
                for k in range(RUN):
                    row, value = int32(top + k * g.sy), zero  # beyond the border as in _forward
                    if 0 <= row < g.h and 0 <= column < g.w:
                        value = x[image + row * g.w + column]
                    totals[k] += weight * value
                j = int32(j + 1)
            i = int32(i + 1)
        bias = b[f] if b.size > 0 else zero
        for k in range(RUN):
            if p0 + k < g.oh:
                at = (plane * g.oh + p0 + k) * g.ow + q
                total = totals[k] + bias if b.size > 0 else totals[k]
                y[at] = finished(total, f, at, norms, terms, last)
        plane = next_plane(plane)


@kernel
def _grad_x(
    w: Reals, gy: Reals, b: Reals, gx: Reals, spoiled: Ints, g: Geometry, step: Steps
) -> None:
    """Gather: the taps that met a pixel are visited in the order of the kernel. If ``spoiled`` has
    a number, nothing is done where it is 0."""
    pixel, plane = thread()
    if pixel >= g.h * g.w or (spoiled.size > 0 and spoiled[0] == 0):
        return
    cg, fg = quotient(g.c, g.groups), quotient(g.f, g.groups)
    row = quotient(pixel, g.w)
    column = int32(pixel - row * g.w)
    i0, p0 = _first_meeting(row + g.pt, g.kh, g.sy, g.dy, g.oh, step.i, step.p)
    j0, q0 = _first_meeting(column + g.pl, g.kw, g.sx, g.dx, g.ow, step.j, step.q)
    while plane < g.n * g.c:
        n = quotient(plane, g.c)
        channel = int32(plane - n * g.c)
        group = quotient(channel, cg)
        c = channel - group * cg
        total = gx.dtype.type(0)
        for k in range(fg):
            f = group * fg + k
            i, p = i0, p0
            while i < g.kh and p >= 0:
                j, q = j0, q0
                while j < g.kw and q >= 0:
                    weight = w[((f * cg + c) * g.kh + i) * g.kw + j]
                    total += weight * gy[((n * g.f + f) * g.oh + p) * g.ow + q]
                    j, q = int32(j + step.j), int32(q - step.q)
                i, p = int32(i + step.i), int32(p - step.p)
        gx[plane * g.h * g.w + pixel] = total + b[channel] if b.size > 0 else total
        plane = next_plane(plane)


@rule
def _first_meeting(at, k, s, d, outputs, tap_step, output_step):
    """The first tap i and output p with ``p*s + i*d == at``, p within the outputs; else tap k."""
    i, rest = int32(0), int32(at)
    while i < k and rest >= 0 and rest != quotient(rest, s) * s:
        i, rest = int32(i + 1), int32(rest - d)
    if i >= k or rest < 0:
        return int32(k), int32(0)
    p = quotient(rest, s)
    while i < k and p >= outputs:
        i, p = int32(i + tap_step), int32(p - output_step)
    return i, p


@kernel
def _grad_w(x: Reals, gy: Reals, addends: Reals, g: Geometry, rows: Split) -> None:
    weight, part = thread()
    cg, fg = quotient(g.c, g.groups), quotient(g.f, g.groups)
    weights = g.f * cg * g.kh * g.kw
    if weight >= weights:
        return
    tap_row = quotient(weight, g.kw)
    filter_channel = quotient(tap_row, g.kh)
    f = quotient(filter_channel, cg)
    channel = int32(quotient(f, fg) * cg + filter_channel - f * cg)
    above = int32((tap_row - filter_channel * g.kh) * g.dy - g.pt)
    left = int32((weight - tap_row * g.kw) * g.dx - g.pl)
    p0, p1 = int32(first_output(above, g.sy)), int32(end_output(above, g.sy, g.h, g.oh))
    q0, q1 = int32(first_output(left, g.sx)), int32(end_output(left, g.sx, g.w, g.ow))
    while part < rows.parts:
        total = addends.dtype.type(0)
        row, end = int32(part * rows.terms), int32(min((part + 1) * rows.terms, g.n * g.oh))
        while row < end:
            n = quotient(row, g.oh)
            p = int32(row - n * g.oh)
            output = ((n * g.f + f) * g.oh + p) * g.ow
            image = ((n * g.c + channel) * g.h + p * g.sy + above) * g.w + left
            q = int32(0)
            while q < g.ow:
                value = x.dtype.type(0)  # as in _forward
                if p0 <= p < p1 and q0 <= q < q1:
                    value = x[image + q * g.sx]
                total += gy[output + q] * value
                q = int32(q + 1)
            row = int32(row + 1)
        addends[part * weights + weight] = total
        part = next_plane(part)


@kernel
def _grad_b(gy: Reals, addends: Reals, g: Geometry, rows: Split) -> None:
    f, part = thread()
    if f >= g.f:
        return
    while part < rows.parts:
        total = addends.dtype.type(0)
        row, end = int32(part * rows.terms), int32(min((part + 1) * rows.terms, g.n * g.oh))
        while row < end:
            n = quotient(row, g.oh)
            output = ((n * g.f + f) * g.oh + row - n * g.oh) * g.ow
            for q in range(g.ow):
                total += gy[output + q]
            row = int32(row + 1)
        addends[part * g.f + f] = total
        part = next_plane(part)


def _check_direct(g: Geometry) -> None:
    if g.tile:
        raise DeviceError(f"algorithm 'winograd{g.tile}' runs on the CPU, CUDA has 'direct' only")


def _plain_forward(x: Any, w: Any, b: Any, y: Any, after: Epilogue, g: Geometry) -> None:
    launch(_forward, g.n * g.f, g.oh * g.ow, x, w, b, y, *after, g)


def _depthwise_forward(x: Any, w: Any, b: Any, y: Any, after: Epilogue, g: Geometry) -> None:
    launch(_depthwise, g.n * g.f, -(-g.oh // RUN) * g.ow, x, w, b, y, *after, g)


def _plain_grad_x(w: Any, gy: Any, b: Any, gx: Any, g: Geometry, spoiled: Any = None) -> None:
    common_y, common_x = math.gcd(g.sy, g.dy), math.gcd(g.sx, g.dx)
    step = Steps(g.sy // common_y, g.sx // common_x, g.dy // common_y, g.dx // common_x)
    spoiled = empty((0,), np.int32) if spoiled is None else spoiled
    launch(_grad_x, g.n * g.c, g.h * g.w, w, gy, b, gx, spoiled, g, step)


def _tiled_grad_x(w: Any, gy: Any, b: Any, gx: Any, g: Geometry) -> None:
    """By definition a gradient has no terms for taps that met no output. Tiles have them, times
    zero, which shows where a weight is not finite: then it is computed again."""
    spoiled = tiles.grad_x(w, gy, b, gx, g)
    if spoiled is not None:
        _plain_grad_x(w, gy, b, gx, g, spoiled)


def _plain_grad_w(x: Any, gy: Any, gw: Any, g: Geometry) -> None:
    rows, addends = split(gw, g.n * g.oh)
    launch(_grad_w, rows.parts, gw.size, x, gy, addends, g, rows)
    add_up(addends, gw, rows)


def _anything(g: Geometry) -> bool:
    return True


def _one_channel(g: Geometry) -> bool:
    return g.c == g.groups


# for each direction, a question and an answer: the first that suits runs
FORWARD = [
    # one channel to a filter: a sum is short, and nothing is shared between filters
    (_one_channel, _depthwise_forward),
    # filters and pixels that fill a tile: most layers of a network, linear ones too
    (tiles.suits_forward, tiles.forward),
    (_anything, _plain_forward),
]
INPUT_GRADIENT = [
    # the same the other way, a phase of the strides at a time
    (tiles.suits_grad_x, _tiled_grad_x),
    # few channels, depthwise ones, and strides of too many phases, as FCN's 32
    (_anything, _plain_grad_x),
]
WEIGHT_GRADIENT = [
    (tiles.suits_grad_w, tiles.grad_w),
    (_anything, _plain_grad_w),
]


def _run(table: list[Any], g: Geometry, *arrays: Any) -> None:
    next(run for suits, run in table if suits(g))(*arrays, g)


def forward(x: Any, w: Any, b: Any, y: Any, g: Geometry, **steps: Step) -> None:
    _check_direct(g)
    b = empty((0,), y.dtype) if b is None else b
    _run(FORWARD, g, x, w, b, y, prepared(y.dtype, steps))


def grad_x(w: Any, gy: Any, gx: Any, g: Geometry, b: Any = None) -> None:
    """And b added to each channel, as a transposed convolution has it."""
    _check_direct(g)
    b = empty((0,), gx.dtype) if b is None else b
    _run(INPUT_GRADIENT, g, w, gy, b, gx)


def grad_w(x: Any, gy: Any, gw: Any, g: Geometry) -> None:
    _run(WEIGHT_GRADIENT, g, x, gy, gw)


def grad_b(gy: Any, gb: Any, g: Geometry) -> None:
    rows, addends = split(gb, g.n * g.oh)
    launch(_grad_b, rows.parts, gb.size, gy, addends, g, rows)
    add_up(addends, gb, rows)


def backward(x: Any, w: Any, gy: Any, gx: Any, gw: Any, gb: Any, g: Geometry) -> None:
    if gx is not None:
        grad_x(w, gy, gx, g)
    if gw is not None:
        grad_w(x, gy, gw, g)
    if gb is not None:
        grad_b(gy, gb, g)
