"""What a convolution on CUDA does to a number before it is stored, as on the CPU.

In this order, each if it is asked for: normalise each channel by constants, add a number, one
activation. The formulas are those of the operators that they stand for, in the same precision and
order, so the bits are those of one operator after the other.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

from numseg.cuda import elementary, normalising
from numseg.cuda.launch import given, quotient
from numseg.cuda.runtime import cuda
from numseg.kernels.conv.epilogue import ACTIVATIONS
from numseg.kernels.pointwise import activations

elementary.register()


class Last(NamedTuple):
    """The activation, by its number, and its first two parameters."""

    activation: int = 0
    first: float = 0.0
    second: float = 0.0


class Epilogue(NamedTuple):
    """The last arguments of a kernel. Arrays are empty where nothing is asked for."""

    norms: Any
    """What :func:`numseg.cuda.normalising.constants` returns."""
    terms: Any
    """As many as the result has numbers."""
    last: Last


def nothing(dtype: Any) -> Epilogue:
    """Of a result that is stored as it is."""
    return Epilogue(given(None, dtype), given(None, dtype), _last("none", ()))


@functools.lru_cache(maxsize=256)
def _last(name: str, parameters: tuple[float, ...]) -> Last:
    """One object for each, which kernels find packed."""
    return Last(ACTIVATIONS.index(name), *parameters)


def prepared(dtype: Any, steps: Mapping[str, Any]) -> Epilogue:
    """Of operators, each by its name and its :class:`numseg.plan.Step`."""
    rest = dict(steps)
    norm, add = rest.pop("batch_norm", None), rest.pop("add", None)
    name, step = next(iter(rest.items()), ("none", None))
    parameters = step.geometry.parameters[:2] if step else ()
    norms = given(None, dtype)
    if norm:
        mean, var, weight, bias = norm.arrays
        norms = normalising.constants(mean, var, weight, bias, norm.geometry.eps)
    terms = add.arrays[0] if add else given(None, dtype)
    return Epilogue(norms, terms, _last(name, parameters))


@cuda.jit(device=True)
def finished(total: Any, channel: Any, place: Any, norms: Any, terms: Any, last: Any) -> Any:
    """A number of the result; ``place`` is where it will be."""
    if norms.size > 0:
        channels = quotient(norms.size, 3)
        scale, shift = norms[channels + channel], norms[2 * channels + channel]
        total = (total - norms[channel]) * scale + shift
    if terms.size > 0:
        total = total + terms[place]
    if last.activation == 1:
        return activations.rectify(total)
    if last.activation == 2:
        return activations.hard_swish(total)
    if last.activation == 3:
        return activations.silu(total)
    if last.activation == 4:
        return activations.sigmoid(total)
    if last.activation == 5:
        return activations.hard_sigmoid(total, last.first, last.second)
    if last.activation == 6:
        return activations.clip(total, last.first, last.second)
    return total
