"""deform_conv2d by its definition: for each tap, the samples, and the sum over channels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from numseg.ops.deform_conv2d.geometry import Geometry
from numseg.typing import Array


class Pixels(NamedTuple):
    """Along one axis, for every place: a pixel beside it, and its share in the interpolation."""

    pixel: Array
    on_image: Array
    weight: Array
    slope: Array
    """Derivative of the weight by the place."""


class Corner(NamedTuple):
    """One of the four pixels around every sample of a tap; arrays (N, G, OH, OW)."""

    row: Array
    column: Array
    on_image: Array
    weight: Array
    by_row: Array
    by_column: Array


def forward(
    x: Array, offset: Array, w: Array, b: Array | None, mask: Array | None, g: Geometry
) -> Array:
    y: Array = np.zeros((g.n, g.groups, g.f // g.groups, g.oh, g.ow))
    for tap, factor, corners in _taps(offset, mask, g):
        sample = np.zeros((g.n, g.c, g.oh, g.ow))
        for corner in corners:
            sample += _by_channel(corner.weight, g) * _read(x, corner, g)
        sample *= _by_channel(factor, g)
        y += np.einsum("gfc,ngcpq->ngfpq", _grouped(w, g)[..., tap], _split(sample, g))
    y = y.reshape(g.n, g.f, g.oh, g.ow)
    return y if b is None else y + b[:, None, None]


def backward(
    x: Array, offset: Array, w: Array, mask: Array | None, gy: Array, g: Geometry
) -> tuple[Array, Array, Array, Array, Array]:
    gx = np.zeros((g.n, g.c, g.h, g.w))
    goffset = np.zeros((g.n, g.offset_groups, g.kh * g.kw, 2, g.oh, g.ow))
    gmask = np.zeros((g.n, g.offset_groups, g.kh * g.kw, g.oh, g.ow))
    gw = np.zeros((g.groups, g.f // g.groups, g.c // g.groups, g.kh * g.kw))
    gy = gy.reshape(g.n, g.groups, g.f // g.groups, g.oh, g.ow)
    for tap, factor, corners in _taps(offset, mask, g):
        share = np.einsum("gfc,ngfpq->ngcpq", _grouped(w, g)[..., tap], gy)
        share = share.reshape(g.n, g.c, g.oh, g.ow)  # the gradient of the sample times its factor
        sample = np.zeros((g.n, g.c, g.oh, g.ow))
        for corner in corners:
            pixel = _read(x, corner, g)
            sample += _by_channel(corner.weight, g) * pixel
            _give(gx, _by_channel(factor * corner.weight, g) * share, corner, g)
            moved = _by_group(pixel * share, g)
            goffset[:, :, tap, 0] += factor * corner.by_row * moved
            goffset[:, :, tap, 1] += factor * corner.by_column * moved
        gmask[:, :, tap] += _by_group(sample * share, g)
        sample *= _by_channel(factor, g)
        gw[..., tap] += np.einsum("ngfpq,ngcpq->gfc", gy, _split(sample, g))
    return gx, goffset, gw, gy.sum((0, 3, 4)), gmask


def matrix(offset: Array, w: Array, b: Array | None, mask: Array | None, g: Geometry) -> Any:
    """``M[(n, f, p, q), (n, c, row, column)]``: the sum of ``w * mask * weight`` over the taps and
    corners that bring them together."""
    from scipy import sparse

    per_group = g.f // g.groups, g.c // g.groups
    n, f, c, p, q = np.ogrid[: g.n, : g.f, : per_group[1], : g.oh, : g.ow]
    output = ((n * g.f + f) * g.oh + p) * g.ow + q
    channel = f // max(per_group[0], 1) * per_group[1] + c
    group = channel // max(g.c // g.offset_groups, 1)
    parts = []  # (output, pixel, value) for each tap and corner
    for tap, factor, corners in _taps(offset, mask, g):
        for corner in corners:
            at = n, group, p, q
            value = (
                w.reshape(1, g.f, -1, 1, 1, g.kh * g.kw)[..., tap] * (factor * corner.weight)[at]
            )
            pixel = ((n * g.c + channel) * g.h + corner.row[at]) * g.w + corner.column[at]
            on_image = np.broadcast_to(corner.on_image[at], value.shape)
            broadcast = (np.broadcast_to(part, value.shape) for part in (output, pixel, value))
            parts.append([part[on_image] for part in broadcast])
    output, pixel, value = (np.concatenate([part[k] for part in parts]) for k in range(3))
    shape = g.n * g.f * g.oh * g.ow, g.n * g.c * g.h * g.w
    return sparse.coo_array((value, (output, pixel)), shape)


def _taps(
    offset: Array, mask: Array | None, g: Geometry
) -> Iterator[tuple[int, Array, list[Corner]]]:
    """For each tap: its number, the factors of its samples, and the corners around them."""
    offset = offset.reshape(g.n, g.offset_groups, g.kh * g.kw, 2, g.oh, g.ow)
    mask = (
        np.ones_like(offset[:, :, :, 0]) if mask is None else mask.reshape(offset[:, :, :, 0].shape)
    )
    p, q = np.ogrid[: g.oh, : g.ow]
    for tap in range(g.kh * g.kw):
        i, j = divmod(tap, g.kw)
        rows = _around(p * g.sy - g.pt + i * g.dy + offset[:, :, tap, 0], g.h, g)
        columns = _around(q * g.sx - g.pl + j * g.dx + offset[:, :, tap, 1], g.w, g)
        corners = [
            Corner(
                r.pixel,
                c.pixel,
                r.on_image & c.on_image,
                r.weight * c.weight,
                r.slope * c.weight,
                r.weight * c.slope,
            )
            for r in rows
            for c in columns
        ]
        yield tap, mask[:, :, tap], corners


def _around(place: Array, size: int, g: Geometry) -> tuple[Pixels, Pixels]:
    """The pixels before and after each place. What is not on the image counts as zero."""
    inside = (place >= (0 if g.clamped else -1)) & (place < size)
    low = np.where(inside, np.floor(place), -2)
    after = np.where(inside, place - low, 0)
    rises = inside & (place != -1) if g.flat_start else inside
    if g.clamped:
        after = np.where(low == size - 1, 0, after)
        rises = rises & (low < size - 1)
    nothing = np.where(np.isnan(place), np.nan, 0)

    def pixels(index: Array, weight: Array, slope: float) -> Pixels:
        on_image = inside & (index >= 0) & (index < size)
        at = np.where(on_image, index, 0).astype(int)
        return Pixels(
            at, on_image, np.where(inside, weight, nothing), np.where(rises, slope, nothing)
        )

    return pixels(low, 1 - after, -1.0), pixels(low + 1, after, 1.0)


def _read(x: Array, corner: Corner, g: Geometry) -> Array:
    """(N, C, OH, OW): the pixel, or zero where it is not on the image."""
    n, c = np.ogrid[: g.n, : g.c]
    at = n[..., None, None], c[..., None, None], *_place(corner, g)
    if x.size == 0:
        return np.zeros((g.n, g.c, g.oh, g.ow))
    return np.where(_by_channel(corner.on_image, g), x[at], 0)


def _give(gx: Array, share: Array, corner: Corner, g: Geometry) -> None:
    """The inverse of ``_read``: add to the pixel, if it is on the image."""
    n, c = np.ogrid[: g.n, : g.c]
    at = np.broadcast_arrays(n[..., None, None], c[..., None, None], *_place(corner, g))
    on_image = np.broadcast_to(_by_channel(corner.on_image, g), share.shape)
    np.add.at(gx, tuple(part[on_image] for part in at), share[on_image])


def _place(corner: Corner, g: Geometry) -> tuple[Array, Array]:
    return _by_channel(corner.row, g), _by_channel(corner.column, g)


def _by_channel(values: Array, g: Geometry) -> Array:
    """(N, G, OH, OW) as (N, C, OH, OW)."""
    return values.repeat(g.c // g.offset_groups, 1)


def _by_group(values: Array, g: Geometry) -> Array:
    """The inverse: the channels of an offset group added up."""
    shape = g.n, g.offset_groups, g.c // g.offset_groups, g.oh, g.ow
    return values.reshape(shape).sum(2)


def _grouped(w: Array, g: Geometry) -> Array:
    """w as (groups, filters of a group, channels of a group, taps)."""
    return w.reshape(g.groups, g.f // g.groups, g.c // g.groups, g.kh * g.kw)


def _split(samples: Array, g: Geometry) -> Array:
    """(N, C, OH, OW) as (N, groups, channels of a group, OH, OW)."""
    return samples.reshape(g.n, g.groups, g.c // g.groups, g.oh, g.ow)
