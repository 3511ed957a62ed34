"""Where along one axis a sample lies, and how much of which pixels it is.

All numbers are of the coordinate's type. Modes and paddings are numbers, as in the geometry. A
sample of "bilinear" is ``1 - part`` of pixel ``low`` and ``part`` of the next one; one of "bicubic"
has four, from the one before ``low`` on.
"""

import functools
from typing import Any

import numpy as np

from numseg.kernels.machine.jit import rule

part_of_loop: Any = functools.partial(rule, inline=True)
"""Loops over them are made of vectors only where nothing is called."""

FAR = 2**30
"""Pixels: what lies so far away is nowhere, where images are mirrored."""


@part_of_loop
def floor(place):
    """As an integer, by instructions that there are for vectors too."""
    low = np.int32(place)
    return low - (1 if type(place)(low) > place else 0)


@part_of_loop
def scale(coordinate, size, align):
    """Pixels that a step of 1 is."""
    real = type(coordinate)
    return real(size - 1 if align else size) / real(2)


@part_of_loop
def position(coordinate, size, align):
    """In pixels. NaN is at -1."""
    real = type(coordinate)
    if coordinate != coordinate:
        coordinate = real(-1)
    if align:
        return (coordinate + real(1)) / real(2) * real(size - 1)
    return ((coordinate + real(1)) * real(size) - real(1)) / real(2)


@rule
def remainder(place, period):
    return place - type(place)(floor(place / period)) * period


@rule
def reflected(place, size, align):
    """On the image, between whose borders it is thrown back and forth, and the sign of its slope.
    What is FAR is nowhere: at the border."""
    real = type(place)
    low = real(0) if align else real(-0.5)
    span = real(size - 1 if align else size)
    way = abs(place - low)
    if span == real(0) or not way < real(FAR):
        return real(0), real(0)
    sign = real(-1) if place < low else real(1)
    rest = remainder(way, real(2) * span)
    if rest >= span:
        return low + (real(2) * span - rest), -sign
    return low + rest, sign


@part_of_loop
def bounded(place, size, padding, align):
    """A place as the padding has it, and its slope: 0 where it is held at the border."""
    real = type(place)
    slope = real(1)
    if padding == 2:
        place, slope = reflected(place, size, align)
    if padding > 0:
        if place <= real(0):
            return real(0), real(0)
        if place >= real(size - 1):
            return real(size - 1), real(0)
    return place, slope


@part_of_loop
def nearest(place, size):
    """The pixel, of two as near the even one; ``size`` for one outside."""
    real = type(place)
    inside = real(-1) <= place <= real(size)
    place = place if inside else real(size)
    up = real(floor(place + real(0.5)))
    odd = up != real(2) * real(floor(up * real(0.5)))
    over = up - place
    pixel = up - (real(1) if over > real(0.5) or (over == real(0.5) and odd) else real(0))
    return floor(pixel if real(0) <= pixel else real(size))


@part_of_loop
def linear(place, size):
    """``low``, the part of the next pixel, and the weight of both: 0 outside of the image and the
    pixels around it."""
    real = type(place)
    inside = real(-1) <= place < real(size)
    place = place if inside else real(size)
    low = floor(place)
    return low, place - real(low), real(1) if inside else real(0)


@rule
def cubic(place, size, padding, align):
    """``low``, how far behind it the place is, and the weight of all four. What is a long way off
    the image is brought near it, where it is the same pixels."""
    real = type(place)
    if padding == 0:
        if not (real(-2) <= place < real(size + 1)):
            return size + 1, real(0), real(0)
    elif padding == 1:
        place = min(max(place, real(-3)), real(size + 2))
    else:
        period = real(max(2 * (size - 1), 1) if align else 2 * size)
        place = remainder(place, period) if abs(place) < real(FAR) else real(-1)
    low = floor(place)
    return low, place - real(low), real(1)


@rule
def pixel_of(i, size, padding, align):
    """The pixel that number i of an image that goes on is; itself where that goes on with zeros."""
    if padding == 0:
        return i
    if padding == 2:
        if align:
            period = max(2 * (size - 1), 1)
            i = i % period
            i = min(i, period - i)
        else:
            i = i % (2 * size)
            i = min(i, 2 * size - 1 - i)
    return min(max(i, 0), size - 1)


@rule
def cubic_weight(k, t):
    """Of the k-th of four pixels, for a place t behind the second; Keys' with a = -3/4."""
    real = type(t)
    a = real(-0.75)
    if k == 0:
        return a * t * (t - real(1)) * (t - real(1))
    if k == 3:
        return a * (real(1) - t) * t * t
    if k == 2:
        t = real(1) - t
    return ((a + real(2)) * t - (a + real(3))) * t * t + real(1)


@rule
def cubic_slope(k, t):
    """Its derivative."""
    real = type(t)
    a = real(-0.75)
    if k == 0:
        return a * (t - real(1)) * (real(3) * t - real(1))
    if k == 3:
        return a * t * (real(2) - real(3) * t)
    sign = real(1)
    if k == 2:
        t, sign = real(1) - t, real(-1)
    return sign * (real(3) * (a + real(2)) * t - real(2) * (a + real(3))) * t


@part_of_loop
def settled(coordinate, size, mode, padding, align):
    """Where a sample lies, as the padding has it, and what slopes by the place are to be times to
    be those by the coordinate. ("bicubic" pads pixels instead.)"""
    place, steps = position(coordinate, size, align), scale(coordinate, size, align)
    if mode == 2:
        return place, steps
    place, slope = bounded(place, size, padding, align)
    return place, slope * steps


@part_of_loop
def spread(place, size, mode, padding, align):
    """``low``, ``part``, and the weight of all pixels of a sample."""
    real = type(place)
    if mode == 2:
        return cubic(place, size, padding, align)
    if mode == 1:
        return nearest(place, size), real(0), real(1)
    return linear(place, size)


@part_of_loop
def tap(k, low, part, weight, size, mode, padding, align):
    """The k-th pixel of a sample, perhaps outside, and its weight."""
    if mode == 2:
        pixel = pixel_of(low - 1 + k, size, padding, align)
        return pixel, weight * cubic_weight(k, part)
    return low + k, part if k == 1 else weight - part


@part_of_loop
def tap_slope(k, part, slope, mode):
    """The derivative of its weight."""
    if mode == 2:
        return slope * cubic_slope(k, part)
    return slope if k == 1 else -slope
