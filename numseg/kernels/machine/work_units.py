"""How work is cut into units: by sizes alone, so that nothing depends on the number of threads."""

from __future__ import annotations

from numseg.kernels.machine.integers import ceil_div

ENOUGH_UNITS = 16
"""Work is cut further until there are so many units, for the threads to share."""

EVEN_UNITS = 8
"""Threads share units evenly where so many divide their number."""


def unevenness(units: int) -> float:
    """By how much it takes longer for threads to share so many units than to share a multiple."""
    return ceil_div(units, EVEN_UNITS) * EVEN_UNITS / units
