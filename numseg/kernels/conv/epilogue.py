"""The epilogue of a convolution: what is done to an output once its sum is known.

In this order, each if it is asked for: normalise each channel, add a number, one activation. Each
step rounds as the operator does that it stands for, with the same formulas, so the bits are those
of one operator after the other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from numseg.kernels.machine.jit import kernel, rule
from numseg.kernels.machine.run import length_of, number_of, run, run_of
from numseg.kernels.machine.threads import launch
from numseg.kernels.pointwise import activations
from numseg.kernels.pointwise.elementwise import inlined
from numseg.typing import Array

ACTIVATIONS = "none", "relu", "hard_swish", "silu", "sigmoid", "hard_sigmoid", "clip"
"""By their numbers."""

_hard_swish, _silu, _sigmoid, _hard_sigmoid, _clip, _normalised = (
    inlined(formula.py_func)
    for formula in (
        activations.hard_swish, activations.silu, activations.sigmoid, activations.hard_sigmoid,
        activations.clip, activations.normalised,
    )
)  # fmt: skip


def _rectify(x):
    """``rectify(x)``. 0 is added, which makes 0.0 of -0.0, because LLVM leaves a number that stays
    as it is where it is, by a jump that is foretold wrongly wherever signs are mixed."""
    zero = type(x)(0)
    return (zero if x < zero else x) + zero


_rectified = inlined(_rectify)


class Epilogue(NamedTuple):
    """All arrays but ``seen`` are read-only: whatever they hold, one kernel. Those that are not
    asked for are empty."""

    mean: Array
    """Of each channel; likewise the next three."""
    var: Array
    weight: Array
    bias: Array
    terms: Array
    """As many as y has numbers."""
    numbers: Array
    """Float64: the numbers of a plane of y, the activation, its two parameters, the norm's eps, and
    a pixel of each plane."""
    seen: Array
    """(1,): not 0 once a sum of such a pixel was not finite, before anything was done to it."""


def prepared(
    shape: tuple[int, ...],
    itemsize: int,
    eps: float | None = None,
    terms: bool = False,
    activation: str = "none",
    parameters: Sequence[float] = (),
    pixel: int = -1,
) -> Callable[..., Epilogue]:
    """What makes the epilogue of a convolution that fills y of this shape, given the arrays: first
    those of the norm, if there is one (its ``eps``), then the terms, if there are any.
    ``parameters`` are the activation's first two."""
    first, second, *_ = (*parameters, 0.0, 0.0)
    plane, number = shape[2] * shape[3], ACTIVATIONS.index(activation)
    numbers = np.array([plane, number, first, second, eps or 0.0, pixel], np.float64)
    numbers.flags.writeable = False
    none = _NOTHING[itemsize]
    norm = 0 if eps is None else 4

    def make(*arrays: Array | None) -> Epilogue:
        given = [none if array is None else array for array in arrays[:norm]]
        mean, var, weight, bias = given or [none] * 4
        added = arrays[norm].reshape(-1) if terms else none  # type: ignore[union-attr]
        return Epilogue(mean, var, weight, bias, added, numbers, np.zeros(1, np.int64))

    return make


def _nothing(itemsize: int) -> Array:
    array = np.empty(0, f"f{itemsize}")
    array.flags.writeable = False
    return array


_NOTHING: Mapping[int, Array] = {size: _nothing(size) for size in (4, 8)}


LINE = 2048
"""Numbers, at most, to which all is done before the next: they stay in the first-level cache."""

_number, _mean, _var, _weight, _bias = (
    number_of(name) for name in ("numbers", "mean", "var", "weight", "bias")
)
_means, _weights, _biases, _all_terms = (
    length_of(name) for name in ("mean", "weight", "bias", "terms")
)
_terms, _seen = run_of("terms"), run_of("seen")


@rule
def apply_epilogue(out, at, count, first, planes, epilogue):
    """To ``out[at : at + count]``, numbers of a plane of y from y's ``first`` on, while they are in
    the cache; and to as many numbers of each of the ``planes - 1`` planes that follow. A call
    counts references of all arrays: one for each short plane would take longer than the plane."""
    plane, activation = np.int64(_number(epilogue, 0)), np.int64(_number(epilogue, 1))
    pixel, channel = np.int64(_number(epilogue, 5)) - first % plane, first // plane
    channels = _means(epilogue)
    for number in range(planes):
        if 0 <= pixel < count and not math.isfinite(out[at + pixel]):
            _seen(epilogue, 0, 1)[0] = 1
        centre, scale, shift = 0.0, 1.0, 0.0
        if channels > 0:
            c = (channel + number) % channels
            root = math.sqrt(np.float64(_var(epilogue, c)) + _number(epilogue, 4))
            centre = np.float64(_mean(epilogue, c))
            scale = (np.float64(_weight(epilogue, c)) if _weights(epilogue) > 0 else 1.0) / root
            shift = np.float64(_bias(epilogue, c)) if _biases(epilogue) > 0 else 0.0
        for begin in range(0, count, LINE):
            line = run(out, at + begin, min(LINE, count - begin))
            if channels > 0:
                for i in range(len(line)):
                    line[i] = _normalised(line[i], centre, scale, shift)
            if _all_terms(epilogue) > 0:
                terms = _terms(epilogue, first + begin, len(line))
                for i in range(len(line)):
                    line[i] += terms[i]
            activate(line, activation, _number(epilogue, 2), _number(epilogue, 3))
        at, first = at + plane, first + plane


@rule
def activate(line, activation, a, b):
    if activation == 1:
        for i in range(len(line)):
            line[i] = _rectified(line[i])
    elif activation == 2:
        for i in range(len(line)):
            line[i] = _hard_swish(line[i])
    elif activation == 3:
        for i in range(len(line)):
            line[i] = _silu(line[i])
    elif activation == 4:
        for i in range(len(line)):
            line[i] = _sigmoid(line[i])
    elif activation == 5:
        for i in range(len(line)):
            line[i] = _hard_sigmoid(line[i], a, b)
    elif activation == 6:
        for i in range(len(line)):
            line[i] = _clip(line[i], a, b)


@kernel()
def _apply(start, stop, y, epilogue):
    """A unit is a plane."""
    plane = np.int64(_number(epilogue, 0))
    apply_epilogue(y, start * plane, plane, start * plane, stop - start, epilogue)


def epilogue_pass(y: Array, epilogue: Epilogue | None) -> None:
    """In a pass of its own, after a kernel that has none built in."""
    if epilogue is not None:
        launch(_apply, y.shape[0] * y.shape[1], y.size, y.reshape(-1), epilogue)
