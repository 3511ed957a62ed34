"""Derivatives of deform_conv2d: it is linear in x, weight and mask, and bilinear between pixels.

So the slope of a sample along the rows is the sample on the next row of pixels minus the sample on
the row before, at the same column; along the columns alike. Both are deformable convolutions too,
with the motion of the offsets as a factor. A second derivative by the same coordinate is 0: of the
convolution on a row of pixels only the columns' offsets count.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from numseg.faces import widen
from numseg.ops.deform_conv2d import deform_conv2d
from numseg.plan import Saved
from numseg.typing import Array


def jvp(saved: Saved, along: dict[str, Any]) -> Array:
    total: Any = 0.0
    for sign, arguments, _ in _terms(saved, along):
        total = total + sign * deform_conv2d(**arguments, **_how(saved))
    if along["bias"] is not None:
        total = total + along["bias"][:, None, None]
    return total


def double_backward(saved: Saved, grad_y: Array, along: dict[str, Any]) -> dict[str, Array]:
    """The gradients of the terms of jvp, through their arguments."""
    found = {name: np.zeros_like(getattr(saved, name)) for name in ("x", "offset", "weight")}
    if saved.mask is not None:
        found["mask"] = np.zeros_like(saved.mask)
    for sign, arguments, through in _terms(saved, along):
        _, at = deform_conv2d.forward(**arguments, **_how(saved))
        grads = deform_conv2d.backward(at, grad_y, needs=through.keys())
        for name, grad in zip(deform_conv2d.differentiable, grads, strict=True):
            if grad is not None and name in found:
                found[name] += sign * through[name] * grad
    return found


def _how(saved: Saved) -> dict[str, Any]:
    return saved.plan.parameters


def _terms(saved: Saved, along: dict[str, Any]) -> Iterator[tuple[float, dict[str, Any], Any]]:
    """The signed convolutions that the derivative is a sum of: their arguments, and by name the
    derivative of an argument by that of the call, for those that depend on it."""
    inputs = {name: getattr(saved, name) for name in ("x", "offset", "weight", "mask")}
    for name in ("x", "weight", "mask"):
        if along[name] is not None:
            yield 1.0, inputs | {name: along[name]}, {n: 1.0 for n in inputs if n != name}
    if along["offset"] is not None:
        for axis in range(2):
            yield from _slopes(inputs, along["offset"], axis, saved.plan.geometry)


def _slopes(
    inputs: dict[str, Any], motion: Array, axis: int, g: Any
) -> Iterator[tuple[float, dict[str, Any], Any]]:
    """Samples on the pixels after and before, along an axis."""
    shape = g.n, g.offset_groups, g.kh, g.kw, 2, g.oh, g.ow
    offset, motion = inputs["offset"].reshape(shape), motion.reshape(shape)
    i, j, p, q = np.ogrid[: g.kh, : g.kw, : g.oh, : g.ow]
    start, size = (q * g.sx - g.pl + j * g.dx, g.w) if axis else (p * g.sy - g.pt + i * g.dy, g.h)
    place = widen(offset[..., axis, :, :]) + start
    low = np.floor(place)
    rises = (low >= (0 if g.clamped else -1)) & (low < size - g.clamped)
    if g.flat_start:
        rises = rises & (place != -1)
    rises = np.where(np.isnan(place), np.nan, rises)
    taps = g.n, g.offset_groups * g.kh * g.kw, g.oh, g.ow
    factor = (rises * motion[..., axis, :, :]).reshape(taps).astype(offset.dtype)
    mask = factor if inputs["mask"] is None else inputs["mask"] * factor
    moves = np.arange(2)[:, None, None] == axis
    across = np.where(moves, 0, np.ones_like(offset))
    flat = inputs["offset"].shape
    through = {"x": 1.0, "weight": 1.0, "offset": across.reshape(flat), "mask": factor}
    for sign in (1.0, -1.0):
        there = (low + (sign > 0) - start).astype(offset.dtype)
        moved = np.where(moves, there[..., None, :, :], offset)
        arguments = {**inputs, "offset": moved.reshape(flat), "mask": mask}
        yield sign, arguments, through
