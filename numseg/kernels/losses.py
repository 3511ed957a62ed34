"""What the kernels of losses share. A unit is a block of neighbouring elements; inside, all is
float64: a loss has one rounding, that of the result."""

from __future__ import annotations

import numpy as np

from numseg.kernels.elementary import exp, log, log1p
from numseg.kernels.jit import rule

BLOCK = 1024
"""Elements of a unit: what a kernel keeps of them stays in the first-level cache."""

SMALLEST = float(np.finfo(np.float64).tiny)
"""The smallest number that log takes besides 0."""


def blocks(size):
    return -(-size // BLOCK)


def store(y, value):
    """Round the value to the dtype of y; what is too large for it is infinite, without warning."""
    with np.errstate(over="ignore"):
        y[...] = value


@rule
def spread(values, first, out):
    """Fill ``out`` with ``values[first:]``, or with the only number that values has."""
    if len(values) == 1:
        out[:] = values[0]
    else:
        part = values[first : first + len(out)]
        for i in range(len(part)):
            out[i] = part[i]


@rule
def put(values, out):
    """Fill ``out`` with the first of ``values``. (An assignment of arrays brings in the formatting
    of its error message, which takes 2 seconds to compile.)"""
    for i in range(len(out)):
        out[i] = values[i]


@rule
def times(factor, value):
    """The product, and 0 where the factor is 0, whatever the value."""
    return 0.0 if factor == 0 else factor * value


@rule
def logistic(x):
    """sigmoid(x), sigmoid(-x), softplus(x), softplus(-x): each keeps its digits where it is small.

    ``softplus(x) = log(1 + exp(x))`` is -log sigmoid(-x).
    """
    x = np.float64(x)
    e = exp(-abs(x))
    large, soft = 1.0 / (1.0 + e), log1p(e)
    small = e * large
    up, down = soft + (x if x > 0 else 0.0), soft + (-x if x < 0 else 0.0)
    return (large if x > 0 else small), (small if x > 0 else large), up, down


@rule
def power(base, exponent):
    """``base**exponent`` for a base in [0, 1] and an exponent of at least 0; NaN stays."""
    return exp(exponent * log(SMALLEST if base < SMALLEST else base))
