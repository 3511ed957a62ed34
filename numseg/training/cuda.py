"""The optimisers' steps on CUDA. A thread owns one number of a parameter and of its state, which it
may write in place: no other thread reads or writes it."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from numseg.cuda.launch import Kernel, Reals, kernel, launch, thread
from numseg.device import Cuda


class Sgd(NamedTuple):
    """What a step of SGD has besides arrays."""

    lr: float
    momentum: float
    weight_decay: float


class AdamStep(NamedTuple):
    """What a step of Adam has besides arrays."""

    scale: float
    """``lr / (1 - beta1**t)``."""
    root: float
    """``sqrt(1 - beta2**t)``."""
    new1: float
    """``1 - beta1``: the share of the gradient in its mean."""
    beta2: float
    new2: float
    eps: float
    weight_decay: float


@kernel
def _sgd(p: Reals, b: Reals, grad: Reals, new_p: Reals, new_b: Reals, s: Sgd) -> None:
    i, plane = thread()
    if i < p.size and plane == 0:  # there may be threads for more planes than one
        g = grad[i]
        if s.weight_decay > p.dtype.type(0):
            g += s.weight_decay * p[i]
        new = s.momentum * b[i] + g
        new_b[i] = new
        new_p[i] = p[i] - s.lr * new


@kernel
def _adam(
    p: Reals, m: Reals, v: Reals, grad: Reals, new_p: Reals, new_m: Reals, new_v: Reals, s: AdamStep
) -> None:
    i, plane = thread()
    if i < p.size and plane == 0:  # there may be threads for more planes than one
        g = grad[i]
        if s.weight_decay > p.dtype.type(0):
            g += s.weight_decay * p[i]
        mean = m[i] + s.new1 * (g - m[i])
        square = s.beta2 * v[i] + s.new2 * (g * g)
        new_m[i] = mean
        new_v[i] = square
        root = p.dtype.type(math.sqrt(square))  # in the simulator it is a float64
        new_p[i] = p[i] - s.scale * (mean / (root / s.root + s.eps))


def sgd(arrays: dict[str, Any], step: Sgd, donate: bool) -> tuple[Any, ...]:
    """The new p and b of one parameter, given p, b and its gradient, with names for errors."""
    return _updated(_sgd, arrays, step, donate)


def adam(arrays: dict[str, Any], step: AdamStep, donate: bool) -> tuple[Any, ...]:
    """The new p, m and v of one parameter, given those and its gradient, with names for errors."""
    return _updated(_adam, arrays, step, donate)


def _updated(update: Kernel, arrays: dict[str, Any], step: Any, donate: bool) -> tuple[Any, ...]:
    """Donated arrays of Numba's own are written to in place, if they are C-contiguous; those of
    another library may be read-only."""
    given = tuple(Cuda.normal(Cuda.view(name, array)) for name, array in arrays.items())
    targets = tuple(
        view if donate and view is array else Cuda.empty(view.shape, view.dtype)
        for view, array in zip(given[:-1], arrays.values(), strict=False)
    )
    launch(update, 1, given[0].size, *given, *targets, step)
    return targets
