"""conv2d on the CPU: its three products, in the words of the kernels for sums over taps."""

from __future__ import annotations

import math

import numpy as np

from numseg.kernels.conv import depthwise as planewise
from numseg.kernels.conv import direct as correlate
from numseg.kernels.conv import filter_vectors
from numseg.kernels.conv import large_kernel as wide
from numseg.kernels.conv import weight_gradient_few_filters as few_filters
from numseg.kernels.conv.direct import Then, Weights
from numseg.kernels.conv.packing import Axis
from numseg.kernels.conv.transposed import fills_tiles, interleave
from numseg.kernels.conv.transposed_large_stride import Stamp, spread
from numseg.kernels.conv.weight_gradient import correlate_weights
from numseg.kernels.conv.winograd import winograd
from numseg.kernels.machine.jit import kernel
from numseg.kernels.machine.target import TARGET
from numseg.kernels.machine.threads import launch
from numseg.kernels.reductions.sums import row_sum
from numseg.ops.add import Geometry as Sums
from numseg.ops.add import cpu as sums
from numseg.ops.conv2d.diagonal import depthwise
from numseg.ops.conv2d.geometry import Geometry
from numseg.ops.relu import Geometry as Rectified
from numseg.ops.relu import cpu as rectified
from numseg.typing import Array


@kernel()
def _swap(start, stop, w, swapped):
    """Filters and channels change places."""
    for unit in range(start, stop):
        group, c = divmod(unit, w.shape[2])
        for f in range(w.shape[1]):
            for tap in range(w.shape[3]):
                swapped[group, c, f, tap] = w[group, f, c, tap]


@kernel()
def _grad_b(start, stop, gy, gb):
    for f in range(start, stop):
        total = 0.0
        for n in range(gy.shape[0]):
            total += row_sum(gy[n, f])
        gb[f] = total


def forward(
    x: Array,
    w: Array,
    b: Array | None,
    y: Array,
    g: Geometry,
    add: tuple[Array] | None = None,
    relu: tuple[()] | None = None,
) -> None:
    if g.tile:
        winograd(x, w, b, y, g.groups, (g.pt, g.pl), g.tile)
        return _afterwards(y, add, relu)
    w, g = depthwise(w, g, x)
    rows, columns = _axes(g)
    if wide.suits(rows, columns, x.itemsize):
        wide.forward(x, w, b, y, g.groups, rows, columns)
        return _afterwards(y, add, relu)
    fg, cg, taps = g.f // g.groups, g.c // g.groups, g.kh * g.kw
    weights = Weights(fg * cg * taps, cg * taps, taps, g.kw, 1)
    then = None
    if add is not None or relu is not None:
        terms = np.empty(0, y.dtype) if add is None else add[0].reshape(-1)
        terms.flags.writeable = False  # whatever they are, one kernel
        then = Then(terms, relu is not None)
    if planewise.suits(cg, rows, columns, x.itemsize):
        return planewise.correlate(x, w, b, y, rows, columns, then)
    _correlate(x, w, b, y, g.groups, rows, columns, weights, then)


def _afterwards(y: Array, add: tuple[Array] | None, relu: tuple[()] | None) -> None:
    """In place, but in passes of their own."""
    x = y.view()
    x.flags.writeable = False
    if add is not None:
        sums.forward(x, *add, y, Sums(y.size))
    if relu is not None:
        rectified.forward(x, y, Rectified(y.size))


def grad_x(w: Array, gy: Array, gx: Array, g: Geometry) -> None:
    """The pixels a stride apart form a phase; in a phase, the gradient is a correlation of gy of
    stride 1 with the taps that meet it, last tap first."""
    if g.tile:
        return winograd(gy, w, None, gx, g.groups, (2 - g.pt, 2 - g.pl), g.tile, swapped=True)
    if gx.size == 0:
        return
    w, g = depthwise(w, g, gy)
    if g.dy == g.dx == 1 < max(g.sy, g.sx):
        rows, columns = Stamp(g.oh, g.h, g.kh, g.sy, g.pt), Stamp(g.ow, g.w, g.kw, g.sx, g.pl)
        if g.kh % g.sy == g.kw % g.sx == 0 and g.sx * gx.itemsize >= TARGET.vector_bytes:
            return spread(gy, w, gx, g.groups, rows, columns)
        if fills_tiles(w.shape, rows, columns):
            return interleave(gy, w, gx, g.groups, rows, columns)
    fg, cg, taps = g.f // g.groups, g.c // g.groups, g.kh * g.kw
    swapped = w
    if fg > 1 and cg > 1:  # read in place, every weight of a channel would lie in another page
        swapped = np.empty((g.groups, cg, fg, taps), w.dtype)
        launch(_swap, g.c, w.size, w.reshape(g.groups, fg, cg, taps), swapped)
        swapped.flags.writeable = False  # as w is, or the kernel would be compiled again
    weights = Weights(fg * cg * taps, fg * taps, taps, g.kw, 1)
    for y in range(min(g.sy, g.h)):
        rows_of_phase = _phase(y, g.h, g.oh, g.kh, g.sy, g.dy, g.pt)
        for x in range(min(g.sx, g.w)):
            columns_of_phase = _phase(x, g.w, g.ow, g.kw, g.sx, g.dx, g.pl)
            if cg == 1 and planewise.suits(fg, rows_of_phase, columns_of_phase, gx.itemsize):
                return planewise.correlate(gy, w, None, gx, rows_of_phase, columns_of_phase)
            _correlate(gy, swapped, None, gx, g.groups, rows_of_phase, columns_of_phase, weights)


def _correlate(
    x: Array, w: Array, b: Array | None, y: Array, groups: int, rows: Axis, columns: Axis,
    weights: Weights, then: Then | None = None,
) -> None:  # fmt: skip
    by_filters = filter_vectors.suits(x, y, groups, rows, columns)
    kernels = filter_vectors if by_filters else correlate
    kernels.correlate(x, w, b, y, groups, rows, columns, weights, then)


def _axes(g: Geometry) -> tuple[Axis, Axis]:
    return Axis(g.h, g.oh, g.kh, g.sy, g.dy, g.pt), Axis(g.w, g.ow, g.kw, g.sx, g.dx, g.pl)


def _phase(first: int, size: int, outputs: int, k: int, s: int, d: int, pad: int) -> Axis:
    """The pixels ``first + s * u``, u = 0, 1, ...: which taps meet them, and at which outputs.

    Tap i meets pixel z at output p where ``p * s + i * d - pad = z``. The taps for which s divides
    ``z + pad - i * d`` are ``apart = s / gcd(s, d)`` apart, and from one to the next p falls by
    ``d / gcd(s, d)``.
    """
    apart = s // math.gcd(s, d)
    taps = [i for i in range(k) if (first + pad - i * d) % s == 0]
    if not taps:
        return Axis(outputs, -(-(size - first) // s), 0, 1, 1, 0, first, s)
    last = taps[-1]  # meets the smallest p
    return Axis(
        size=outputs,
        outputs=-(-(size - first) // s),
        taps=len(taps),
        stride=1,
        dilation=d * apart // s,
        pad=-((first + pad - last * d) // s),
        first=first,
        step=s,
        tap_first=last,
        tap_step=-apart,
    )


def grad_w(x: Array, gy: Array, gw: Array, g: Geometry) -> None:
    rows, columns = _axes(g)
    product = correlate_weights
    if wide.suits(rows, columns, x.itemsize):
        product = wide.grad_w
    elif planewise.suits(g.c // g.groups, rows, columns, x.itemsize):
        product = planewise.grad_w
    elif few_filters.suits(x, gy, g.groups, rows, columns):
        product = few_filters.grad_w
    product(x, gy, gw, g.groups, rows, columns)


def grad_b(gy: Array, gb: Array) -> None:
    launch(_grad_b, len(gb), gy.size, gy.reshape(*gy.shape[:2], gy.shape[2] * gy.shape[3]), gb)


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
