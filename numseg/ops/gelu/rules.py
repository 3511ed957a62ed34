"""gelu of one number, and its derivative, with their digits far below zero.

A product beside another one or in a branch is a ``product``: loops would differ in which of them
they fuse with an addition.
"""

import math

from numseg.kernels.machine.jit import rule
from numseg.kernels.pointwise.elementary import decay_of_sum, product, rounded_off
from numseg.kernels.pointwise.normal import FARTHEST, density, tail_ratio

PER_ROOT = 1 / math.sqrt(2 * math.pi)
# of 2 u = A x + B x**3, with what their float64 leaves of them
A, A_REST = 1.5957691216057308, -9.96930880911092e-17
B, B_REST = 0.07135481627260025, -6.175149918155315e-19


@rule
def value(x, approximate):
    one, a = type(x)(1), abs(x)
    if approximate:
        e = _decay_of_twice_u(a)
        y = x * ((e if x < 0 else one) / (one + e))
    else:
        e, ratio = density(a), tail_ratio(a)
        y = x * (ratio if x < 0 else one - e * ratio) * (e if x < 0 else one)
    return x if x != x else y  # of NaNs of two signs, vectors and tails multiply in another order


@rule
def slope(x, approximate):
    real = type(x)
    one, a = real(1), abs(x)
    if approximate:
        e = _decay_of_twice_u(a)
        larger = one / (one + e)
        near = min(a, real(FARTHEST))
        s = product(e, larger) if x < 0 else larger
        return s + x * (e * larger * larger * (real(A) + real(3 * B) * near * near))
    tail = product(density(a), tail_ratio(a) - product(a, real(PER_ROOT)))
    return tail if x < 0 else one - tail


@rule
def _decay_of_twice_u(a):
    """``exp(-2 u)`` for a >= 0: 2 u in two numbers, for exp shows what rounding takes from it."""
    real = type(a)
    a = real(FARTHEST) if a > real(FARTHEST) else a
    linear, cubic = real(A), real(B)
    square = product(a, a)
    part = product(cubic, square)
    low = rounded_off(cubic, square, part) + cubic * rounded_off(a, a, square)
    low += real((A - linear) + A_REST) + real((B - cubic) + B_REST) * square
    factor = linear + part
    low += part - (factor - linear) if part < linear else linear - (factor - part)
    z = product(a, factor)
    return decay_of_sum(-z, -(rounded_off(a, factor, z) + a * low))
