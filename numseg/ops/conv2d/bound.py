"""How far Winograd's algorithms may be from the definition, and how far they are:
``python -m numseg.ops.conv2d.bound`` prints the table of docs/operators/conv2d.md."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.kernels.conv.winograd_transforms import TAPS, TRANSFORMS
from numseg.operator import Plan
from numseg.ops.conv2d import conv2d
from numseg.ops.conv2d.geometry import TILES, Geometry
from numseg.typing import Array


def roundings(g: Geometry) -> float:
    """How many of ``eps * terms`` the error is at most.

    A product passes through a row of G, of B and of A on each axis, through the sum over channels
    and the bias. Each of its roundings is half an eps of what it is part of. Of 4 x 4 outputs,
    without fused multiply-add: 2 * 4 for G, of whose factors one rounding is their own, 2 * 4 for
    B, 2 * 5 for A, and 1 for the bias; one more is for what is of second order.
    """
    return (max(g.c, g.f) // g.groups + 28) / 2


def growth(tile: int) -> float:
    """The largest of ``terms`` of one channel, where all pixels and weights are at most 1."""
    a, b, g = _absolute(tile)
    return float(np.max(a @ (g.sum(1) * b.sum(1))) ** 2)


def terms(x: Array, w: Array, g: Geometry) -> Array:
    """What the roundings of each output are relative to: the algorithm on absolute values, and with
    those of its matrices. It is the sum of |w| |x| of the definition for "direct"; here terms
    cancel that others of the same tile need."""
    return _terms(x, w, g, (g.oh, g.ow), (g.pt, g.pl))


def grad_x_terms(w: Array, gy: Array, g: Geometry) -> Array:
    """The same for the gradient of x, which is a convolution of gy."""
    grouped = w.reshape(g.groups, g.f // g.groups, g.c // g.groups, TAPS, TAPS)
    swapped = grouped.swapaxes(1, 2)[..., ::-1, ::-1]
    swapped = swapped.reshape(g.c, g.f // g.groups, TAPS, TAPS)
    return _terms(gy, swapped, g, (g.h, g.w), (TAPS - 1 - g.pt, TAPS - 1 - g.pl))


def scales(plan: Plan[Any], arguments: dict[str, Any], grad_y: Array) -> Any:
    """Of the results and the gradients of a call; None for "direct"."""
    from numseg.ops.conv2d import reference

    g = plan.geometry
    if not g.tile:
        return None
    x, w, grad_y = (
        np.abs(a, dtype=np.float64) for a in (arguments["x"], arguments["weight"], grad_y)
    )
    y, b = terms(x, w, g), arguments.get("bias")
    if b is not None:
        y += np.abs(b)[:, None, None]
    gb = None if b is None else reference.grad_b(grad_y, g)
    return [y], [grad_x_terms(w, grad_y, g), reference.grad_w(x, grad_y, g), gb]


def _terms(x: Array, w: Array, g: Geometry, size: tuple[int, int], pads: tuple[int, int]) -> Array:
    a, b, c = _absolute(g.tile)
    tiles = [max(-(-outputs // g.tile), 1) for outputs in size]
    at = [np.arange(k * g.tile + TAPS - 1) - pad for k, pad in zip(tiles, pads, strict=True)]
    padded = np.zeros((*x.shape[:2], *map(len, at)))
    i, j = (np.flatnonzero((a >= 0) & (a < s)) for a, s in zip(at, x.shape[2:], strict=True))
    padded[:, :, i[:, None], j] = np.abs(x)[:, :, at[0][i][:, None], at[1][j]]
    shape = g.tile + TAPS - 1, g.tile + TAPS - 1
    windows = np.lib.stride_tricks.sliding_window_view(padded, shape, (2, 3))
    windows = windows[:, :, :: g.tile, :: g.tile]
    windows = windows.reshape(len(x), g.groups, w.shape[1], *windows.shape[2:])
    kernels = np.abs(w).reshape(g.groups, len(w) // g.groups, w.shape[1], TAPS, TAPS)
    sums = np.einsum("gfcij,ngcpqij->ngfpqij", c @ kernels @ c.T, b @ windows @ b.T)
    y = (a @ sums @ a.T).transpose(0, 1, 2, 3, 5, 4, 6)
    rows, columns = (count * g.tile for count in tiles)
    return y.reshape(len(x), len(w), rows, columns)[..., : size[0], : size[1]].copy()


def _absolute(tile: int) -> tuple[Array, Array, Array]:
    """|A|, |B|, |G|."""
    a, b, g = (np.abs(np.array(rows, dtype=float)) for rows in TRANSFORMS[tile])
    return a, b, g


def measure(channels: int, filters: int, size: int, rectified: bool) -> dict[str, tuple[Any, ...]]:
    """Of each algorithm: the mean and the largest error on random numbers in float32, and the
    median of the bound. In ulps of what the terms of the definition add up to."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, channels, size, size), np.float32)
    w = rng.standard_normal((filters, channels, TAPS, TAPS), np.float32)
    x = np.maximum(x, 0) if rectified else x
    wide_x, wide_w = x.astype(np.float64), w.astype(np.float64)
    y = conv2d.reference(wide_x, wide_w, padding=1)
    sums = conv2d.reference(np.abs(wide_x), np.abs(wide_w), padding=1)
    eps, ulp = float(np.finfo(np.float32).eps), np.spacing(sums.astype(np.float32))
    found = {}
    for algorithm, tile in TILES.items():
        errors = np.abs(conv2d(x, w, padding=1, algorithm=algorithm) - y) / ulp
        g = conv2d.plan(x.shape, w.shape, padding=1, algorithm=algorithm).geometry
        most = (TAPS * TAPS * channels + 1) / 2 * eps * sums / ulp
        if tile:
            most = roundings(g) * eps * terms(wide_x, wide_w, g) / ulp
        found[algorithm] = float(errors.mean()), float(errors.max()), float(np.median(most))
    return found


def _print() -> None:
    for rectified in (False, True):
        for sizes in (3, 16, 32), (64, 64, 32), (256, 256, 16):
            for algorithm, figures in measure(*sizes, rectified).items():
                numbers = "after a relu" if rectified else "normal"
                c, f, size = sizes
                cells = (f"{figure:.2g}" for figure in figures)
                print(f"| {numbers} | {c} > {f} @{size} | {algorithm} | {' | '.join(cells)} |")


if __name__ == "__main__":
    _print()
