"""max_pool2d by its definition."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from numseg.errors import ArgumentError
from numseg.ops.max_pool2d import places_of
from numseg.ops.max_pool2d.geometry import Geometry
from numseg.typing import Array


def forward(x: Array, g: Geometry) -> tuple[Array, Array, Array]:
    shape = g.n, g.c, g.oh, g.ow
    y, switches = np.full(shape, g.lowest), np.full(shape, -1)
    tied = np.zeros((*shape, g.kh * g.kw) if g.shared else 0, np.uint8)
    n, c, h, w = np.ogrid[: g.n, : g.c, : g.h, : g.w]
    indices = n * g.image + c * g.channel + h * g.row + w * g.column  # the switch of each pixel
    for p, q, taps, places in _windows(g):
        if len(places) == 0:
            continue
        window = x.reshape(g.n, g.c, g.h * g.w)[:, :, places]  # (N, C, taps on the image)
        candidate = _candidates(window, g)
        winner = _winner(window, candidate)[..., None]
        value = np.take_along_axis(window, winner, -1)
        switch = np.take_along_axis(indices.reshape(g.n, g.c, g.h * g.w)[:, :, places], winner, -1)
        won: Any = candidate.any(-1)
        y[:, :, p, q] = np.where(won, value[..., 0], g.lowest)
        switches[:, :, p, q] = np.where(won, switch[..., 0], -1)
        if g.shared:
            same = (window == value) | (np.isnan(window) & np.isnan(value))
            tied[:, :, p, q, taps] = same & won[:, :, None]
    return y, switches, tied


def _windows(g: Geometry) -> Iterator[tuple[int, int, Array, Array]]:
    """Of each output pixel, the taps that are on the image, and their places in its plane."""
    for p, q in np.ndindex(g.oh, g.ow):
        rows = p * g.sy - g.pt + np.arange(g.kh)[:, None] * g.dy
        columns = q * g.sx - g.pl + np.arange(g.kw) * g.dx
        on_image = (rows >= 0) & (rows < g.h) & (columns >= 0) & (columns < g.w)
        yield p, q, np.flatnonzero(on_image), (rows * g.w + columns)[on_image]


def _candidates(window: Array, g: Geometry) -> Array:
    """Which pixels may win."""
    nan = np.isnan(window)
    candidate = np.ones(window.shape, bool)
    if g.drop_nan:
        candidate = ~nan
    if g.first_nan:  # then nothing is larger than it
        first = np.arange(window.shape[-1]) == 0
        candidate = np.where(nan[..., :1], first, candidate)
    if g.lowest > -np.inf:
        candidate = candidate & ~(window <= g.lowest)
    return candidate


def _winner(window: Array, candidate: Array) -> Any:
    """Position along the last axis of the last NaN, or else of the first maximum."""
    nan = candidate & np.isnan(window)
    last_nan = window.shape[-1] - 1 - np.argmax(nan[..., ::-1], -1)
    largest = np.max(np.where(candidate & ~nan, window, -np.inf), -1, keepdims=True)
    first_maximum = np.argmax(candidate & (window == largest), -1)
    return np.where(nan.any(-1), last_nan, first_maximum)


def backward(switches: Array, tied: Array, gy: Array, g: Geometry) -> Array:
    gx = np.zeros((g.n, g.c, g.h * g.w))
    if g.shared:
        for p, q, taps, pixels in _windows(g):
            marks = tied[:, :, p, q] != 0
            parts = np.maximum(marks.sum(-1), 1) if g.split else 1
            share = (gy[:, :, p, q] / parts)[..., None]
            gx[:, :, pixels] += np.where(marks[..., taps], share, 0)
    else:
        at = places(switches, g)
        for n, c, p, q in np.ndindex(switches.shape):
            if at[n, c, p, q] >= 0:
                gx[n, c, at[n, c, p, q]] += gy[n, c, p, q]
    return gx.reshape(g.n, g.c, g.h, g.w)


def places(switches: Array, g: Geometry) -> Array:
    """Switches in any layout as places in their plane."""
    return places_of(switches, (g.image, g.channel, g.row, g.column), g.h, g.w)


def matrix(g: Geometry, indices: Array, tied: Array | None = None) -> Any:
    """In each row a 1 at the switch, or the shares of all that are tied."""
    from scipy import sparse

    size = g.n * g.c * g.h * g.w
    planes = np.arange(g.n * g.c).reshape(g.n, g.c) * g.h * g.w
    number = np.arange(indices.size).reshape(indices.shape)
    if not g.shared:
        at = places(indices, g)
        columns = (planes[..., None, None] + at)[at >= 0]
        ones = np.ones(len(columns))
        return sparse.csr_matrix((ones, (number[at >= 0], columns)), (indices.size, size))
    if tied is None:
        raise ArgumentError("linear only for given tied: pass it by name")
    m = sparse.lil_matrix((indices.size, size))
    for p, q, taps, pixels in _windows(g):
        for n, c in np.ndindex(g.n, g.c):
            marks = tied[n, c, p, q] != 0
            parts = max(marks.sum(), 1) if g.split else 1
            m[number[n, c, p, q], planes[n, c] + pixels] = marks[taps] / parts
    return m
