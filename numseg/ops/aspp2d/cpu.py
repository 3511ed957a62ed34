"""What aspp2d has of its own on the CPU: sums of planes, and planes of one value."""

from __future__ import annotations

from numseg.kernels.machine.jit import kernel
from numseg.kernels.machine.threads import launch
from numseg.kernels.reductions.sums import row_sum
from numseg.typing import Array


@kernel()
def _total(start, stop, x, share, totals):
    """The sum of each plane, times a share."""
    for plane in range(start, stop):
        totals[plane] = row_sum(x[plane]) * share


@kernel()
def _spread(start, stop, values, share, y):
    """To each pixel of a plane its value, times a share."""
    for plane in range(start, stop):
        y[plane] = values[plane] * share


def total(x: Array, totals: Array, share: float) -> None:
    n, c, h, w = x.shape
    launch(_total, n * c, x.size, x.reshape(n * c, h * w), share, totals.reshape(-1))


def spread(values: Array, y: Array, share: float) -> None:
    n, c, h, w = y.shape
    launch(_spread, n * c, y.size, values.reshape(-1), share, y.reshape(n * c, h * w))
