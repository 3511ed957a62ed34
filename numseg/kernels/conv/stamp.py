"""A transposed convolution along one axis: where a pixel spreads to."""

from __future__ import annotations

from typing import NamedTuple

from numseg.kernels.conv.problem import Axis, Problem
from numseg.kernels.machine.integers import ceil_div


class Stamp(NamedTuple):
    """Along one axis: pixel p spreads to outputs ``p * stride + i - pad``, ``i < taps``."""

    size: int
    """Pixels."""
    outputs: int
    taps: int
    stride: int
    pad: int

    @property
    def overlap(self) -> int:
        """How many pixels spread over a block, at most."""
        return ceil_div(self.taps, self.stride)

    @property
    def axis(self) -> Axis:
        """The blocks as outputs of a convolution of stride 1."""
        blocks = ceil_div(self.outputs + self.pad, self.stride)
        return Axis(self.size, blocks, self.overlap, 1, 1, self.overlap - 1)


def stamps(p: Problem) -> tuple[Stamp, Stamp] | None:
    """Along rows and columns, from gy to gx: only where there are strides, and no dilation."""
    if not p.rows.dilation == p.columns.dilation == 1 < max(p.rows.stride, p.columns.stride):
        return None
    rows, columns = (
        Stamp(axis.outputs, axis.size, axis.taps, axis.stride, axis.pad)
        for axis in (p.rows, p.columns)
    )
    return rows, columns
