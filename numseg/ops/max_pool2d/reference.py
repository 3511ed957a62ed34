"""max_pool2d by its definition."""

from __future__ import annotations

import numpy as np

from numseg.ops.max_pool2d import Geometry
from numseg.typing import Array


def forward(x: Array, g: Geometry) -> tuple[Array, Array]:
    y = np.full((g.n, g.c, g.oh, g.ow), -np.inf)
    switches = np.full((g.n, g.c, g.oh, g.ow), -1)
    for p in range(g.oh):
        for q in range(g.ow):
            rows = [r for i in range(g.kh) if 0 <= (r := p * g.sy - g.pt + i * g.dy) < g.h]
            columns = [s for j in range(g.kw) if 0 <= (s := q * g.sx - g.pl + j * g.dx) < g.w]
            places = np.array([r * g.w + s for r in rows for s in columns], int)
            if len(places):
                window = x.reshape(g.n, g.c, g.h * g.w)[:, :, places]  # (N, C, taps on the image)
                winner = _winner(window)
                switches[:, :, p, q] = places[winner]
                y[:, :, p, q] = np.take_along_axis(window, winner[..., None], -1)[..., 0]
    return y, switches


def _winner(window: Array) -> Array:
    """Position along the last axis of the last NaN, or else of the first maximum."""
    nan = np.isnan(window)
    last_nan = window.shape[-1] - 1 - np.argmax(nan[..., ::-1], -1)
    first_maximum = np.argmax(np.where(nan, -np.inf, window), -1)
    return np.where(nan.any(-1), last_nan, first_maximum)


def backward(switches: Array, gy: Array, g: Geometry) -> Array:
    gx = np.zeros((g.n * g.c, g.h * g.w))
    windows = (g.n * g.c, g.oh * g.ow)
    for plane, (places, values) in enumerate(
        zip(switches.reshape(windows), gy.reshape(windows), strict=True)
    ):
        on_image = places >= 0
        np.add.at(gx[plane], places[on_image], values[on_image])
    return gx.reshape(g.n, g.c, g.h, g.w)
