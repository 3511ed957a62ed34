"""Channels side by side: for kernels that read a few pixels here and there, of many channels alike.

A block of LANES planes is brought into an order in which a pixel's channels are neighbours, so
that what a kernel does to a pixel is one vector operation, wherever the pixel lies. On the way
there and back, squares as wide as a vector are transposed in registers.
"""

from __future__ import annotations

import numpy as np

from numseg.kernels.jit import rule
from numseg.kernels.simd import TARGET, transpose_square

LANES = 16
"""Channels in a block: of every float type and target, some whole vectors."""


@rule
def blocks_of(channels):
    return (channels + LANES - 1) // LANES


@rule
def join(planes, p0, step, channels, tile, t0, pixels):
    """``tile[t0 + i * LANES + lane] = planes[p0 + lane * step + i]`` for a run of pixels i of up to
    LANES channels, in flat arrays. The last square ends with the run."""
    width = TARGET.vector_bytes // planes.itemsize
    if channels == LANES and pixels >= width:
        for first in range(0, pixels, width):
            i = min(first, pixels - width)
            for lane in range(0, LANES, width):
                transpose_square(planes, p0 + lane * step + i, step,
                                 tile, t0 + i * LANES + lane, LANES)  # fmt: skip
    else:
        for i in range(pixels):  # the other way round LLVM makes a second's work of it
            for lane in range(channels):
                tile[t0 + i * LANES + lane] = planes[p0 + lane * step + i]


@rule
def part(tile, t0, pixels, planes, p0, step, channels):
    """The inverse of ``join``."""
    width = TARGET.vector_bytes // planes.itemsize
    if channels == LANES and pixels >= width:
        for first in range(0, pixels, width):
            i = min(first, pixels - width)
            for lane in range(0, LANES, width):
                transpose_square(tile, t0 + i * LANES + lane, LANES,
                                 planes, p0 + lane * step + i, step)  # fmt: skip
    else:
        for i in range(pixels):
            for lane in range(channels):
                planes[p0 + lane * step + i] = tile[t0 + i * LANES + lane]


@rule
def load(planes, r0, r1, s0, s1):
    """The part ``[r0:r1, s0:s1]`` of up to LANES planes, one channel beside the other."""
    channels, h, w = planes.shape
    tile = np.zeros((r1 - r0, (s1 - s0) * LANES), planes.dtype)
    flat, lanes = planes.reshape(-1), tile.reshape(-1)
    for r in range(r1 - r0):
        join(flat, (r0 + r) * w + s0, h * w, channels, lanes, r * (s1 - s0) * LANES, s1 - s0)
    return tile


@rule
def store(tile, planes, r0, r1, s0, s1):
    """The inverse of ``load``; the rest of the planes becomes zero."""
    channels, h, w = planes.shape
    planes[:] = 0
    flat, lanes = planes.reshape(-1), tile.reshape(-1)
    for r in range(r1 - r0):
        part(lanes, r * (s1 - s0) * LANES, s1 - s0, flat, (r0 + r) * w + s0, h * w, channels)
