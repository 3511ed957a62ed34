"""Operators of two arrays that broadcast as NumPy's do: each number of the result is a function of
one number of x and one of the other array.

The folder of such an operator states the function and what comes of it:

- ``reference.py``: ``value(x, other)``, and in ``grad_x(x, other, gy)`` and ``grad_other(x, other,
  gy)`` what each number of the result gives to the two gradients, in NumPy,
- ``rules.py``: the same for three numbers, for the CPU and for CUDA,
- ``derivatives.py``: ``curvature(x, other)``, the second derivatives: twice along x, along both,
  and twice along other; there is none where the function is piecewise linear.

A gradient that the folder leaves out is ``gy`` itself. The faces are made of these here: they walk
through broadcast arrays without copies, and add up the gradient of what is repeated.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterable, Mapping
from itertools import zip_longest
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from numseg import faces
from numseg.errors import ArgumentError
from numseg.geometry import derived
from numseg.typing import Array, Shape

if TYPE_CHECKING:
    from numseg.operator import Operator

LOOPS = {"cpu": "numseg.kernels.pointwise.broadcast", "cuda": "numseg.cuda.broadcast"}
"""Where kernels are made, for each device."""

GRADIENTS = "grad_x", "grad_other"
"""What a folder calls its gradients."""


class Axis(NamedTuple):
    """An axis of the result, and how far apart its neighbours lie in each array: 0 where the array
    is repeated."""

    size: int
    x: int
    other: int
    y: int


class Geometry(NamedTuple):
    """What kernels know of a call: the shapes, as they broadcast."""

    x: tuple[int, ...]
    other: tuple[int, ...]

    @property
    def shape(self) -> Shape:
        """Of the result."""
        return broadcast_shape("x", self.x, "other", self.other)

    @derived
    def size(self) -> int:
        """Numbers of the result."""
        return math.prod(self.shape)

    @derived
    def axes(self) -> tuple[Axis, ...]:
        """Those of a result that is not empty, outermost first, as few as will do: neighbours that
        are walked through alike are one, and those of one number are none. At least one."""
        found: list[Axis] = []
        steps = (1, 1, 1)
        for sizes in _aligned(self.x, self.other):
            n = max(sizes)
            x, other = (step if size > 1 else 0 for step, size in zip(steps, sizes, strict=False))
            axis = Axis(n, x, other, steps[2])
            steps = (steps[0] * sizes[0], steps[1] * sizes[1], steps[2] * n)
            inner = found[-1] if found else None
            if inner and axis[1:] == tuple(inner.size * step for step in inner[1:]):
                found[-1] = inner._replace(size=n * inner.size)
            elif n > 1:
                found.append(axis)
        return tuple(reversed(found)) or (Axis(1, 0, 0, 0),)


def _aligned(a: Shape, b: Shape) -> list[tuple[int, int]]:
    """The sizes of both along each axis of the result, the last axis first."""
    return list(zip_longest(reversed(a), reversed(b), fillvalue=1))


def broadcast_shape(name: str, a: Shape, other: str, b: Shape) -> Shape:
    """The shape that two arrays broadcast to."""
    pairs = _aligned(a, b)
    if any(i != j and 1 not in (i, j) for i, j in pairs):
        raise ArgumentError(f"{name} has shape {a} and {other} {b}: they do not broadcast")
    return tuple(j if i == 1 else i for i, j in reversed(pairs))


def face(package: str, name: str) -> ModuleType | None:
    """The face of such an operator, made of what its folder states; None for an unknown one."""
    if name == "reference":
        stated, make = importlib.import_module(f"{package}.reference"), _definition
    elif name in LOOPS:
        stated = importlib.import_module(f"{package}.rules")
        make = importlib.import_module(LOOPS[name]).face
    else:
        return None
    module = ModuleType(f"{package}.{name}")
    vars(module).update({**vars(stated), **make(stated), "__name__": module.__name__})
    return module


def _definition(stated: ModuleType) -> dict[str, Callable[..., Any]]:
    def forward(x: Array, other: Array, g: Geometry) -> Array:
        return stated.value(x, other.reshape(g.other))

    def backward(*arrays: Any) -> tuple[Array, Array]:
        *saved, gy, g = arrays
        x, other = (saved[0], saved[1].reshape(g.other)) if saved else (None, None)
        of_x, of_other = (given(stated, name, x, other, gy) for name in GRADIENTS)
        return summed_to(g.x, of_x), summed_to(g.other, of_other)

    return {"forward": forward, "backward": backward}


def given(stated: Any, name: str, x: Any, other: Any, gy: Any) -> Any:
    """What each number of the result gives to a gradient."""
    rule = getattr(stated, name, None)
    return rule(x, other, gy) if rule else gy


def summed_to(shape: Shape, terms: Array) -> Array:
    """The gradient of an array of this shape, of what each place that it was repeated to gives."""
    whole = (1,) * (terms.ndim - len(shape)) + shape
    repeated = tuple(i for i, n in enumerate(whole) if n == 1 != terms.shape[i])
    if repeated:
        terms = terms.sum(repeated, keepdims=True)
    return terms.reshape(shape)


def per_channel(other: Array) -> Array | None:
    """What broadcasts to images as a number for each channel, or one for all: these, float64."""
    channels = (1,) * (4 - other.ndim) + other.shape
    if len(channels) > 4 or channels != (1, other.size, 1, 1):
        return None
    return other.reshape(-1).astype(np.float64)


def matrix_of_x(slopes: Any, g: Geometry) -> Any:
    """The matrix of an operator that is linear in x: the slope of each number of the result, in
    the column of the number of x that it reads."""
    from scipy import sparse

    size = math.prod(g.x)
    columns = np.broadcast_to(np.arange(size).reshape(g.x), g.shape).ravel()
    values = np.broadcast_to(slopes, g.shape).ravel()
    return sparse.csr_array((values, (np.arange(g.size), columns)), (g.size, size))


def jvp(op: Operator[..., Any], saved: Any, along: Mapping[str, Any]) -> Any:
    """The derivative along tangents: each number of the result has one of x and one of other."""
    stated, g = faces.module(op, "reference"), saved.plan.geometry
    x, other = _shaped(saved[:-1] or (None, None), g)
    tangents = _shaped(along.values(), g)
    return sum(
        given(stated, name, x, other, np.broadcast_to(tangent, g.shape))
        for name, tangent in zip(GRADIENTS, tangents, strict=True)
        if tangent is not None
    )


def double_backward(
    op: Operator[..., Any], saved: Any, grad_y: Array, along: Mapping[str, Any]
) -> dict[str, Any]:
    """The gradients of ``<grad_y, jvp>``."""
    curvature = faces.optional(op, "derivatives", "curvature")
    if curvature is None:
        return {}
    g = saved.plan.geometry
    twice_x, both, twice_other = curvature(*_shaped(saved[:-1], g))
    tangents = _shaped(along.values(), g)
    found = {}
    for name, shape, bends in zip(
        op.inputs, g, ((twice_x, both), (both, twice_other)), strict=True
    ):
        moved = (b * t for b, t in zip(bends, tangents, strict=True) if t is not None)
        found[name] = summed_to(shape, np.broadcast_to(grad_y * sum(moved), g.shape))
    return found


def _shaped(arrays: Iterable[Any], g: Geometry) -> list[Any]:
    """Those of x and of other in the shapes in which they broadcast; None stays."""
    return [a if a is None else a.reshape(shape) for a, shape in zip(arrays, g, strict=True)]
