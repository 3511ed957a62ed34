"""Start values of parameters. Each is a function of the shape and a random generator."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from numseg import checks
from numseg.errors import ArgumentError
from numseg.typing import Array, Pair, Shape


def zeros(shape: Shape, rng: np.random.Generator) -> Array:
    """Biases, running means."""
    return np.zeros(shape)


def ones(shape: Shape, rng: np.random.Generator) -> Array:
    """Scales, running variances."""
    return np.ones(shape)


def he_normal(shape: Shape, rng: np.random.Generator, fan_in: int | None = None) -> Array:
    """Normal with standard deviation ``sqrt(2 / fan_in)``: keeps the variance through relu.

    ``fan_in`` is how many numbers each output adds up: by default the product of all axes but the
    first, which is right for a convolution's weight (F, C, kh, kw) and a linear map's (F, C). A
    transposed convolution whose kernel is as large as its stride adds up C.

    Source: He et al., "Delving Deep into Rectifiers", 2015.
    """
    if fan_in is None:
        fan_in = math.prod(shape[1:])
    return rng.standard_normal(shape) * math.sqrt(2 / max(fan_in, 1))


def bilinear_filter(kernel_size: Pair, dtype: Any = np.float64) -> Array:
    """The stamp with which a transposed convolution interpolates: a tent, ``1 - |i - c| / f``.

    ``f = (k + 1) // 2`` is the stride it is meant for, and the centre c is ``f - 1`` for an odd k,
    ``f - 1/2`` for an even one. Where stamps a stride f apart overlap, their weights add up to 1.

    Parameters
    ----------
    kernel_size : int or (rows, columns)
    dtype : dtype

    Returns
    -------
    array, (rows, columns)

    Notes
    -----
    A transposed convolution of ``stride=f`` by ``k = 2 f - f % 2, padding=f // 2`` is
    ``upsample_bilinear2d(scale_factor=f)``, but at the borders, where that repeats the image and
    this one adds zeros. By ``k = 2 f - 1, padding=f - 1`` it is, everywhere,
    ``align_corners=True`` of ``f (H - 1) + 1`` rows.

    Source: Long, Shelhamer, Darrell, "Fully Convolutional Networks", 2015; Caffe's
    ``BilinearFiller``.

    Examples
    --------
    >>> from numseg.graph import bilinear_filter
    >>> bilinear_filter((1, 4))
    array([[0.25, 0.75, 0.75, 0.25]])
    """
    rows, columns = (_tent(k) for k in checks.pair("kernel_size", kernel_size, minimum=1))
    return np.outer(rows, columns).astype(dtype)


def _tent(k: int) -> Array:
    f = (k + 1) // 2
    centre = f - 1 if k % 2 else f - 0.5
    return 1 - np.abs(np.arange(k) - centre) / f


def bilinear_weights(
    channels: int, kernel_size: Pair, groups: int = 1, dtype: Any = np.float64
) -> Array:
    """``conv_transpose2d``'s weight that interpolates each channel by itself.

    Parameters
    ----------
    channels : int
    kernel_size : int or (rows, columns)
    groups : int
        1: FCN's dense weight, zero but on its diagonal; ``channels``: one filter for each.
    dtype : dtype

    Returns
    -------
    array, (channels, channels / groups, rows, columns)
    """
    channels = checks.integer("channels", channels, 0)
    if channels % checks.integer("groups", groups, 1) != 0:
        raise ArgumentError(f"groups = {groups} does not divide {channels} channels")
    among = np.arange(channels)[:, None] % (channels // groups) == np.arange(channels // groups)
    return among[..., None, None] * bilinear_filter(kernel_size, dtype)


def bilinear(shape: Shape, rng: np.random.Generator) -> Array:
    """The start value of a transposed convolution that is to interpolate at first."""
    channels, per_group, *kernel = shape
    if per_group < 1 or channels % per_group != 0:
        raise ArgumentError(f"shape {shape} is not (channels, channels / groups, rows, columns)")
    return bilinear_weights(channels, kernel, groups=channels // per_group)
