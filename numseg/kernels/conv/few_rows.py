"""Products of a few rows with a matrix that is read once: a linear layer of one picture, or a
1 x 1 convolution of images of one pixel.

    out[n, f] = start[f] + sum over c of  w[f, c] * x[n, c]

With so few rows memory is the limit, and weights lie along the sum. A unit owns a vector of
filters: squares of its weights are turned in registers, so that a vector holds those of as many
filters at one c, and the micro-kernel takes a number of x a step. The sum is in order of c, as in
:mod:`numseg.kernels.conv.matmul` and :mod:`numseg.kernels.conv.pixel_panels`: the bits are theirs.
"""

from __future__ import annotations

import numpy as np

from numseg.kernels.conv.epilogue import Epilogue, apply_epilogue
from numseg.kernels.conv.problem import Correlation, Problem
from numseg.kernels.machine.integers import ceil_div, multiples
from numseg.kernels.machine.jit import kernel
from numseg.kernels.machine.micro_kernel import micro_kernel
from numseg.kernels.machine.scratch import aligned, clear
from numseg.kernels.machine.target import TARGET
from numseg.kernels.machine.threads import launch
from numseg.kernels.machine.transpose import transpose
from numseg.typing import Array

VECTORS = 1
"""Of filters in a unit. With more, weights come in shorter runs, and from memory a third slower."""

DEPTH = 128
"""Steps of a panel: with x, it takes half of the first-level cache."""

MOST_ROWS = 4
"""For more, weights are worth a panel of x that they share."""

_tile = micro_kernel(1, VECTORS)


@kernel()
def _multiply(start, stop, x, w, bias, out, epilogue, rows, filters, lanes):
    """A unit is as many filters as VECTORS vectors have."""
    chunk, channels = VECTORS * lanes, len(x) // rows
    panel = aligned(np.empty((DEPTH * VECTORS + 1) * lanes, x.dtype))
    sums = np.empty(rows * chunk, x.dtype)
    clear(panel)
    vectors = multiples(VECTORS, lanes)
    x_rows, sum_rows = multiples(rows, channels), multiples(rows, chunk)
    steps = np.empty((DEPTH, 2), np.int64)
    for k in range(DEPTH):
        steps[k, 0], steps[k, 1] = k, k * chunk
    for unit in range(start, stop):
        f0 = unit * chunk
        count = min(chunk, filters - f0)
        for n in range(rows):
            for i in range(chunk):
                sums[n * chunk + i] = bias[f0 + i] if i < count and len(bias) > 0 else 0
        for c0 in range(0, channels, DEPTH):
            depth = min(DEPTH, channels - c0)
            transpose(w[f0 * channels + c0 :], channels, count, depth, panel, chunk, lanes)
            here = x[c0:]
            for n in range(rows):
                _tile(here, x_rows, n, panel, vectors, 0, steps, 0, depth, sums, sum_rows, n,
                      vectors, 0, True)  # fmt: skip
        for n in range(rows):
            at = n * filters + f0
            for i in range(count):
                out[at + i] = sums[n * chunk + i]
            if epilogue is not None:
                apply_epilogue(out, at, 1, at, count, epilogue)


def suits(p: Problem) -> bool:
    """Few images of one pixel, and a vector of filters."""
    pixels = p.rows.size * p.columns.size, p.height * p.width
    one = pixels == (1, 1) and p.kernel == (1, 1) and p.taps == 1
    few = p.groups == 1 and p.images <= MOST_ROWS
    return one and few and p.filters >= TARGET.vector_bytes // p.itemsize


def forward(p: Problem) -> Correlation:
    def run(x: Array, w: Array, bias: Array | None, y: Array, epilogue: Epilogue | None) -> None:
        few_rows(x.reshape(p.images, -1), w, bias, y, epilogue)

    return run


def few_rows(
    x: Array, w: Array, bias: Array | None, out: Array, epilogue: Epilogue | None = None
) -> None:
    """``out = bias + x @ w.T``, of contiguous arrays; out and w are taken as matrices."""
    rows, channels = x.shape
    filters, lanes = w.size // channels, TARGET.vector_bytes // x.itemsize
    start = np.empty(0, x.dtype) if bias is None else bias.view()
    start.flags.writeable = False
    x = x.reshape(-1).view()
    x.flags.writeable = False  # one kernel, whoever calls
    w = w.reshape(-1).view()
    w.flags.writeable = False
    launch(_multiply, ceil_div(filters, VECTORS * lanes), rows * filters * channels // lanes,
           x, w, start, out.reshape(-1), epilogue, rows, filters, lanes)  # fmt: skip
