"""The gradient of a convolution with respect to its bias: sums over images and pixels."""

from __future__ import annotations

from numseg.kernels.machine.jit import kernel
from numseg.kernels.machine.threads import launch
from numseg.kernels.reductions.sums import row_sum
from numseg.typing import Array


@kernel()
def _bias_gradient(start, stop, gy, gb):
    """A unit is a filter."""
    for f in range(start, stop):
        total = 0.0
        for n in range(gy.shape[0]):
            total += row_sum(gy[n, f])
        gb[f] = total


def bias_gradient(gy: Array, gb: Array) -> None:
    """Fill gb, (F,), from gy, (N, F, OH, OW)."""
    planes = gy.reshape(*gy.shape[:2], gy.shape[2] * gy.shape[3])
    launch(_bias_gradient, len(gb), gy.size, planes, gb)
