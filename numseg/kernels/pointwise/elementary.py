"""exp and log for CPU kernels, written so that a loop over them becomes vector instructions.

``math.exp`` in a kernel is a call of the C library for each number, which takes several times as
long as NumPy's vectorised ``np.exp``. These are straight-line code: argument reduction, a series,
and an exponent put together from bits. Both are within 1 ulp where the processor has fused
multiply-add, within 2 elsewhere; tests/kernels/test_elementary.py measures them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from numseg.kernels.machine.jit import rule


def exp(x: Any) -> Any:
    """``e**x``: 0 far below zero, infinity far above; NaN stays."""
    return np.exp(x)


def decay(x: Any) -> Any:
    """``exp(x)`` for x <= 0, to the bit, in fewer steps; NaN stays."""
    return np.exp(x)


def log(x: Any) -> Any:
    """The natural logarithm of a normal number, 0 or infinity; NaN below zero, and NaN stays."""
    return np.log(x)


def sqrt(x: Any) -> Any:
    """The square root, correctly rounded; NaN below zero, and NaN stays."""
    return np.sqrt(x)


def wide(x: Any) -> Any:
    """The number in float64, for a rule that rounds once; on CUDA in its own dtype."""
    return np.float64(x)


def product(a: Any, b: Any) -> Any:
    """``a * b``, rounded before anything is added: never part of a fused multiply-add."""
    return a * b


@rule
def log1p(e):
    """``log(1 + e)`` for e in [0, 1], in float64: the digits that the sum lost are put back."""
    u = 1.0 + e
    return log(u) + (e - (u - 1.0)) / u


def _exp_for(real, integer, fraction_bits, ln2_high, ln2_low, terms, falling):
    """``exp(x) = 2**k exp(r)``, with ``k = round(x / ln 2)``, so that ``abs(r) <= ln(2) / 2``.

    Adding 1.5 * 2**fraction_bits rounds to an integer and leaves it in the low bits of the sum.
    ln 2 is subtracted in two parts, the first with so few bits that k times it is exact. exp(r) is
    its Taylor series. 2**k is multiplied in two halves, as it may be out of range where the result
    is not; if only ``falling`` x <= 0 are asked for, one of them can be a constant.
    """
    info = np.finfo(real)
    lowest = real((info.minexp - info.nmant - 2) * math.log(2))  # exp of it is 0
    highest = real((info.maxexp + 1) * math.log(2))  # infinity
    per_ln2, ln2_high, ln2_low = real(1 / math.log(2)), real(ln2_high), real(ln2_low)
    rounder = real(1.5 * 2**fraction_bits)
    zero, bias = rounder.view(integer), integer(info.maxexp - 1)
    first, *others = (real(1 / math.factorial(k)) for k in range(terms, -1, -1))
    rest = tuple(others)
    one, shift = integer(1), integer(fraction_bits)
    raised, small = integer(bias + info.maxexp // 2), real(2.0 ** -(info.maxexp // 2))

    def vector_exp(x):
        x = lowest if x < lowest else x
        if not falling:
            x = highest if x > highest else x
        t = x * per_ln2 + rounder
        k = integer(real(t).view(integer) - zero)
        k_real = t - rounder
        r = (x - k_real * ln2_high) - k_real * ln2_low
        series = first
        for coefficient in rest:
            series = series * r + coefficient
        if falling:
            return series * integer((k + raised) << shift).view(real) * small
        half = integer(k >> one)
        scale = integer((half + bias) << shift).view(real)
        return series * scale * integer((k - half + bias) << shift).view(real)

    return vector_exp


def _log_for(real, integer, fraction_bits, ln2_high, ln2_low, terms):
    """``log(x) = k ln 2 + log(1 + t)``, with k such that ``sqrt(1/2) <= 1 + t < sqrt(2)``.

    With ``s = t / (2 + t)``, ``log(1 + t) = 2 artanh(s) = 2 s + s R`` for the series
    ``R = 2 (s**2 / 3 + s**4 / 5 + ...)``, and ``2 s = t - t**2 / 2 + s t**2 / 2``: its only large
    term, t, is exact.
    """
    ln2_high, ln2_low = real(ln2_high), real(ln2_low)
    zero, half, two, infinity = real(0), real(0.5), real(2), real(np.inf)
    lowest, shift = real(math.sqrt(0.5)).view(integer), integer(fraction_bits)
    first, *others = (real(2 / (2 * k + 1)) for k in range(terms, 0, -1))
    rest = tuple(others)

    def vector_log(x):
        bits = real(x).view(integer)
        k = integer(integer(bits - lowest) >> shift)
        t = integer(bits - (k << shift)).view(real) - real(1)
        s = t / (two + t)
        square = s * s
        series = first
        for coefficient in rest:
            series = series * square + coefficient
        below = half * t * t
        k_real = real(k)
        y = k_real * ln2_high - ((below - (s * (below + series * square) + k_real * ln2_low)) - t)
        y = y if x < infinity else x  # also where x is NaN
        return y if x > zero else (-infinity if x == zero else x * real(np.nan))

    return vector_log


# ln 2 in two parts: the first has so few bits that the product with any k is exact.
_SINGLE = np.float32, np.int32, 23, 0.693115234375, 3.1946184945309415e-05
_DOUBLE = np.float64, np.int64, 52, 0.6931471803691238, 1.9082149292705877e-10
_LOG = {types.float32: _log_for(*_SINGLE, terms=4), types.float64: _log_for(*_DOUBLE, terms=9)}
_EXP, _DECAY = (
    {
        types.float32: _exp_for(*_SINGLE, terms=7, falling=falling),
        types.float64: _exp_for(*_DOUBLE, terms=13, falling=falling),
    }
    for falling in (False, True)
)


@overload(wide)
def _choose_wide(x):
    return lambda x: np.float64(x)


@overload(product, jit_options={"fastmath": False})  # or it would be as its caller is
def _choose_product(a, b):
    return lambda a, b: a * b


@overload(sqrt)
def _choose_sqrt(x):
    return lambda x: math.sqrt(x)


@overload(exp, jit_options={"fastmath": {"contract"}})
def _choose_exp(x):
    return _EXP.get(x)


@overload(decay, jit_options={"fastmath": {"contract"}})
def _choose_decay(x):
    return _DECAY.get(x)


@overload(log, jit_options={"fastmath": {"contract"}})
def _choose_log(x):
    return _LOG.get(x)
