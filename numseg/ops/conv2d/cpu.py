"""conv2d on the CPU. Which algorithm computes it: :mod:`numseg.kernels.conv.choose`."""

from __future__ import annotations

import functools
from collections.abc import Mapping

from numseg.kernels.conv import non_finite
from numseg.kernels.conv.bias_gradient import bias_gradient
from numseg.kernels.conv.choose import FORWARD, INPUT_GRADIENT, WEIGHT_GRADIENT, first_that_suits
from numseg.kernels.conv.epilogue import Epilogue, epilogue
from numseg.kernels.conv.problem import Axis, Correlation, Problem, WeightGradient
from numseg.ops.batch_norm.folding import centred_and_scaled
from numseg.ops.conv2d.diagonal import depthwise
from numseg.ops.conv2d.geometry import Geometry
from numseg.plan import Spec, Step
from numseg.typing import Array


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


def forward(
    x: Array,
    w: Array,
    b: Array | None,
    y: Array,
    g: Geometry,
    **steps: Step,
) -> None:
    w, g = depthwise(w, g, x)
    _forward(g, x.itemsize)(x, w, b, y, _epilogue(y, steps) if steps else None)


def takes(y: Spec, steps: Mapping[str, Step]) -> bool:
    """Whether ``forward`` takes in these operators of its epilogue, which are planned."""
    norm, add = steps.get("batch_norm"), steps.get("add")
    return not (norm and norm.geometry.of_batch) and not (add and add.arrays[0].shape != y.shape)


def _epilogue(y: Array, steps: Mapping[str, Step]) -> Epilogue:
    norm = terms = None
    activation, parameters = "none", ()
    for name, step in steps.items():
        if name == "batch_norm":
            mean, var, weight, bias = step.arrays
            norm = centred_and_scaled(mean, var, weight, bias, step.geometry)
        elif name == "add":
            terms = step.arrays[0].reshape(-1)
        else:
            activation, parameters = name, step.geometry.parameters
    return epilogue(y, norm, terms, activation, parameters)


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
