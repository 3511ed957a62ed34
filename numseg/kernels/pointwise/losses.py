"""What the kernels of losses share. A unit is a block of neighbouring elements; inside, all is
float64: a loss has one rounding, that of the result."""

from __future__ import annotations

import numpy as np

from numseg.kernels.machine.jit import rule
from numseg.kernels.pointwise.elementary import exp, log1p, log_of_normal

BLOCK = 512
"""Elements of a unit: what a kernel keeps of them stays in the first-level cache."""

SMALLEST = float(np.finfo(np.float64).tiny)
"""The smallest number that log_of_normal takes besides 0."""


def blocks(size):
    return -(-size // BLOCK)


def store(y, value):
    """Round the value to the dtype of y; what is too large for it is infinite, without warning."""
    with np.errstate(over="ignore"):
        y[...] = value


@rule
def broadcast(values, first, out):
    """Fill ``out`` with ``values[first:]``, or with the only number that values has."""
    if len(values) == 1:
        out[:] = values[0]
    else:
        part = values[first : first + len(out)]
        for i in range(len(part)):
            out[i] = part[i]


@rule
def copy_into(values, out):
    """Fill ``out`` with the first of ``values``. (An assignment of arrays brings in the formatting
    of its error message, which takes 2 seconds to compile.)"""
    for i in range(len(out)):
        out[i] = values[i]


@rule
def times(factor, value):
    """The product, and 0 where the factor is 0, whatever the value."""
    return 0.0 if factor == 0 else factor * value


@rule
def sigmoids(x, up, down):
    """Fill ``up`` with sigmoid(x) and ``down`` with sigmoid(-x), each with its digits where it is
    small.

    For a block, not for a number: a rule as long as this becomes a call, and a loop that calls has
    no vectors.
    """
    for i in range(len(x)):
        score = np.float64(x[i])
        e = exp(-abs(score))
        large = 1.0 / (1.0 + e)
        small = e * large
        up[i] = large if score > 0 else small
        down[i] = small if score > 0 else large


@rule
def softpluses(x, up, down):
    """The same with softplus(x) and softplus(-x): ``log(1 + exp(x))`` is -log sigmoid(-x)."""
    for i in range(len(x)):
        up[i] = exp(-abs(np.float64(x[i])))
    for i in range(len(x)):
        up[i] = log1p(up[i])
    for i in range(len(x)):
        score, soft = np.float64(x[i]), up[i]
        up[i] = soft + (score if score > 0 else 0.0)
        down[i] = soft + (-score if score < 0 else 0.0)


@rule
def power(base, exponent):
    """``base**exponent`` for a base in [0, 1] and an exponent of at least 0; NaN stays."""
    return exp(exponent * log_of_normal(SMALLEST if base < SMALLEST else base))


@rule
def powers(base, exponent, out):
    """The same, number for number."""
    for i in range(len(base)):
        out[i] = exponent * log_of_normal(SMALLEST if base[i] < SMALLEST else base[i])
    for i in range(len(base)):
        out[i] = exp(out[i])
