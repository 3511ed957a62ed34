"""pad on the CPU. A unit is a row of the output, and backward, which is a crop, of the input."""

from __future__ import annotations

import numpy as np

from numseg.kernels.machine.jit import kernel
from numseg.kernels.machine.memcpy import copy
from numseg.kernels.machine.threads import launch
from numseg.kernels.sampling.gather_rows import gather, gather_gradient
from numseg.ops.pad.geometry import MODES, Geometry
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
    image, out = x.reshape(g.planes, g.h, g.w), y.reshape(g.planes, g.oh, g.ow)
    if g.mode:
        return gather(image, out, *sources(g))
    launch(_place, g.planes * g.oh, y.size, image, out, g.pt, g.pl, g.value)


def backward(gy: Array, gx: Array | None, g: Geometry) -> None:
    if gx is None:
        return
    out, image = gy.reshape(g.planes, g.oh, g.ow), gx.reshape(g.planes, g.h, g.w)
    if g.mode:
        return gather_gradient(out, image, *sources(g))
    launch(_place, g.planes * g.h, gx.size, out, image, -g.pt, -g.pl, 0.0)


def sources(g: Geometry) -> tuple[Array, Array]:
    """Which row each output row copies, and which column each output column."""

    def axis(o: int, n: int, before: int) -> Array:
        t = np.arange(o) - before
        if MODES[g.mode] == "replicate":
            return np.clip(t, 0, n - 1)
        if MODES[g.mode] == "circular":
            return t % max(n, 1)
        turn = 2 * n - 2 if MODES[g.mode] == "reflect" else 2 * n - 1  # t and turn - t are alike
        t %= max(turn + (MODES[g.mode] == "symmetric"), 1)
        return np.minimum(t, turn - t) if n > 0 else t

    return axis(g.oh, g.h, g.pt), axis(g.ow, g.w, g.pl)
