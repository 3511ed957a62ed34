"""Sums along a row, in float64.

The order of a sum is what keeps a compiler from using vector instructions, so these functions
alone allow ``reassoc``: the order is chosen when they are compiled, for the processor they are
compiled for. From then on it depends on nothing but the length of the row, not on the number of
threads and not on where the row lies in memory: none of these loops stores anything, so there
is no choice left to make at run time.
"""

from __future__ import annotations

import functools

from numseg.kernels.jit import rule

in_compiled_order = functools.partial(rule, fastmath={"contract", "reassoc"})


@in_compiled_order
def row_sum(row):
    total = 0.0
    for i in range(len(row)):
        total += row[i]
    return total


@in_compiled_order
def row_squares(row, center):
    """The sum of ``(row - center)**2``."""
    total = 0.0
    for i in range(len(row)):
        d = row[i] - center
        total += d * d
    return total


@in_compiled_order
def row_product(row, center, other):
    """The sum of ``(row - center) * other``."""
    total = 0.0
    for i in range(len(row)):
        total += (row[i] - center) * other[i]
    return total


@in_compiled_order
def row_triple(row, other, third):
    """The sum of ``row * other * third``."""
    total = 0.0
    for i in range(len(row)):
        total += row[i] * third[i] * other[i]
    return total
