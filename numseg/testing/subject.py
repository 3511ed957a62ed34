"""What a check looks at: an operator, or any pair of functions, together with one set of inputs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from numseg.errors import ArgumentError, ArgumentTypeError
from numseg.operator import Operator
from numseg.typing import Array

Function: TypeAlias = "Operator[..., Any] | tuple[Callable[..., Any], Callable[..., Any]]"
"""An operator, or ``(forward, backward)``: ``y, saved = forward(*inputs)`` and
``gradients = backward(saved, grad_y)``, one for each input that is an array of floats; None for
one that has no gradient."""

Inputs: TypeAlias = "Sequence[Any] | Mapping[str, Any]"
"""The arguments of a call, in order or by name."""


class Slot(NamedTuple):
    """A place that a differentiable array takes among the arguments."""

    label: str
    argument: str
    part: int | None = None
    """Its place in an argument that is a sequence of arrays."""


class Subject:
    """A function with its arguments, whose floating-point arrays are brought to one dtype."""

    def __init__(self, function: Function, inputs: Inputs, dtype: Any) -> None:
        self.dtype = np.dtype(dtype)
        self.function = function
        self._forward, self._backward = _faces(function)
        self.name: str = getattr(function, "__name__", getattr(self._forward, "__name__", "pair"))
        self._by_name = isinstance(inputs, Mapping) or isinstance(function, Operator)
        self.arguments = {k: _each(v, self._convert) for k, v in _bound(function, inputs).items()}
        self._returned = self._expected_gradients()
        self.slots = [slot for slot in self._returned if slot is not None]

    def __str__(self) -> str:
        return ", ".join(f"{name}={_described(v)}" for name, v in self.arguments.items())

    def array(self, slot: Slot) -> Array:
        value = self.arguments[slot.argument]
        return value if slot.part is None else value[slot.part]

    def movable(self, slot: Slot, step: Array) -> Array:
        """The step without the parts that an operator takes no derivative of."""
        fixed = getattr(self.function, "fixed", {}).get(slot.argument)
        if fixed is not None:
            step = step.copy()
            step[fixed] = 0
        return step

    def run(self, slot: Slot | None = None, array: Array | None = None) -> tuple[Array, Any]:
        """The (first) result and what backward needs, with ``array`` in the slot."""
        arguments = dict(self.arguments)
        if slot is not None:
            new: Any = array
            if slot.part is not None:
                new = list(arguments[slot.argument])
                new[slot.part] = array
            arguments[slot.argument] = new
        if self._by_name:
            y, saved = self._forward(**arguments)
        else:
            y, saved = self._forward(*arguments.values())
        return np.asarray(y[0] if isinstance(y, tuple) else y), saved

    def gradients(self, saved: Any, grad_y: Array) -> dict[Slot, Array]:
        """The gradients that backward states, their number and shapes checked."""
        returned = self._backward(saved, grad_y)
        if not isinstance(returned, (tuple, list)):
            returned = (returned,)
        if len(returned) != len(self._returned):
            raise ArgumentError(
                f"{self.name}: backward returned {len(returned)} gradients, "
                f"expected {len(self._returned)}"
            )
        gradients = {
            slot: np.asarray(gradient)
            for slot, gradient in zip(self._returned, returned, strict=True)
            if slot is not None and gradient is not None
        }
        for slot, gradient in gradients.items():
            if gradient.shape != self.array(slot).shape:
                raise ArgumentError(
                    f"{self.name}: the gradient of {slot.label} has shape {gradient.shape}, "
                    f"expected {self.array(slot).shape}"
                )
        return gradients

    def _convert(self, value: Any) -> Any:
        array = np.asarray(value) if hasattr(value, "dtype") and hasattr(value, "shape") else value
        if isinstance(array, np.ndarray) and array.dtype.kind == "f":
            return array.astype(self.dtype)
        return array

    def _expected_gradients(self) -> list[Slot | None]:
        """What each gradient that backward returns is of; None where there is nothing to check."""
        slots: list[Slot | None] = []
        is_operator = isinstance(self.function, Operator)
        for name in getattr(self.function, "differentiable", self.arguments):
            value = self.arguments.get(name)
            if isinstance(value, (list, tuple)) and all(isinstance(v, np.ndarray) for v in value):
                slots += [Slot(f"{name}[{j}]", name, j) for j in range(len(value))]
            elif isinstance(value, np.ndarray) and value.dtype.kind == "f":
                slots.append(Slot(name, name))
            elif is_operator:
                slots.append(None)
        return slots


def change(a: Array, b: Array) -> Array:
    """``a - b`` in float64, and 0 where both are the same infinity or NaN."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    return np.subtract(a, b, where=~same, out=np.zeros_like(a))


def finite(array: Array) -> Array:
    """The array, with 0 for infinities and NaN."""
    return np.where(np.isfinite(array), array, 0)


def _faces(function: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
    if hasattr(function, "forward") and hasattr(function, "backward"):
        return function.forward, function.backward
    if isinstance(function, tuple) and len(function) == 2 and all(map(callable, function)):
        return function
    raise ArgumentTypeError(
        f"function must be an operator or a pair (forward, backward), got {function!r}"
    )


def _bound(function: Any, inputs: Inputs) -> dict[str, Any]:
    """The arguments by name, in the order of the signature."""
    if isinstance(inputs, Mapping):
        named = dict(inputs)
        return function._arguments((), named) if isinstance(function, Operator) else named
    if not isinstance(inputs, (list, tuple)):
        raise ArgumentTypeError(
            f"inputs must be a list, tuple or mapping of arguments, got {type(inputs).__name__}"
        )
    if isinstance(function, Operator):
        return function._arguments(inputs, {})
    parameters = inspect.signature(_faces(function)[0]).parameters.values()
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    names += [f"input {j}" for j in range(len(names), len(inputs))]
    return dict(zip(names, inputs, strict=False))


def _each(value: Any, do: Callable[[Any], Any]) -> Any:
    if isinstance(value, (list, tuple)) and any(hasattr(part, "shape") for part in value):
        return list(map(do, value))
    return do(value)


def _described(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype}{list(value.shape)}"
    if isinstance(value, list) and any(isinstance(v, np.ndarray) for v in value):
        return f"[{', '.join(map(_described, value))}]"
    return repr(value)
