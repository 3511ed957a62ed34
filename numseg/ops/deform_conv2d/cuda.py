"""deform_conv2d on CUDA.

Between the image and the result lie the *samples*, (N, C, taps, OH, OW): what each tap reads for
each channel and output pixel, times its factor. A convolution of 1 x 1 makes y of them, and its
gradients are those of the weights and of the samples. So what is left are places, samples, and
ways back from a sample. Images are taken a few at a time, so that samples take a bounded memory.

The gradient of x gathers: samples are sorted by the pixel at or before them, and a pixel adds what
the samples of four such pixels give it, in their order.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import int32

from numseg.cuda.launch import (
    Doubles,
    Ints,
    Reals,
    Split,
    add_up,
    kernel,
    launch,
    next_plane,
    quotient,
    thread,
)
from numseg.cuda.runtime import cuda, empty, simulated
from numseg.cuda.sorting import sorted_places
from numseg.ops.conv2d import cuda as conv2d
from numseg.ops.conv2d.geometry import Geometry as Convolution
from numseg.ops.deform_conv2d.geometry import Geometry
from numseg.ops.deform_conv2d.rules import neighbours

SAMPLES = 256 if simulated() else 2**26
"""That images taken at a time may have; one image may have more."""


class Images(NamedTuple):
    """Some of the images: the first one, and how many."""

    first: int
    number: int


class Places(NamedTuple):
    """Of each sample, in the order (images, offset groups, taps, pixels)."""

    pixels: Any
    """(rows or columns, samples): the pixel at or before; the size of the image if outside."""
    shares: Any
    """(6, samples): what neighbours of the row weigh, and 1 if that changes with the place; then
    of the column."""


@kernel
def _places(
    offset: Reals, exact: Doubles, pixels: Ints, shares: Reals, keys: Ints, g: Geometry, of: Images
) -> None:
    """A place is a sum in float64, so that a pixel does not change with its rounding."""
    pixel, plane = thread()
    outputs, taps = g.oh * g.ow, g.kh * g.kw
    if pixel >= outputs:
        return
    p = quotient(pixel, g.ow)
    q = int32(pixel - p * g.ow)
    while plane < of.number * g.offset_groups * taps:
        group = quotient(plane, taps)
        tap = int32(plane - group * taps)
        i = quotient(tap, g.kw)
        at = (2 * (of.first * g.offset_groups * taps + plane)) * outputs + pixel
        across = int32(q * g.sx - g.pl + (tap - i * g.kw) * g.dx)
        row = exact.dtype.type(p * g.sy - g.pt + i * g.dy) + offset[at]
        column = exact.dtype.type(across) + offset[at + outputs]
        up, above, below, rises = neighbours(row, g.h, g.clamped, g.flat_start)
        left, before, after, moves = neighbours(column, g.w, g.clamped, g.flat_start)
        sample, samples = plane * outputs + pixel, quotient(pixels.size, 2)
        pixels[sample] = up
        pixels[samples + sample] = left
        shares[sample] = above
        shares[samples + sample] = below
        shares[2 * samples + sample] = rises
        shares[3 * samples + sample] = before
        shares[4 * samples + sample] = after
        shares[5 * samples + sample] = moves
        if keys.size > 0:
            outside = up >= g.h or left >= g.w
            key = (group * (g.h + 1) + up + 1) * (g.w + 1) + left + 1
            keys[sample] = of.number * g.offset_groups * (g.h + 1) * (g.w + 1) if outside else key
        plane = next_plane(plane)


@cuda.jit(device=True)
def _pixel(x: Any, first: Any, row: Any, column: Any, g: Any) -> Any:
    """A pixel of the plane that begins at ``first``, or zero beyond the border."""
    if 0 <= row < g.h and 0 <= column < g.w:
        return x[first + row * g.w + column]
    return x.dtype.type(0)


@kernel
def _samples(
    x: Reals, pixels: Ints, shares: Reals, mask: Reals, out: Reals, g: Geometry, of: Images
) -> None:
    """A thread owns a sample of a channel."""
    pixel, plane = thread()
    outputs, taps = g.oh * g.ow, g.kh * g.kw
    if pixel >= outputs:
        return
    samples, each = quotient(pixels.size, 2), quotient(g.c, g.offset_groups)
    while plane < of.number * g.c * taps:
        channel = quotient(plane, taps)
        tap = int32(plane - channel * taps)
        sample = (quotient(channel, each) * taps + tap) * outputs + pixel
        up, left = pixels[sample], pixels[samples + sample]
        above, below = shares[sample], shares[samples + sample]
        before, after = shares[3 * samples + sample], shares[4 * samples + sample]
        first = (of.first * g.c + channel) * g.h * g.w
        total = above * before * _pixel(x, first, up, left, g)
        total += above * after * _pixel(x, first, up, left + 1, g)
        total += below * before * _pixel(x, first, up + 1, left, g)
        total += below * after * _pixel(x, first, up + 1, left + 1, g)
        if g.masked:
            total *= mask[of.first * g.offset_groups * taps * outputs + sample]
        out[plane * outputs + pixel] = total
        plane = next_plane(plane)


@kernel
def _grad_places(
    x: Reals,
    pixels: Ints,
    shares: Reals,
    mask: Reals,
    gsamples: Reals,
    goffset: Reals,
    gmask: Reals,
    g: Geometry,
    of: Images,
) -> None:
    """A thread owns a sample, and adds its four pixels over the channels. What has no numbers is
    not wanted."""
    pixel, plane = thread()
    outputs, taps = g.oh * g.ow, g.kh * g.kw
    if pixel >= outputs:
        return
    samples, each = quotient(pixels.size, 2), quotient(g.c, g.offset_groups)
    nothing = x.dtype.type(0)
    while plane < of.number * g.offset_groups * taps:
        group = quotient(plane, taps)
        tap = int32(plane - group * taps)
        sample = plane * outputs + pixel
        up, left = pixels[sample], pixels[samples + sample]
        a, b, c, d = nothing, nothing, nothing, nothing
        for k in range(each):
            channel = group * each + k
            first = (of.first * g.c + channel) * g.h * g.w
            share = gsamples[(channel * taps + tap) * outputs + pixel]
            a += share * _pixel(x, first, up, left, g)
            b += share * _pixel(x, first, up, left + 1, g)
            c += share * _pixel(x, first, up + 1, left, g)
            d += share * _pixel(x, first, up + 1, left + 1, g)
        above, below = shares[sample], shares[samples + sample]
        before, after = shares[3 * samples + sample], shares[4 * samples + sample]
        place = (of.first * g.offset_groups * taps + plane) * outputs + pixel
        if goffset.size > 0:
            factor = mask[place] if g.masked else x.dtype.type(1)
            rises, moves = shares[2 * samples + sample], shares[5 * samples + sample]
            at = place + (of.first * g.offset_groups * taps + plane) * outputs
            by_row = (c - a) * before + (d - b) * after
            by_column = (b - a) * above + (d - c) * below
            # adding 0 makes no -0 of a product with zero
            goffset[at] = nothing + factor * rises * by_row
            goffset[at + outputs] = nothing + factor * moves * by_column
        if gmask.size > 0:
            upper, lower = a * before + b * after, c * before + d * after
            gmask[place] = nothing + upper * above + lower * below
        plane = next_plane(plane)


@kernel
def _starts(keys: Ints, starts: Ints) -> None:
    """Where in the sorted keys each number comes first, or would: by bisection."""
    number, plane = thread()
    if number >= starts.size or plane > 0:
        return
    low, high = int32(0), int32(keys.size)
    while low < high:
        middle = quotient(low + high, 2)
        if keys[middle] < number:
            low = int32(middle + 1)
        else:
            high = middle
    starts[number] = low


@kernel
def _grad_x(
    starts: Ints,
    order: Ints,
    shares: Reals,
    mask: Reals,
    gsamples: Reals,
    gx: Reals,
    g: Geometry,
    of: Images,
) -> None:
    """A thread owns a pixel of a channel. Of the samples at a key the pixel is the one at or
    before, or the next, along the rows and the columns."""
    pixel, plane = thread()
    if pixel >= g.h * g.w:
        return
    row = quotient(pixel, g.w)
    column = int32(pixel - row * g.w)
    outputs, taps, samples = g.oh * g.ow, g.kh * g.kw, order.size
    each = quotient(g.c, g.offset_groups)
    while plane < of.number * g.c:
        group = quotient(plane, each)
        total = gx.dtype.type(0)
        for corner in range(4):
            down = int32(corner >> 1)
            right = int32(corner & 1)
            key = (group * (g.h + 1) + row + 1 - down) * (g.w + 1) + column + 1 - right
            place, end = starts[key], starts[key + 1]
            while place < end:
                sample = order[place]
                inside = int32(sample - group * taps * outputs)
                share = shares[down * samples + sample] * shares[(3 + right) * samples + sample]
                if g.masked:
                    share *= mask[of.first * g.offset_groups * taps * outputs + sample]
                total += share * gsamples[plane * taps * outputs + inside]
                place = int32(place + 1)
        gx[(of.first * g.c + plane) * g.h * g.w + pixel] = total
        plane = next_plane(plane)


def _convolution(g: Geometry, images: int) -> Convolution:
    """That of 1 x 1 by which samples become y: its channels are ours times taps."""
    c = g.c * g.kh * g.kw
    return Convolution(
        images, c, g.oh, g.ow, g.f, g.oh, g.ow, 1, 1, 1, 1, 0, 0, 1, 1, g.groups
    )  # fmt: skip


def _portions(g: Geometry) -> list[Images]:
    """All images, some at a time; by sizes alone."""
    many = max(SAMPLES // max(g.c * g.kh * g.kw * g.oh * g.ow, 1), 1)
    return [Images(first, min(many, g.n - first)) for first in range(0, g.n, many)]


def _part(array: Any, of: Images) -> Any:
    return array[of.first : of.first + of.number]


def _find_places(offset: Any, g: Geometry, of: Images, keys: Any = None) -> Places:
    samples = of.number * g.offset_groups * g.kh * g.kw * g.oh * g.ow
    pixels, shares = empty((2, samples), np.int32), empty((6, samples), offset.dtype)
    keys = empty((0,), np.int32) if keys is None else keys
    planes = of.number * g.offset_groups * g.kh * g.kw
    exact = empty((0,), np.float64)
    launch(_places, planes, g.oh * g.ow, offset, exact, pixels, shares, keys, g, of)
    return Places(pixels, shares)


def _sampled(x: Any, places: Places, mask: Any, g: Geometry, of: Images) -> Any:
    out = empty((of.number, g.c * g.kh * g.kw, g.oh, g.ow), x.dtype)
    launch(_samples, of.number * g.c * g.kh * g.kw, g.oh * g.ow, x, *places, mask, out, g, of)
    return out


def forward(x: Any, offset: Any, w: Any, b: Any, mask: Any, y: Any, g: Geometry) -> None:
    mask = empty((0,), x.dtype) if mask is None else mask
    for of in _portions(g):
        samples = _sampled(x, _find_places(offset, g, of), mask, g, of)
        conv2d.forward(samples, w, b, _part(y, of), _convolution(g, of.number))


def backward(
    x: Any,
    offset: Any,
    w: Any,
    mask: Any,
    gy: Any,
    gx: Any,
    goffset: Any,
    gw: Any,
    gb: Any,
    gmask: Any,
    g: Geometry,
) -> None:
    mask = empty((0,), x.dtype) if mask is None else mask
    if gb is not None:
        conv2d.grad_b(gy, gb, _convolution(g, g.n))
    if gw is not None:
        _grad_w(x, offset, mask, gy, gw, g)
    if gx is None and goffset is None and gmask is None:
        return
    none = empty((0,), x.dtype)
    goffset, gmask = (none if grad is None else grad for grad in (goffset, gmask))
    for of in _portions(g):
        samples = of.number * g.offset_groups * g.kh * g.kw * g.oh * g.ow
        keys = empty((0 if gx is None else samples,), np.int32)
        places = _find_places(offset, g, of, keys)
        gsamples = empty((of.number, g.c * g.kh * g.kw, g.oh, g.ow), x.dtype)
        conv2d.grad_x(w, _part(gy, of), gsamples, _convolution(g, of.number))
        if gx is not None:
            _gather(keys, places, mask, gsamples, gx, g, of)
        if goffset.size or gmask.size:
            planes = of.number * g.offset_groups * g.kh * g.kw
            arrays = x, *places, mask, gsamples, goffset, gmask
            launch(_grad_places, planes, g.oh * g.ow, *arrays, g, of)


def _gather(
    keys: Any, places: Places, mask: Any, gsamples: Any, gx: Any, g: Geometry, of: Images
) -> None:
    outside = of.number * g.offset_groups * (g.h + 1) * (g.w + 1)
    keys, order = sorted_places(keys, outside + 1)
    starts = empty((outside + 1,), np.int32)
    launch(_starts, 1, starts.size, keys, starts)
    arrays = starts, order, places.shares, mask, gsamples, gx
    launch(_grad_x, of.number * g.c, g.h * g.w, *arrays, g, of)


def _grad_w(x: Any, offset: Any, mask: Any, gy: Any, gw: Any, g: Geometry) -> None:
    """Of each portion of the images; then these are added up."""
    portions = _portions(g)
    parts = Split(len(portions), 1)
    sums = gw.reshape(1, gw.size) if parts.parts == 1 else empty((parts.parts, gw.size), gw.dtype)
    for number, of in enumerate(portions):
        samples = _sampled(x, _find_places(offset, g, of), mask, g, of)
        conv2d.grad_w(samples, _part(gy, of), sums[number], _convolution(g, of.number))
    add_up(sums, gw, parts)
