"""interp2d on the CPU: pad's kernels, which crop, and upsample_bilinear2d's."""

from __future__ import annotations

import numpy as np

from numseg.ops.interp2d.geometry import Geometry
from numseg.ops.pad import cpu as pad
from numseg.ops.upsample_bilinear2d import cpu as upsampling
from numseg.typing import Array


def forward(x: Array, y: Array, g: Geometry) -> None:
    if (g.eh, g.ew) != (g.h, g.w):
        cropped = np.empty((g.n, g.c, g.eh, g.ew), x.dtype)
        pad.forward(x, cropped, g.crop)
        cropped.flags.writeable = False  # as x is, or the kernel would be compiled again
        x = cropped
    upsampling.forward(x, y, g.upsampling)


def backward(gy: Array, gx: Array | None, g: Geometry) -> None:
    if gx is None:
        return
    if (g.eh, g.ew) == (g.h, g.w):
        return upsampling.backward(gy, gx, g.upsampling)
    cropped = np.empty((g.n, g.c, g.eh, g.ew), gx.dtype)
    upsampling.backward(gy, cropped, g.upsampling)
    cropped.flags.writeable = False
    pad.backward(cropped, gx, g.crop)
