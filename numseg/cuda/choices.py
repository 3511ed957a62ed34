"""Comparisons of real numbers and choices between them, with NumPy's broadcasting, on CUDA: what no
operator states, and rules of derivatives need (:mod:`numseg.ops.numbers`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numseg.cuda import broadcast, elementary
from numseg.cuda.launch import Kernel
from numseg.kernels.machine.jit import rule
from numseg.kernels.pointwise import elementary as rules


def choice(formula: Callable[..., Any]) -> Kernel:
    """A kernel of a formula of two numbers, and of a third that nobody looks at."""
    elementary.register()
    loop = broadcast.filling(rule(formula))
    loop.__name__, loop.__module__ = formula.__name__, __name__
    return Kernel(loop, sources=(broadcast.__name__, __name__))


@choice
def greater(x, other, y):
    return type(x)(x > other)


@choice
def greater_equal(x, other, y):
    return type(x)(x >= other)


@choice
def equal(x, other, y):
    return type(x)(x == other)


@choice
def not_equal(x, other, y):
    return type(x)(x != other)


@choice
def pick(true, x, y):
    return x if true != type(true)(0) else type(x)(0)


@choice
def first(x, other, y):
    return x


@choice
def floor(x, other, y):
    return rules.floor(x)


def fill(kernel: Kernel, x: Any, other: Any, y: Any, g: Any) -> None:
    """Fill ``y``, of the shape that x and other broadcast to."""
    broadcast.fill(kernel, x, other, y, y, (g, False, True))
