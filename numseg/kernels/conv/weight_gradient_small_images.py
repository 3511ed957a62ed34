"""The gradient of a convolution's weights as one product of matrices, where images are small.

(Or where there is one image, a 1 x 1 kernel, and many weights.)

    gw[f, (c, i, j)] = sum over p of  gy[f, p] * taps[(c, i, j), p]

The pixels p of all images are the steps, and few; so the sums of :mod:`weight_gradient`, which go
on in memory from band to band and are transposed in the end, would cost more than they add up. Here
im2col makes ``taps`` (of a 1 x 1 kernel it is x), which has no more numbers than gw.
"""

from __future__ import annotations

import numpy as np

from numseg.kernels.conv.matmul import matmul
from numseg.kernels.conv.packing import copy_strided_rows, on_image
from numseg.kernels.conv.pixel_panels import is_product
from numseg.kernels.conv.problem import Axis, Problem, WeightGradient
from numseg.kernels.machine.jit import kernel
from numseg.kernels.machine.numbers import as_array, as_fields
from numseg.kernels.machine.threads import launch
from numseg.typing import Array

MOST_PIXELS = 256
"""Of all images together. With more, sums are long enough where filters are vectors."""

MANY_FILTERS, MANY_WEIGHTS = 512, 512 * 512


@kernel()
def _im2col(start, stop, x, taps, rows, columns, sizes):
    """A unit is a channel: a line of ``taps``, which is zeros, for each of its taps. Images follow
    each other in a line."""
    rows, columns = as_fields(rows, Axis), as_fields(columns, Axis)
    images, channels = sizes[0], sizes[1]
    (h, oh, kh, sy, dy, top), (w, ow, kw, sx, dx, left) = rows[:6], columns[:6]
    for unit in range(start, stop):
        for tap in range(kh * kw):
            i, j = divmod(tap, kw)
            row, column = i * dy - top, j * dx - left
            first, last = on_image(row, sy, h, oh)
            a, b = on_image(column, sx, w, ow)
            if last <= first or b <= a:
                continue
            for image in range(images):
                line = ((unit * kh * kw + tap) * images + image) * oh * ow
                source = (image * channels + unit) * h * w
                source += (first * sy + row) * w + a * sx + column
                copy_strided_rows(sx, x, source, sy * w, taps, line + first * ow + a, ow,
                                  last - first, b - a)  # fmt: skip


def suits(p: Problem) -> bool:
    """One group, of few pixels, for which im2col takes no more memory than the result; or one image
    of a plain product with so many weights that their sums had better stay in blocks."""
    many = p.filters >= MANY_FILTERS and p.filters * p.channels >= MANY_WEIGHTS
    pixels = p.images * p.rows.outputs * p.columns.outputs
    few = 0 < pixels <= min(p.filters, MOST_PIXELS)
    return p.groups == 1 and (few or (many and p.images == 1 and is_product(p)))


def weight_gradient(p: Problem) -> WeightGradient:
    rows, columns = p.rows, p.columns
    outputs, lines = rows.outputs * columns.outputs, p.channels * p.taps
    pixels = p.images * outputs
    as_it_is = is_product(p) and p.images == 1
    numbers = as_array(rows), as_array(columns), as_array((p.images, p.channels))

    def run(x: Array, gy: Array, gw: Array) -> None:
        if as_it_is:
            taps = x.reshape(lines, pixels)
        else:
            taps = np.zeros((lines, pixels), x.dtype)
            launch(_im2col, p.channels, taps.size, x.reshape(-1), taps.reshape(-1), *numbers)
        images = gy.reshape(p.images, p.filters, outputs).swapaxes(0, 1)
        by_filter = np.ascontiguousarray(images).reshape(p.filters, pixels)
        matmul(by_filter, taps.T, gw.reshape(p.filters, lines))

    return run
