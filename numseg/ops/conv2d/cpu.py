"""conv2d on the CPU. Which algorithm computes it: :mod:`numseg.kernels.conv.choose`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from numseg.kernels.conv import non_finite
from numseg.kernels.conv.bias_gradient import bias_gradient
from numseg.kernels.conv.choose import FORWARD, INPUT_GRADIENT, WEIGHT_GRADIENT, first_that_suits
from numseg.kernels.conv.epilogue import Epilogue, prepared
from numseg.kernels.conv.problem import Axis, Correlation, Problem, WeightGradient
from numseg.ops.conv2d.diagonal import depthwise, suits
from numseg.ops.conv2d.geometry import Geometry
from numseg.plan import Spec, Step
from numseg.typing import Array

Run: TypeAlias = Callable[..., None]


def _problem(g: Geometry, itemsize: int) -> Problem:
    return Problem(
        g.n, g.groups, g.c // g.groups, g.f // g.groups,
        Axis(g.h, g.oh, g.kh, g.sy, g.dy, g.pt), Axis(g.w, g.ow, g.kw, g.sx, g.dx, g.pl),
        g.oh, g.ow, (g.kh, g.kw), itemsize, g.tile,
    )  # fmt: skip


@functools.lru_cache(maxsize=256)
def _forward(g: Geometry, itemsize: int) -> Correlation:
    p = _problem(g, itemsize)
    return non_finite.forward(first_that_suits(FORWARD, p.met), p)


@functools.lru_cache(maxsize=256)
def _grad_x(g: Geometry, itemsize: int) -> Correlation:
    p = _problem(g, itemsize)
    return non_finite.input_gradient(first_that_suits(INPUT_GRADIENT, p), p)


@functools.lru_cache(maxsize=256)
def _grad_w(g: Geometry, itemsize: int) -> WeightGradient:
    p = _problem(g, itemsize)
    return non_finite.weight_gradient(first_that_suits(WEIGHT_GRADIENT, p), p)


@functools.lru_cache(maxsize=256)
def prepare(g: Geometry, y: Spec, after: tuple[tuple[str, Any], ...] = ()) -> Run:
    """``run(x, w, b, y, *others)``: all that does not depend on numbers is known. ``after`` are
    operators of the epilogue, each by its name and its geometry, and ``others`` their arrays."""
    itemsize = y.dtype.itemsize
    direct, make = _forward(g, itemsize), _epilogue(g, y, after) if after else None
    diagonal = suits(g)

    def run(x: Array, w: Array, b: Array | None, y: Array, *others: Array | None) -> None:
        correlate = direct
        if diagonal:
            w, own = depthwise(w, g, x)
            correlate = _forward(own, itemsize)
        correlate(x, w, b, y, make and make(*others))

    return run


def forward(
    x: Array,
    w: Array,
    b: Array | None,
    y: Array,
    g: Geometry,
    **steps: Step,
) -> None:
    after = tuple((name, step.geometry) for name, step in steps.items())
    others = [array for step in steps.values() for array in step.arrays]
    prepare(g, Spec(y.shape, y.dtype), after)(x, w, b, y, *others)


def takes(y: Spec, steps: Mapping[str, Step]) -> bool:
    """Whether ``forward`` takes in these operators of its epilogue, which are planned."""
    norm, add = steps.get("batch_norm"), steps.get("add")
    return not (norm and norm.geometry.of_batch) and not (add and add.arrays[0].shape != y.shape)


def _epilogue(g: Geometry, y: Spec, after: Sequence[tuple[str, Any]]) -> Callable[..., Epilogue]:
    steps = dict(after)
    norm, terms = steps.pop("batch_norm", None), "add" in steps
    steps.pop("add", None)
    ((activation, geometry),) = steps.items() or [("none", None)]
    return prepared(
        y.shape, y.dtype.itemsize, norm and norm.eps, terms, activation,
        geometry.parameters if geometry else (),
        non_finite.whole_window(_problem(g, y.dtype.itemsize)),
    )  # fmt: skip


def grad_x(w: Array, gy: Array, gx: Array, g: Geometry) -> None:
    w, g = depthwise(w, g, gy)
    _grad_x(g, gx.itemsize)(gy, w, None, gx, None)


def grad_w(x: Array, gy: Array, gw: Array, g: Geometry) -> None:
    _grad_w(g, x.itemsize)(x, gy, gw)


grad_b = bias_gradient


def backward(
    x: Array,
    w: Array,
    gy: Array,
    gx: Array | None,
    gw: Array | None,
    gb: Array | None,
    g: Geometry,
) -> None:
    if gx is not None:
        grad_x(w, gy, gx, g)
    if gw is not None:
        grad_w(x, gy, gw, g)
    if gb is not None:
        grad_b(gy, gb)
