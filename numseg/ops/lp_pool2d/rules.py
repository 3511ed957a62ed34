"""Powers and roots: the Euclidean norm, which most want, without pow."""

import math

from numseg.kernels.machine.jit import rule


@rule
def power(x, p, absolute):
    """What is summed up."""
    base = abs(x) if absolute else x
    return base * base if p == type(p)(2) else base**p


@rule
def inner_slope(x, p, absolute):
    """The derivative of what is summed up, divided by p."""
    base, real = abs(x) if absolute else x, type(x)
    size = base if p == type(p)(2) else base ** (p - type(p)(1))
    if not absolute:
        return size
    return size * (real(1) if x > real(0) else (real(-1) if x < real(0) else x))


@rule
def root(s, p):
    return math.sqrt(s) if p == type(p)(2) else s ** (type(p)(1) / p)


@rule
def outer_slope(s, p):
    """The derivative of the root of a sum, times p; 0 where the sum is 0, unless p is 1."""
    one, real = type(p)(1), type(s)
    if s == real(0) and p != one:
        return real(0)
    return real(1) / math.sqrt(s) if p == type(p)(2) else s ** (one / p - one)


@rule
def span(o, s, k, before, size, after):
    """Along one axis: the first tap on the image, one past the last, and how many taps are within
    the padded image."""
    start = o * s - before
    end = min(start + k, size + after)
    return max(start, 0), min(end, size), end - start
