"""interp2d on every device: pad, which crops, then upsample_bilinear2d."""

from __future__ import annotations

from typing import Any

from numseg.faces import gradients, run
from numseg.operator import Spec
from numseg.ops.interp2d.geometry import Geometry
from numseg.ops.pad import pad
from numseg.ops.upsample_bilinear2d import upsample_bilinear2d
from numseg.typing import Array


def forward(x: Array, y: Spec, g: Geometry) -> Array:
    if _crops(g):
        x = run(pad, g.crop, [x], _cropped(y, g))
    return run(upsample_bilinear2d, g.upsampling, [x], y)


def backward(gy: Array, gx: Spec | None, g: Geometry) -> list[Any]:
    if not _crops(g):
        return gradients(upsample_bilinear2d, g.upsampling, [gy], gx)
    cropped = gradients(upsample_bilinear2d, g.upsampling, [gy], gx and _cropped(gx, g))
    return gradients(pad, g.crop, cropped, gx)


def _crops(g: Geometry) -> bool:
    return (g.eh, g.ew) != (g.h, g.w)


def _cropped(like: Spec, g: Geometry) -> Spec:
    return Spec((g.n, g.c, g.eh, g.ew), like.dtype)
