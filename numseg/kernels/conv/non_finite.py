"""What infinities and NaN do to a convolution, by its definition.

By definition the image is zero beyond its border, so that an infinite weight that meets the border
makes a NaN there; and an image's gradient has a term for each output and each tap, and no others.
Of finite numbers a product with zero may be left out, or be put in, and the algorithms do both. So
when one of them is done, some of its results are looked at: those that between them have all
weights (or all of gy) in their sums. If one is not finite, what has to do with such numbers is
computed again here, a term at a time, in float64.

Wherever sizes allow, a few results are enough to look at, so that it takes no time to speak of.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from numseg.kernels.conv.epilogue import Epilogue, apply_epilogue, prepared
from numseg.kernels.conv.problem import Axis, Correlation, Problem, WeightGradient
from numseg.kernels.machine.jit import kernel, rule
from numseg.kernels.machine.numbers import as_array, as_fields
from numseg.kernels.machine.threads import launch
from numseg.kernels.reductions.all_finite import all_finite
from numseg.typing import Array

WEIGHTS, OUTPUTS = 2**16, 1024
"""With more weights and fewer outputs of a filter, over all images, than these, it takes a while to
look at each weight's gradient. (By then they are no few filters, whose kernel makes NaN of
infinity beside it.)"""


class Sizes(NamedTuple):
    channels: int  # of x, in a group
    filters: int  # channels of y, in a group
    h: int
    w: int
    oh: int
    ow: int
    kh: int
    kw: int
    sy: int
    sx: int
    dy: int
    dx: int
    pt: int
    pl: int


@rule
def _on_image(offset, stride, size, outputs):
    """Of the outputs u with ``0 <= u * stride + offset < size`` the first, and the last plus 1."""
    first = max(-(offset // stride), 0)
    return first, max(min(-((offset - size) // stride), outputs), first)


@kernel()
def _forward(start, stop, x, w, bias, y, epilogue, filters, s):
    """A unit is a plane of y. Terms beyond the border are weights times zero."""
    s = as_fields(s, Sizes)
    sums = np.empty((s.oh, s.ow), np.float64)
    for unit in range(start, stop):
        n, f = unit // len(filters), filters[unit % len(filters)]
        sums[:] = bias[f]
        for c in range(s.channels):
            plane = x[n, f // s.filters * s.channels + c]
            for i in range(s.kh):
                p0, p1 = _on_image(i * s.dy - s.pt, s.sy, s.h, s.oh)
                for j in range(s.kw):
                    q0, q1 = _on_image(j * s.dx - s.pl, s.sx, s.w, s.ow)
                    weight = np.float64(w[f, c, i, j])
                    beyond = weight * 0.0
                    for p in range(s.oh):
                        inside = p0 <= p < p1
                        for q in range(s.ow):
                            if inside and q0 <= q < q1:
                                row, column = p * s.sy + i * s.dy, q * s.sx + j * s.dx
                                sums[p, q] += weight * plane[row - s.pt, column - s.pl]
                            else:
                                sums[p, q] += beyond
        y[n, f] = sums
        plane, first = s.oh * s.ow, (n * y.shape[1] + f) * s.oh * s.ow
        apply_epilogue(y[n, f].reshape(-1), 0, plane, first, 1, epilogue)


@kernel()
def _input_gradient(start, stop, w, gy, gx, channels, s):
    """A unit is a plane of gx."""
    s = as_fields(s, Sizes)
    sums = np.empty((s.h, s.w), np.float64)
    for unit in range(start, stop):
        n, channel = unit // len(channels), channels[unit % len(channels)]
        group, c = divmod(channel, s.channels)
        sums[:] = 0
        for f in range(group * s.filters, (group + 1) * s.filters):
            for i in range(s.kh):
                p0, p1 = _on_image(i * s.dy - s.pt, s.sy, s.h, s.oh)
                for j in range(s.kw):
                    q0, q1 = _on_image(j * s.dx - s.pl, s.sx, s.w, s.ow)
                    weight = np.float64(w[f, c, i, j])
                    for p in range(p0, p1):
                        for q in range(q0, q1):
                            row, column = p * s.sy + i * s.dy, q * s.sx + j * s.dx
                            sums[row - s.pt, column - s.pl] += weight * gy[n, f, p, q]
        gx[n, channel] = sums


@kernel()
def _weight_gradient(start, stop, x, gy, gw, filters, s):
    """A unit is a filter's weights for a channel. Terms beyond the border are gy times zero."""
    s = as_fields(s, Sizes)
    for unit in range(start, stop):
        k, c = divmod(unit, s.channels)
        f = filters[k]
        channel = f // s.filters * s.channels + c
        for i in range(s.kh):
            p0, p1 = _on_image(i * s.dy - s.pt, s.sy, s.h, s.oh)
            for j in range(s.kw):
                q0, q1 = _on_image(j * s.dx - s.pl, s.sx, s.w, s.ow)
                total = 0.0
                for n in range(len(x)):
                    for p in range(s.oh):
                        inside = p0 <= p < p1
                        for q in range(s.ow):
                            pixel = 0.0
                            if inside and q0 <= q < q1:
                                row, column = p * s.sy + i * s.dy, q * s.sx + j * s.dx
                                pixel = np.float64(x[n, channel, row - s.pt, column - s.pl])
                            total += np.float64(gy[n, f, p, q]) * pixel
                gw[f, c, i, j] = total


def forward(run: Correlation, p: Problem) -> Correlation:
    """``run``, and where weights are not finite, the filters that have them by the definition."""
    if not (_pads(p.rows) or _pads(p.columns)):
        return run
    sizes, u, v = _sizes(p), _whole_windows(p.rows), _whole_windows(p.columns)
    shown = 0 not in p.y_shape and len(u) > 0 and len(v) > 0
    plain = prepared(p.y_shape, p.itemsize)

    def checked(x: Array, w: Array, b: Array | None, y: Array, epilogue: Epilogue | None) -> None:
        run(x, w, b, y, epilogue)
        if shown:
            if epilogue is None:
                if np.isfinite(y[0, :, u[0], v[0]]).all():
                    return
            elif not epilogue.seen[0]:  # of relu, -inf is 0
                return
        if all_finite(w):
            return
        filters = np.flatnonzero(~np.isfinite(w).all((1, 2, 3)))
        bias = np.zeros(len(w), y.dtype) if b is None else b.view()
        bias.flags.writeable = False  # one kernel, whatever it is
        units, work = p.images * len(filters), len(filters) * (y[:, 0].size * w[0].size)
        launch(_forward, units, work, x, w, bias, y, epilogue or plain(), filters, sizes)

    return checked


def input_gradient(run: Correlation, p: Problem) -> Correlation:
    """``run``, and the channels of x that have weights that are not finite by the definition."""
    if p.taps == 1 and all(a.stride == 1 and a.outputs == a.size for a in (p.rows, p.columns)):
        return run  # each pixel meets each tap, and nothing else
    sizes, rows, columns = _sizes(p), _whole_phases(p.rows), _whole_phases(p.columns)
    shown = 0 not in p.x_shape and rows is not None and columns is not None

    def checked(
        gy: Array, w: Array, bias: Array | None, gx: Array, epilogue: Epilogue | None
    ) -> None:
        run(gy, w, bias, gx, epilogue)
        if shown and np.isfinite(gx[0, :, rows, columns]).all():
            return
        if all_finite(w):
            return
        bad = ~np.isfinite(w).all((2, 3)).reshape(p.groups, p.filters, p.channels)
        channels = np.flatnonzero(bad.any(1))
        units, work = p.images * len(channels), len(channels) * (gy[:, 0].size * w[:, 0].size)
        launch(_input_gradient, units, work, w, gy, gx, channels, sizes)

    return checked


def weight_gradient(run: WeightGradient, p: Problem) -> WeightGradient:
    """``run``, and the filters whose gradients are not finite by the definition."""
    sizes, i, j = _sizes(p), _taps_of_all(p.rows), _taps_of_all(p.columns)
    outputs = p.images * p.rows.outputs * p.columns.outputs
    many = p.groups == 1 and p.filters * p.filter_weights > WEIGHTS and outputs < OUTPUTS
    shown = many and len(i) > 0 and len(j) > 0
    hidden = _beyond(p.rows) or _beyond(p.columns)

    def checked(x: Array, gy: Array, gw: Array) -> None:
        run(x, gy, gw)
        if shown:
            if np.isfinite(gw[:, 0, i[0], j[0]]).all():
                return
        elif all_finite(gw) and not (hidden and not all_finite(gy)):
            return
        finite = np.isfinite(gw).all((1, 2, 3)) & np.isfinite(gy).all((0, 2, 3))
        filters = np.flatnonzero(~finite)
        units, work = len(filters) * p.channels, len(filters) * gy[:, 0].size * gw[0].size
        launch(_weight_gradient, units, work, x, gy, gw, filters, sizes)

    return checked


def whole_window(p: Problem) -> int:
    """A pixel of y, of a plane's first on, all of whose taps are on the image; -1 without any."""
    u, v = _whole_windows(p.rows), _whole_windows(p.columns)
    return u[0] * p.width + v[0] if len(u) > 0 and len(v) > 0 else -1


def _sizes(p: Problem) -> Array:
    (h, oh, kh, sy, dy, pt, *_), (w, ow, kw, sx, dx, pl, *_) = p.rows, p.columns
    return as_array(Sizes(p.channels, p.filters, h, w, oh, ow, kh, kw, sy, sx, dy, dx, pt, pl))


def _last(a: Axis) -> int:
    """The pixel that the last output meets at its last tap."""
    return (a.outputs - 1) * a.stride + (a.taps - 1) * a.dilation - a.pad


def _pads(a: Axis) -> bool:
    return a.pad > 0 or _last(a) >= a.size


def _whole_windows(a: Axis) -> range:
    """The outputs whose taps are all on the image."""
    last = (a.size - 1 + a.pad - (a.taps - 1) * a.dilation) // a.stride
    return range(-(-a.pad // a.stride), min(last + 1, a.outputs))


def _taps_of_all(a: Axis) -> range:
    """The taps that are on the image for every output."""
    last = (a.size - 1 + a.pad - (a.outputs - 1) * a.stride) // a.dilation
    return range(-(-a.pad // a.dilation), min(last + 1, a.taps))


def _whole_phases(a: Axis) -> slice | None:
    """As many pixels in turn as the stride, each of which meets outputs at all taps of its own."""
    first = max((a.taps - 1) * a.dilation - a.pad, 0)
    last = min((a.outputs - 1) * a.stride - a.pad, a.size - 1)
    return slice(first, first + a.stride) if first + a.stride - 1 <= last else None


def _beyond(a: Axis) -> bool:
    """Is there an output none of whose taps is on the image?"""
    u, i = np.arange(a.outputs)[:, None], np.arange(a.taps)
    pixels = u * a.stride + i * a.dilation - a.pad
    return not ((pixels >= 0) & (pixels < a.size)).any(1).all()
