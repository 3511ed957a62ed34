"""Start values of parameters. Each is a function of the shape and a random generator."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from numseg import checks
from numseg.errors import ArgumentError
from numseg.graph.node import Init
from numseg.typing import Array, Pair, Shape


def zeros(shape: Shape, rng: np.random.Generator) -> Array:
    """Biases, running means."""
    return np.zeros(shape)


def ones(shape: Shape, rng: np.random.Generator) -> Array:
    """Scales, running variances."""
    return np.ones(shape)


def constant(shape: Shape, rng: np.random.Generator, value: float) -> Array:
    """One number everywhere."""
    return np.full(shape, checks.real("value", value))


def normal(shape: Shape, rng: np.random.Generator, std: float = 0.01) -> Array:
    """Normal with a given standard deviation."""
    return rng.standard_normal(shape) * checks.real("std", std, minimum=0)


def he_normal(
    shape: Shape, rng: np.random.Generator, fan_in: float | None = None, mode: str = "fan_in"
) -> Array:
    """Normal with standard deviation ``sqrt(2 / fan_in)``: keeps the variance through relu.

    ``fan_in`` is how many numbers each output adds up: by default the product of all axes but the
    first, which is right for a convolution's weight (F, C, kh, kw) and a linear map's (F, C). A
    transposed convolution whose kernel is as large as its stride adds up C.

    ``mode="fan_out"`` counts the outputs that each number goes into instead, ``F * kh * kw``: it
    keeps the variance of gradients.

    Source: He et al., "Delving Deep into Rectifiers", 2015; ``torch.nn.init.kaiming_normal_``.
    """
    return rng.standard_normal(shape) * math.sqrt(2 / _fan(shape, fan_in, mode))


def he_uniform(
    shape: Shape,
    rng: np.random.Generator,
    fan_in: float | None = None,
    mode: str = "fan_in",
    a: float = 0.0,
) -> Array:
    """Uniform in ``[-b, b]``, ``b = sqrt(6 / ((1 + a**2) * fan_in))``, as he_normal for uniform.

    ``a`` is the slope of the leaky_relu that follows. Source: ``torch.nn.init.kaiming_uniform_``.
    """
    slope = checks.real("a", a)
    return _uniform(shape, rng, 6 / ((1 + slope**2) * _fan(shape, fan_in, mode)))


def xavier_normal(shape: Shape, rng: np.random.Generator, fan_in: float | None = None) -> Array:
    """Normal with standard deviation ``sqrt(2 / (fan_in + fan_out))``.

    Source: Glorot and Bengio, 2010; ``torch.nn.init.xavier_normal_``.
    """
    return rng.standard_normal(shape) * math.sqrt(2 / _both_fans(shape, fan_in))


def xavier_uniform(shape: Shape, rng: np.random.Generator, fan_in: float | None = None) -> Array:
    """Uniform in ``[-b, b]``, ``b = sqrt(6 / (fan_in + fan_out))``: xavier_normal's variance."""
    return _uniform(shape, rng, 6 / _both_fans(shape, fan_in))


def torch_uniform(shape: Shape, rng: np.random.Generator, fan_in: float | None = None) -> Array:
    """Uniform in ``[-b, b]``, ``b = sqrt(1 / fan_in)``: what PyTorch's ``Conv2d`` and ``Linear``
    start their weights with, and, given the weight's ``fan_in``, their biases."""
    return _uniform(shape, rng, 1 / _fan(shape, fan_in, "fan_in"))


def _fan(shape: Shape, fan_in: float | None, mode: str) -> float:
    """How many numbers an output adds up, or outputs a number goes into; at least 1."""
    if checks.choice("mode", mode, ("fan_in", "fan_out")) == "fan_out":
        return max(math.prod(shape[:1] + shape[2:]), 1)
    return max(math.prod(shape[1:]) if fan_in is None else fan_in, 1)


def _both_fans(shape: Shape, fan_in: float | None) -> float:
    return _fan(shape, fan_in, "fan_in") + _fan(shape, None, "fan_out")


def _uniform(shape: Shape, rng: np.random.Generator, square: float) -> Array:
    """Uniform in ``[-b, b]``, where ``b**2`` is ``square``."""
    return rng.uniform(-1, 1, shape) * math.sqrt(square)


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


INITS: dict[str, Callable[..., Array]] = {
    "zeros": zeros,
    "ones": ones,
    "constant": constant,
    "normal": normal,
    "he_normal": he_normal,
    "he_uniform": he_uniform,
    "xavier_normal": xavier_normal,
    "xavier_uniform": xavier_uniform,
    "torch_uniform": torch_uniform,
    "bilinear": bilinear,
    "kaiming_normal": he_normal,  # PyTorch's names
    "kaiming_uniform": he_uniform,
    "glorot_normal": xavier_normal,  # TensorFlow's and Keras's
    "glorot_uniform": xavier_uniform,
}
"""Start values by name."""


def initialiser(init: Any, fan_in: float | None = None) -> Init:
    """A parameter's start value from its name (:data:`INITS`), a function, or a pair of one of them
    and its arguments: ``"xavier_uniform"``, ``("normal", {"std": 0.02})``.

    ``fan_in`` is handed to those that ask for it.
    """
    named, arguments = init if isinstance(init, tuple) else (init, {})
    if isinstance(named, str):
        checks.choice("init", named, tuple(INITS))
        named = INITS[named]
    if fan_in is not None and "fan_in" in inspect.signature(named).parameters:
        arguments = {"fan_in": fan_in, **arguments}
    return functools.partial(named, **arguments) if arguments else named
