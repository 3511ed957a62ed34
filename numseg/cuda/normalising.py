"""What batch_norm, group_norm and their relatives are made of on CUDA.

Statistics are those of sets of numbers (:mod:`numseg.cuda.sets`): a channel of a batch, or a group
of channels of an image.

A statistic is summed up in pairs of numbers (:mod:`numseg.cuda.pairs`), from differences to the
set's first number, which are exact: so x is read once for mean and variance, and both are right to
the last digit also where the mean is many standard deviations from 0. They are put together in
float64, a few operations for each set. Then a thread owns numbers of the result.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import int32

from numseg.cuda import launch as launching
from numseg.cuda.launch import (
    Double,
    Doubles,
    Reals,
    given,
    kernel,
    launch,
    next_plane,
    quotient,
    thread,
)
from numseg.cuda.pairs import added, added_square, difference, keep, rounded, total_of
from numseg.cuda.runtime import cuda, empty
from numseg.cuda.sets import Sets, set_and_part, sums_of
from numseg.kernels.pointwise.elementary import product, sqrt

ELEMENTS = 4
"""Numbers of a plane that a thread owns, so that it finds out once whose plane it is."""


class Layout(NamedTuple):
    """Numbers of x, by planes: a plane is a channel of an image, or, if ``whole``, an image."""

    planes: int
    pixels: int
    columns: int
    """Threads of a plane."""
    whole: bool
    c: int
    size: int
    per: int
    """Channels that have one statistic."""
    by_image: bool
    """Each image has statistics of its own."""


def layout_of(n: int, c: int, size: int, per: int, by_image: bool) -> Layout:
    """Of (n, c, size) numbers."""
    whole = size < launching.WARP and c * size <= launching.LIMIT
    planes, pixels = (n, c * size) if whole else (n * c, size)
    return Layout(planes, pixels, -(-pixels // ELEMENTS), whole, c, size, per, by_image)


@kernel
def _moments(x: Reals, addends: Reals, g: Sets) -> None:
    """Sums of differences to the set's first number, and of their squares."""
    place, plane = thread()
    if place >= (g.parts if g.along else g.sets):
        return
    while plane < (g.sets if g.along else g.parts):
        here, part = set_and_part(place, plane, g)
        about = reference_point(x, here, g.inner)
        high = low = square = rest = x.dtype.type(0)
        block = quotient(part, g.inner)
        i = int32(part - block * g.inner)
        while block < g.outer:
            d, error = difference(x[(block * g.sets + here) * g.inner + i], about)
            high, low = added(high, low, d)
            low = low + error
            square, rest = added_square(square, rest, d, error)
            block, i = int32(block + g.blocks), int32(i + g.rest)
            if i >= g.inner:
                block, i = int32(block + 1), int32(i - g.inner)
        size = g.parts * g.sets
        keep(addends, 0, part * g.sets + here, size, high, low)
        keep(addends, 1, part * g.sets + here, size, square, rest)
        plane = next_plane(plane)


@cuda.jit(device=True)
def reference_point(x: Any, here: Any, inner: Any) -> Any:
    """The set's first number; 0 where that is not finite."""
    first = x[here * inner]
    return first if first - first == x.dtype.type(0) else x.dtype.type(0)


@cuda.jit(device=True)
def mean_and_variance(x: Any, sums: Any, here: Any, g: Any) -> Any:
    """Of a set, in float64; 0 of nothing."""
    if g.outer * g.inner == 0:
        return np.float64(0), np.float64(0)
    m = np.float64(g.outer) * np.float64(g.inner)
    total, squares = total_of(sums, 0, g.sets, here), total_of(sums, 1, g.sets, here)
    var = (squares - total * (total / m)) / m
    about = np.float64(reference_point(x, here, g.inner))
    return about + total / m, np.float64(0) if var < 0 else var


@cuda.jit(device=True)
def publish(stats: Any, count: Any, here: Any, mean: Any, var: Any, eps: Any) -> None:
    """What the kernels below read: the mean as a pair, and ``1 / sqrt(var + eps)``."""
    real = stats.dtype.type
    high = real(mean)
    stats[here] = high
    stats[count + here] = real(mean - np.float64(high)) if mean - mean == 0 else real(0)
    stats[2 * count + here] = real(1 / sqrt(var + eps))


@kernel
def _statistics(
    x: Reals, sums: Reals, mean: Doubles, var: Doubles, stats: Reals, eps: Double, g: Sets
) -> None:
    here, _ = thread()
    if here < g.sets:
        mean[here], var[here] = mean_and_variance(x, sums, here, g)
        publish(stats, g.sets, here, mean[here], var[here], eps)


@kernel
def _published(mean: Doubles, var: Doubles, stats: Reals, eps: Double) -> None:
    here, _ = thread()
    if here < mean.size:
        publish(stats, mean.size, here, mean[here], var[here], eps)


@kernel
def _constants(
    mean: Reals, var: Reals, weight: Reals, bias: Reals, norms: Reals, eps: Double
) -> None:
    c, _ = thread()
    if c < mean.size:
        real = norms.dtype.type
        scale = real(1 / sqrt(np.float64(var[c]) + eps))
        norms[c] = mean[c]
        norms[mean.size + c] = weight[c] * scale if weight.size > 0 else scale
        norms[2 * mean.size + c] = bias[c] if bias.size > 0 else real(0)


@kernel
def _normalise(x: Reals, stats: Reals, weight: Reals, bias: Reals, y: Reals, g: Layout) -> None:
    column, plane = thread()
    if column >= g.columns:
        return
    count = quotient(stats.size, 3)
    while plane < g.planes:
        pixel, known = column, int32(-1)
        high = low = scale = shift = x.dtype.type(0)
        while pixel < g.pixels:
            channel, here = channel_and_set(pixel, plane, g)
            if channel != known:
                known = channel
                high, low, scale = stats[here], stats[count + here], stats[2 * count + here]
                scale = weight[channel] * scale if weight.size > 0 else scale
                shift = bias[channel] if bias.size > 0 else x.dtype.type(0)
            i = plane * g.pixels + pixel
            y[i] = ((x[i] - high) - low) * scale + shift
            pixel = int32(pixel + g.columns)
        plane = next_plane(plane)


@cuda.jit(device=True)
def channel_and_set(pixel: Any, plane: Any, g: Any) -> Any:
    """Of a number of x: its channel, and whose statistics it has."""
    image, channel = plane, quotient(pixel, g.size)
    if not g.whole:
        image = quotient(plane, g.c)
        channel = int32(plane - image * g.c)
    here = quotient(channel, g.per)
    return channel, int32(image * quotient(g.c, g.per) + here) if g.by_image else here


@kernel
def _products(x: Reals, gy: Reals, stats: Reals, weight: Reals, addends: Reals, g: Sets) -> None:
    """Sums of grad_y, and of grad_y times the normalised x; with ``period``, of weighted grad_y."""
    place, plane = thread()
    if place >= (g.parts if g.along else g.sets):
        return
    count = quotient(stats.size, 3)
    while plane < (g.sets if g.along else g.parts):
        here, part = set_and_part(place, plane, g)
        of_g = of_g_low = of_gz = of_gz_low = x.dtype.type(0)
        block = quotient(part, g.inner)
        i = int32(part - block * g.inner)
        own, known = quotient(here, g.per), int32(-1)
        center = rest = rstd = x.dtype.type(0)
        weights = 0
        if g.period > 0:
            weights = (here - quotient(here, g.period) * g.period) * g.inner
        while block < g.outer:
            whose = int32(own + block * g.step)
            if whose != known:
                known = whose
                center, rest, rstd = stats[whose], stats[count + whose], stats[2 * count + whose]
            at = (block * g.sets + here) * g.inner + i
            grad = gy[at]
            if g.period > 0 and weight.size > 0:
                grad = product(grad, weight[weights + i])
            of_g, of_g_low = added(of_g, of_g_low, grad)
            of_gz, of_gz_low = added(of_gz, of_gz_low, grad * (((x[at] - center) - rest) * rstd))
            block, i = int32(block + g.blocks), int32(i + g.rest)
            if i >= g.inner:
                block, i = int32(block + 1), int32(i - g.inner)
        size = g.parts * g.sets
        keep(addends, 0, part * g.sets + here, size, of_g, of_g_low)
        keep(addends, 1, part * g.sets + here, size, of_gz, of_gz_low)
        plane = next_plane(plane)


class Channels(NamedTuple):
    """What has a statistic: a group of so many channels, so many groups, and so many numbers."""

    groups: int
    channels: int
    numbers: int


@kernel
def _pulls(
    sums: Reals, weight: Reals, var: Doubles, pulls: Reals, eps: Double, g: Channels
) -> None:
    """What is subtracted from each set's gradients: their mean, and a multiple of x."""
    here, _ = thread()
    if here >= var.size:
        return
    mean = slope = np.float64(0)
    first = (here - quotient(here, g.groups) * g.groups) * g.channels
    for c in range(g.channels):
        scale = np.float64(weight[first + c]) if weight.size > 0 else np.float64(1)
        mean += total_of(sums, 0, var.size * g.channels, here * g.channels + c) * scale
        slope += total_of(sums, 1, var.size * g.channels, here * g.channels + c) * scale
    m = np.float64(g.numbers)
    pulls[here] = mean / m
    pulls[var.size + here] = slope / m / sqrt(var[here] + eps)


@kernel
def _over_images(sums: Reals, gw: Reals, gb: Reals, images: int, c: int) -> None:
    """The gradients of weight and bias, from sums of each channel of each image."""
    channel, _ = thread()
    if channel >= c:
        return
    size = images * c
    of_g = of_g_low = of_gz = of_gz_low = sums.dtype.type(0)
    for n in range(images):
        i = n * c + channel
        of_g, of_g_low = added(of_g, of_g_low, sums[i])
        of_g_low = of_g_low + sums[size + i]
        of_gz, of_gz_low = added(of_gz, of_gz_low, sums[2 * size + i])
        of_gz_low = of_gz_low + sums[3 * size + i]
    if gb.size > 0:
        gb[channel] = rounded(of_g, of_g_low)
    if gw.size > 0:
        gw[channel] = rounded(of_gz, of_gz_low)


@kernel
def _project(
    x: Reals, gy: Reals, stats: Reals, weight: Reals, pulls: Reals, gx: Reals, g: Layout
) -> None:
    """The gradient of x. The product with the weight is rounded, as in the sums, so that of a
    single number, minus its own mean, nothing is left."""
    column, plane = thread()
    if column >= g.columns:
        return
    count = quotient(stats.size, 3)
    while plane < g.planes:
        pixel, known = column, int32(-1)
        high = low = rstd = mean = slope = x.dtype.type(0)
        scale = x.dtype.type(1)
        while pixel < g.pixels:
            channel, here = channel_and_set(pixel, plane, g)
            if channel != known:
                known = channel
                high, low, rstd = stats[here], stats[count + here], stats[2 * count + here]
                scale = weight[channel] if weight.size > 0 else x.dtype.type(1)
                if pulls.size > 0:
                    mean, slope = pulls[here], pulls[count + here]
            i = plane * g.pixels + pixel
            grad = product(gy[i], scale)
            if pulls.size > 0:
                grad = (grad - mean) - ((x[i] - high) - low) * slope
            gx[i] = grad * rstd
            pixel = int32(pixel + g.columns)
        plane = next_plane(plane)


def statistics(x: Any, mean: Any, var: Any, eps: float, g: Sets) -> Any:
    """Fill ``mean`` and ``var``, and return what :func:`normalise` wants."""
    stats = empty((3 * g.sets,), x.dtype)
    sums = sums_of(_moments, 2, g, x.dtype, x)
    launch(_statistics, 1, g.sets, x, sums, mean, var, stats, eps, g)
    return stats


def published(mean: Any, var: Any, eps: float, dtype: Any) -> Any:
    """What :func:`normalise` wants, of statistics that are known."""
    stats = empty((3 * mean.size,), dtype)
    launch(_published, 1, mean.size, mean, var, stats, eps)
    return stats


def constants(mean: Any, var: Any, weight: Any, bias: Any, eps: float) -> Any:
    """Three numbers for each channel that is normalised by statistics which are known: what
    :func:`normalise` subtracts, multiplies by, and adds."""
    norms = empty((3 * mean.size,), mean.dtype)
    arrays = mean, var, given(weight, mean.dtype), given(bias, mean.dtype), norms
    launch(_constants, 1, mean.size, *arrays, Double(eps))
    return norms


def normalise(x: Any, stats: Any, weight: Any, bias: Any, y: Any, g: Layout) -> None:
    """Fill ``y``. ``stats`` is what :func:`statistics` and :func:`published` return."""
    arrays = x, stats, given(weight, x.dtype), given(bias, x.dtype), y
    launch(_normalise, g.planes, g.columns, *arrays, g)


def products(x: Any, gy: Any, stats: Any, weight: Any, g: Sets) -> Any:
    """Sums of grad_y and of grad_y times the normalised x."""
    return sums_of(_products, 2, g, x.dtype, x, gy, stats, given(weight, x.dtype))


def pulls_of(sums: Any, weight: Any, var: Any, eps: float, g: Channels) -> Any:
    """What is subtracted from gradients."""
    pulls = empty((2 * var.size,), sums.dtype)
    launch(_pulls, 1, var.size, sums, given(weight, sums.dtype), var, pulls, eps, g)
    return pulls


def over_images(sums: Any, gw: Any, gb: Any, images: int, c: int) -> None:
    """Fill the gradients of weight and bias that are wanted."""
    if gw is not None or gb is not None:
        arrays = sums, given(gw, sums.dtype), given(gb, sums.dtype)
        launch(_over_images, 1, c, *arrays, images, c)


def project(x: Any, gy: Any, stats: Any, weight: Any, pulls: Any, gx: Any, g: Layout) -> None:
    """Fill the gradient of x. Statistics that x has no part in have no ``pulls``."""
    arrays = x, gy, stats, given(weight, x.dtype), given(pulls, x.dtype), gx
    launch(_project, g.planes, g.columns, *arrays, g)
