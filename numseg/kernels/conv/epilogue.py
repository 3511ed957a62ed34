"""The epilogue of a convolution: what is done to an output once its sum is known.

In this order, each if it is asked for: normalise each channel, add a number, one activation. Each
step rounds as the operator does that it stands for, with the same formulas, so the bits are those
of one operator after the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from numseg.kernels.machine.jit import kernel, rule
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


class Epilogue(NamedTuple):
    """All arrays are read-only: whatever they hold, one kernel."""

    norm: Array
    """(3, channels), float64: centre, scale and shift; or (3, 0)."""
    terms: Array
    """As many as y has numbers, or none."""
    numbers: Array
    """Float64: the numbers of a plane of y, the activation, and its two parameters."""

    @property
    def hides(self) -> bool:
        """Whether what is not finite may become finite."""
        return bool(self.numbers[1])


def epilogue(
    y: Array,
    norm: Array | None = None,
    terms: Array | None = None,
    activation: str = "none",
    parameters: Sequence[float] = (),
) -> Epilogue:
    """For the convolution that fills y. ``parameters`` are the activation's first two."""
    first, second, *_ = (*parameters, 0.0, 0.0)
    plane = y.shape[2] * y.shape[3]
    numbers = np.array([plane, ACTIVATIONS.index(activation), first, second], np.float64)
    numbers.flags.writeable = False
    return Epilogue(
        _NO_NORM if norm is None else norm,
        _NO_TERMS[y.dtype.itemsize] if terms is None else terms,
        numbers,
    )


def _nothing(*shape: int, dtype: str) -> Array:
    array = np.empty(shape, dtype)
    array.flags.writeable = False
    return array


_NO_NORM = _nothing(3, 0, dtype="f8")
_NO_TERMS: Mapping[int, Any] = {size: _nothing(0, dtype=f"f{size}") for size in (4, 8)}


@rule
def apply_epilogue(line, first, epilogue):
    """To numbers of a plane of y, from the given one of y on, while they are in the cache."""
    numbers, norm = epilogue.numbers, epilogue.norm
    if norm.shape[1] > 0:
        channel = first // np.int64(numbers[0]) % norm.shape[1]
        centre, scale, shift = norm[0, channel], norm[1, channel], norm[2, channel]
        for i in range(len(line)):
            line[i] = _normalised(line[i], centre, scale, shift)
    if len(epilogue.terms) > 0:
        terms = epilogue.terms[first : first + len(line)]
        for i in range(len(line)):
            line[i] += terms[i]
    activate(line, np.int64(numbers[1]), numbers[2], numbers[3])


@rule
def activate(line, activation, a, b):
    if activation == 1:
        for i in range(len(line)):
            line[i] = activations.rectify(line[i])
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
    plane = np.int64(epilogue.numbers[0])
    for unit in range(start, stop):
        first = unit * plane
        apply_epilogue(y[first : first + plane], first, epilogue)


def epilogue_pass(y: Array, epilogue: Epilogue | None) -> None:
    """In a pass of its own, after a kernel that has none built in."""
    if epilogue is not None:
        launch(_apply, y.shape[0] * y.shape[1], y.size, y.reshape(-1), epilogue)
