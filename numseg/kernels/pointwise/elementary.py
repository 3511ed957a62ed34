"""exp, log, expm1 and tanh for CPU kernels, so that a loop over them becomes vector instructions.

``math.exp`` in a kernel is a call of the C library for each number, which takes several times as
long as NumPy's vectorised ``np.exp``. These are straight-line code: argument reduction, a series,
and an exponent put together from bits. exp, log and expm1 are within 1 ulp where the processor has
fused multiply-add, within 2 elsewhere, tanh and log1p within 2; tests/kernels/test_elementary.py
measures them.
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


def decay_of_sum(x: Any, low: Any) -> Any:
    """``exp(x + low)`` for x <= 0 and a ``low`` of at most an ulp of x: what x was rounded by."""
    return np.exp(x) * (1 + low)


def log(x: Any) -> Any:
    """The natural logarithm; -infinity at 0, NaN below zero, and NaN stays."""
    return np.log(x)


def sqrt(x: Any) -> Any:
    """The square root, correctly rounded; NaN below zero, and NaN stays."""
    return np.sqrt(x)


def floor(x: Any) -> Any:
    """The largest whole number that is not above x, as a float."""
    return np.floor(x)


def log_of_normal(x: Any) -> Any:
    """``log(x)``, to the bit, in fewer steps; of a subnormal number it is nonsense."""
    return np.log(x)


def expm1(x: Any) -> Any:
    """``exp(x) - 1`` for x <= 0, without cancellation; +0 at both zeros, NaN stays."""
    return np.expm1(x)


def tanh(x: Any) -> Any:
    """The hyperbolic tangent; the sign of a zero and NaN stay."""
    return np.tanh(x)


def wide(x: Any) -> Any:
    """The number in float64, for a rule that rounds once; on CUDA in its own dtype."""
    return np.float64(x)


def product(a: Any, b: Any) -> Any:
    """``a * b``, rounded before anything is added: never part of a fused multiply-add."""
    return a * b


def rounded_off(a: Any, b: Any, rounded: Any) -> Any:
    """``a * b - rounded`` for ``rounded = product(a, b)``, without an error that matters."""
    return type(a)(np.longdouble(a) * b - rounded)


@rule
def log1p(e):
    """``log(1 + e)`` for e in [0, 1]: the digits that the sum lost are put back."""
    one = type(e)(1)
    u = one + e
    return log_of_normal(u) + (e - (u - one)) / u


def _reduction_for(real, integer, fraction_bits, ln2_high, ln2_low):
    """``x = k ln 2 + r`` with ``k = round(x / ln 2)``, so that ``abs(r) <= ln(2) / 2``.

    Adding 1.5 * 2**fraction_bits rounds to an integer and leaves it in the low bits of the sum.
    ln 2 is subtracted in two parts, the first with so few bits that k times it is exact: r is the
    difference of the two numbers that are returned after k.
    """
    per_ln2, ln2_high, ln2_low = real(1 / math.log(2)), real(ln2_high), real(ln2_low)
    rounder = real(1.5 * 2**fraction_bits)
    zero = rounder.view(integer)

    def reduce(x):
        t = x * per_ln2 + rounder
        k_real = t - rounder
        k = integer(real(t).view(integer) - zero)
        return k, x - k_real * ln2_high, k_real * ln2_low

    return rule(reduce, {"contract"}, inline=True)


def _exp_for(real, integer, fraction_bits, ln2_high, ln2_low, terms, falling):
    """``exp(x + low) = 2**k exp(r + low)``, with x reduced to r; ``low`` is 0 or tiny.

    exp(r) is its Taylor series. 2**k is multiplied in two halves, as it may be out of range where
    the result is not; if only ``falling`` x <= 0 are asked for, one of them can be a constant.
    Where the result is 0 it is chosen, not computed: a product that underflows takes some
    processors a hundred cycles.
    """
    info = np.finfo(real)
    lowest = real((info.minexp - info.nmant - 2) * math.log(2))  # exp of it is 0
    highest = real((info.maxexp + 1) * math.log(2))  # infinity
    reduce = _reduction_for(real, integer, fraction_bits, ln2_high, ln2_low)
    bias = integer(info.maxexp - 1)
    first, *others = (real(1 / math.factorial(k)) for k in range(terms, -1, -1))
    rest = tuple(others)
    zero, one, shift = real(0), integer(1), integer(fraction_bits)
    raised, small = integer(bias + info.maxexp // 2), real(2.0 ** -(info.maxexp // 2))

    def exp_of_sum(x, low):
        x = lowest if x < lowest else x
        vanished = x <= lowest
        if not falling:
            x = highest if x > highest else x
        k, high, subtracted = reduce(x)
        r = (high - subtracted) + low
        series = first
        for coefficient in rest:
            series = series * r + coefficient
        if falling:
            y = series * integer((k + raised) << shift).view(real)
            last = small
        else:
            half = integer(k >> one)
            scale = integer((half + bias) << shift).view(real)
            y = series * scale
            last = integer((k - half + bias) << shift).view(real)
        y *= real(1) if vanished else last
        return zero if vanished else y

    return rule(exp_of_sum, {"contract"}, inline=True)


def _expm1_for(real, integer, fraction_bits, ln2_high, ln2_low, terms):
    """``expm1(x) = 2**k ((1 - 2**-k) + r + q)``, with x <= 0 reduced to r, ``q = expm1(r) - r``.

    ``1 - 2**-k`` is 0, or larger than r, and exact where it matters: what its sum with r loses is
    found, and added to q, with what r lost. The function gives exp(x), too.
    """
    lowest = real(-(fraction_bits + 4) * math.log(2))  # expm1 of it is -1, tanh of half of it too
    reduce = _reduction_for(real, integer, fraction_bits, ln2_high, ln2_low)
    first, *others = (real(1 / math.factorial(k)) for k in range(terms, 1, -1))
    rest, one = tuple(others), real(1)
    bias, shift = integer(np.finfo(real).maxexp - 1), integer(fraction_bits)

    def expm1_and_exp(x):
        k, high, low = reduce(lowest if x < lowest else x)
        r = high - low
        series = first
        for coefficient in rest:
            series = series * r + coefficient
        q = r * r * series + ((high - r) - low)
        whole = one - integer((bias - k) << shift).view(real)
        u = whole + r
        scale = integer((k + bias) << shift).view(real)
        return (u + ((r - (u - whole)) + q)) * scale, (one + (r + q)) * scale

    return rule(expm1_and_exp, {"contract"}, inline=True)


def _tanh_for(real, integer, *parts, **options):
    """``tanh(x) = -t / (1 + e)`` for small x >= 0, with ``e = exp(-2 x)`` and ``t = e - 1``.

    For others it is ``1 - 2 e / (1 + e)``, where the error of e is small. The sign is put back.
    """
    zero, third, one, two = map(real, (0, 1 / 3, 1, 2))
    sign = integer(np.iinfo(integer).min)
    expm1_and_exp = _expm1_for(real, integer, *parts, **options)

    def vector_tanh(x):
        size = abs(x)
        t, e = expm1_and_exp(-two * size)
        small = e > third  # tanh(x) < 1 / 2
        quotient = (-t if small else two * e) / (one + e)
        y = zero + quotient if small else one - quotient
        return integer(real(y).view(integer) | (real(x).view(integer) & sign)).view(real)

    return vector_tanh


def _rounded_off_for(real, integer, fraction_bits):
    """Dekker (1971): numbers are split into halves, whose products are exact."""
    mask = integer(-(2 ** (fraction_bits // 2 + 1)))

    def exact_rest(a, b, rounded):
        a_high = integer(real(a).view(integer) & mask).view(real)
        b_high = integer(real(b).view(integer) & mask).view(real)
        a_low, b_low = a - a_high, b - b_high
        return ((a_high * b_high - rounded) + a_high * b_low + a_low * b_high) + a_low * b_low

    return exact_rest


def _log_for(real, integer, fraction_bits, ln2_high, ln2_low, terms, subnormal):
    """``log(x) = k ln 2 + log(1 + t)``, with k such that ``sqrt(1/2) <= 1 + t < sqrt(2)``.

    With ``s = t / (2 + t)``, ``log(1 + t) = 2 artanh(s) = 2 s + s R`` for the series
    ``R = 2 (s**2 / 3 + s**4 / 5 + ...)``, and ``2 s = t - t**2 / 2 + s t**2 / 2``: its only large
    term, t, is exact. With ``subnormal``, such an x is raised to a normal number first.
    """
    ln2_high, ln2_low = real(ln2_high), real(ln2_low)
    zero, half, two, infinity = real(0), real(0.5), real(2), real(np.inf)
    lowest, shift = real(math.sqrt(0.5)).view(integer), integer(fraction_bits)
    first, *others = (real(2 / (2 * k + 1)) for k in range(terms, 0, -1))
    rest = tuple(others)
    tiny, up, raised = real(np.finfo(real).tiny), real(2.0**fraction_bits), integer(fraction_bits)

    def vector_log(x):
        low = subnormal and x < tiny
        bits = real(x * up if low else x).view(integer)
        k = integer(integer(bits - lowest) >> shift)
        t = integer(bits - (k << shift)).view(real) - real(1)
        s = t / (two + t)
        square = s * s
        series = first
        for coefficient in rest:
            series = series * square + coefficient
        below = half * t * t
        k_real = real(integer(k - raised) if low else k)
        y = k_real * ln2_high - ((below - (s * (below + series * square) + k_real * ln2_low)) - t)
        y = y if x < infinity else x  # also where x is NaN
        return y if x > zero else (-infinity if x == zero else x * real(np.nan))

    return vector_log


# ln 2 in two parts: the first has so few bits that the product with any k is exact.
_SINGLE = np.float32, np.int32, 23, 0.693115234375, 3.1946184945309415e-05
_DOUBLE = np.float64, np.int64, 52, 0.6931471803691238, 1.9082149292705877e-10


def _both(make, single, double, **options):
    """What is made for float32 and for float64, with so many terms."""
    return {
        types.float32: make(*_SINGLE, terms=single, **options),
        types.float64: make(*_DOUBLE, terms=double, **options),
    }


_LOG = _both(_log_for, 4, 9, subnormal=True)
_LOG_OF_NORMAL = _both(_log_for, 4, 9, subnormal=False)
_EXP = _both(_exp_for, 7, 13, falling=False)
_DECAY = _both(_exp_for, 7, 13, falling=True)
_EXPM1 = _both(_expm1_for, 8, 14)
_TANH = _both(_tanh_for, 8, 14)
_ROUNDED_OFF = {
    types.float32: _rounded_off_for(*_SINGLE[:3]),
    types.float64: _rounded_off_for(*_DOUBLE[:3]),
}
CONTRACT: Any = {"fastmath": {"contract"}}
"""For overloads: as kernels that call them are compiled."""


def _alone(made, x):
    """``exp_of_sum`` with nothing to add: -0.0, which changes no number."""
    exp_of_sum = made.get(x)
    return exp_of_sum and (lambda x: exp_of_sum(x, type(x)(-0.0)))


@overload(wide)
def _choose_wide(x):
    return lambda x: np.float64(x)


@overload(product, jit_options={"fastmath": False})  # or it would be as its caller is
def _choose_product(a, b):
    return lambda a, b: a * b


@overload(sqrt)
def _choose_sqrt(x):
    return lambda x: math.sqrt(x)


@overload(floor)
def _choose_floor(x):
    return lambda x: np.floor(x)


@overload(rounded_off, jit_options=CONTRACT)
def _choose_rounded_off(a, b, rounded):
    return _ROUNDED_OFF.get(a)


@overload(exp, jit_options=CONTRACT)
def _choose_exp(x):
    return _alone(_EXP, x)


@overload(decay, jit_options=CONTRACT)
def _choose_decay(x):
    return _alone(_DECAY, x)


@overload(decay_of_sum, jit_options=CONTRACT)
def _choose_decay_of_sum(x, low):
    exp_of_sum = _DECAY.get(x)
    return exp_of_sum and (lambda x, low: exp_of_sum(x, low))


@overload(log, jit_options=CONTRACT)
def _choose_log(x):
    return _LOG.get(x)


@overload(log_of_normal, jit_options=CONTRACT)
def _choose_log_of_normal(x):
    return _LOG_OF_NORMAL.get(x)


@overload(expm1, jit_options=CONTRACT)
def _choose_expm1(x):
    expm1_and_exp = _EXPM1.get(x)
    return expm1_and_exp and (lambda x: expm1_and_exp(x)[0])


@overload(tanh, jit_options=CONTRACT)
def _choose_tanh(x):
    return _TANH.get(x)
