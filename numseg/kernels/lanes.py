"""Channels side by side: for kernels that read a few pixels here and there, of many channels alike.

A block of LANES planes is brought into an order in which a pixel's channels are neighbours, so
that what a kernel does to a pixel is one vector operation, wherever the pixel lies.
"""

from __future__ import annotations

import numpy as np

from numseg.kernels.jit import rule

LANES = 16
"""Channels in a block."""


@rule
def blocks_of(channels):
    return (channels + LANES - 1) // LANES


@rule
def load(planes, r0, r1, s0, s1):
    """The part ``[r0:r1, s0:s1]`` of up to LANES planes, one channel beside the other."""
    tile = np.zeros((r1 - r0, (s1 - s0) * LANES), planes.dtype)
    for r in range(r1 - r0):
        row = tile[r].reshape(s1 - s0, LANES)
        for lane in range(len(planes)):
            source = planes[lane, r0 + r, s0:s1]
            for s in range(s1 - s0):
                row[s, lane] = source[s]
    return tile


@rule
def store(tile, planes, r0, r1, s0, s1):
    """The inverse of ``load``; the rest of the planes becomes zero."""
    planes[:] = 0
    for r in range(r1 - r0):
        row = tile[r].reshape(s1 - s0, LANES)
        for lane in range(len(planes)):
            target = planes[lane, r0 + r, s0:s1]
            for s in range(s1 - s0):
                target[s] = row[s, lane]
