"""pad on the CPU. A unit is a row of the output, and backward, which is a crop, of the input."""

from __future__ import annotations

from numseg.kernels.copy import copy
from numseg.kernels.jit import kernel
from numseg.kernels.parallel import launch
from numseg.ops.pad import Geometry
from numseg.typing import Array


@kernel()
def _place(start, stop, x, y, top, left, value):
    """``y[p, q] = x[p - top, q - left]`` where there is such a pixel, else ``value``."""
    h, w = x.shape[1:]
    oh, ow = y.shape[1:]
    q0 = min(max(left, 0), ow)  # columns [q0, q1) of y are on the image
    q1 = max(min(left + w, ow), q0)
    for unit in range(start, stop):
        plane, p = divmod(unit, oh)
        if not top <= p < top + h:
            y[plane, p] = value
            continue
        y[plane, p, :q0] = value
        y[plane, p, q1:] = value
        copy(x[plane, p - top, q0 - left : q1 - left], y[plane, p, q0:q1])


def forward(x: Array, y: Array, g: Geometry) -> None:
    image, out = (g.planes, g.h, g.w), (g.planes, g.oh, g.ow)
    launch(_place, g.planes * g.oh, y.size, x.reshape(image), y.reshape(out), g.pt, g.pl, g.value)


def backward(gy: Array, gx: Array | None, g: Geometry) -> None:
    if gx is None:
        return
    image, out = (g.planes, g.h, g.w), (g.planes, g.oh, g.ow)
    launch(_place, g.planes * g.h, gx.size, gy.reshape(out), gx.reshape(image), -g.pt, -g.pl, 0.0)
