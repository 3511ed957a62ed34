"""Start values of parameters. Each is a function of the shape and a random generator."""

from __future__ import annotations

import math

import numpy as np

from numseg.typing import Array, Shape


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
