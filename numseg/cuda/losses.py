"""What the kernels of losses share on CUDA. A thread owns elements of a stride; what it adds up of
them is carried as a pair (:mod:`numseg.cuda.pairs`), so that a sum is rounded once, in the end."""

from __future__ import annotations

from typing import Any, NamedTuple

from numseg.cuda import elementary, pairs
from numseg.cuda.launch import Reals, dense, kernel, launch, thread
from numseg.cuda.runtime import cuda
from numseg.kernels.pointwise.elementary import decay, log1p

elementary.register()


class Elements(NamedTuple):
    """Elements, and how threads are laid over them."""

    size: int
    threads: int
    """As many as the steps from an element of a thread to its next; parts of the sum."""


def _elements_of(size: int) -> Elements:
    return Elements(size, pairs.parts(1, size))


def over_elements(kernel: Any, size: int, *args: Any) -> None:
    """Launch a kernel whose last argument is :class:`Elements`. A thread whose place is below
    ``threads`` has the elements from there on, ``threads`` apart."""
    g = _elements_of(size)
    launch(kernel, 1, g.threads, *args, g)


def parts_of(quantities: int, size: int, dtype: Any, wanted: bool = True) -> Any:
    """Where each thread of :func:`over_elements` keeps its part of so many sums."""
    return pairs.room(quantities, _elements_of(size).threads if wanted else 0, 1, dtype)


def average(addends: Any, y: Any, divisor: float) -> None:
    """The sum of the parts, divided."""
    launch(_divide, 1, 1, pairs.totals(addends), y, divisor)


@kernel
def _divide(sums: Reals, y: Reals, divisor: float) -> None:
    i, _ = thread()
    if i == 0:
        y[0] = pairs.rounded(sums[0], sums[1]) / divisor


def labels_of(target: Any) -> Any:
    """Labels, of the one integer type that kernels take."""
    return target if target.dtype == "int64" else dense(target, "int64")


@cuda.jit(device=True)
def grad_of(grads: Any, i: Any) -> Any:
    """The gradient of an element's loss: its own, or the only one."""
    return grads[i if grads.size > 1 else 0]


@cuda.jit(device=True)
def times(factor: Any, value: Any) -> Any:
    """The product, and 0 where the factor is 0, whatever the value."""
    return factor if factor == 0 else factor * value


@cuda.jit(device=True)
def sigmoids(x: Any) -> Any:
    """sigmoid(x) and sigmoid(-x), each with its digits where it is small."""
    one = type(x)(1)
    e = decay(-abs(x))
    large = one / (one + e)
    small = e * large
    return (large, small) if x > 0 else (small, large)


@cuda.jit(device=True)
def softpluses(x: Any) -> Any:
    """softplus(x) and softplus(-x): ``log(1 + exp(x))`` is -log sigmoid(-x)."""
    zero = type(x)(0)
    soft = type(x)(log1p(decay(-abs(x))))
    return soft + (x if x > 0 else zero), soft + (-x if x < 0 else zero)


@cuda.jit(device=True)
def power(base: Any, exponent: Any) -> Any:
    """``base**exponent`` for a base in [0, 1] and an exponent of at least 0; NaN stays."""
    return base if base != base else base**exponent
