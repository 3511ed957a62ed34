"""A convolution by its sizes: what algorithms are chosen by, and planned from."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np

from numseg.kernels.conv.epilogue import Epilogue
from numseg.kernels.machine.integers import ceil_div
from numseg.typing import Array


class Axis(NamedTuple):
    """One axis: output ``first + step * u`` meets pixels ``u * stride + i * dilation - pad``."""

    size: int
    """Pixels of the image."""
    outputs: int
    """``u < outputs``."""
    taps: int
    """``i < taps``."""
    stride: int
    dilation: int
    pad: int
    first: int = 0
    step: int = 1
    tap_first: int = 0
    """Tap i is entry ``tap_first + tap_step * i`` of the kernel."""
    tap_step: int = 1

    @property
    def met(self) -> Axis:
        """The same without the taps that miss the image, whatever the output: all but one in three
        of a kernel that is dilated by more than the image has pixels."""
        last = (self.outputs - 1) * self.stride - self.pad
        begin = min(max(ceil_div(-last, self.dilation), 0), self.taps)
        end = min(max(ceil_div(self.size + self.pad, self.dilation), begin), self.taps)
        return self._replace(
            taps=end - begin,
            pad=self.pad - begin * self.dilation,
            tap_first=self.tap_first + self.tap_step * begin,
        )


class Problem(NamedTuple):
    """``y[n, f] = bias[f] + sum over c of`` the taps ``w[f, c]`` on ``x[n, c]``, by groups.

    The same sizes serve the gradients: that of x is the sum transposed, from gy to gx.
    """

    images: int
    groups: int
    channels: int
    """Of x, in a group."""
    filters: int
    """Channels of y, in a group."""
    rows: Axis
    columns: Axis
    height: int
    """Of y's planes, of which the axes may name but some outputs."""
    width: int
    kernel: tuple[int, int]
    """Of w's planes, of which the axes may name but some taps."""
    itemsize: int
    tile: int = 0
    """Outputs in a row of a Winograd tile; 0 without Winograd."""

    @property
    def met(self) -> Problem:
        """The same sums without terms that are zero in all of them."""
        rows, columns = self.rows.met, self.columns.met
        # one tap that misses is easier than none; Winograd's tiles are of 3 x 3 taps
        keep = 0 in (rows.taps, columns.taps) or self.tile > 0
        return self if keep else self._replace(rows=rows, columns=columns)

    @property
    def x_shape(self) -> tuple[int, int, int, int]:
        return self.images, self.groups * self.channels, self.rows.size, self.columns.size

    @property
    def y_shape(self) -> tuple[int, int, int, int]:
        return self.images, self.groups * self.filters, self.height, self.width

    @property
    def taps(self) -> int:
        """Of a channel."""
        return self.rows.taps * self.columns.taps

    @property
    def filter_weights(self) -> int:
        """From a filter's weights to the next filter's."""
        return self.channels * self.kernel[0] * self.kernel[1]

    def weight_offsets(self) -> Array:
        """``offset[i, c, j]`` of a tap's weight, from a filter's first."""
        rows, columns, (kh, kw) = self.rows, self.columns, self.kernel
        i, c, j = np.ix_(range(rows.taps), range(self.channels), range(columns.taps))
        i, j = rows.tap_first + rows.tap_step * i, columns.tap_first + columns.tap_step * j
        offsets: Array = (c * kh + i) * kw + j
        return offsets


Correlation: TypeAlias = "Callable[[Array, Array, Array | None, Array, Epilogue | None], None]"
"""``run(x, w, bias, y, epilogue)`` fills y, or the outputs of y that the axes name. As a gradient
of x: ``run(gy, w, None, gx, None)``."""

WeightGradient: TypeAlias = "Callable[[Array, Array, Array], None]"
"""``run(x, gy, gw)`` fills gw."""
