"""What a check looks at: an operator, or any pair of functions, together with one set of inputs."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from numseg import checks
from numseg.errors import ArgumentError, ArgumentTypeError
from numseg.operator import Operator
from numseg.typing import Array

Function: TypeAlias = "Operator[..., Any] | tuple[Callable[..., Any], ...]"
"""An operator, or ``(forward, backward)``: ``y, saved = forward(*inputs)`` and
``gradients = backward(saved, grad_y)``, one for each input that is an array of floats; None for
one that has no gradient. Checks of further derivatives take a third function."""

Inputs: TypeAlias = "Sequence[Any] | Mapping[str, Any]"
"""The arguments of a call, in order or by name."""


class Slot(NamedTuple):
    """A place that a differentiable array takes among the arguments."""

    label: str
    argument: str
    part: int | None = None
    """Its place in an argument that is a sequence of arrays."""


class Subject:
    """A function with its arguments, whose floating-point arrays are brought to one dtype.

    The function gets copies of the arguments, and its results are copied: it may work in place,
    and return views of a buffer that it uses again.
    """

    def __init__(
        self, function: Function, inputs: Inputs, dtype: Any = None, results: str = "first"
    ) -> None:
        self.dtype = np.dtype(np.float64 if dtype is None else dtype)
        self.function = function
        self._forward, self._backward = _faces(function)
        self.name: str = getattr(function, "__name__", getattr(self._forward, "__name__", "pair"))
        self.by_name = isinstance(inputs, Mapping) or isinstance(function, Operator)
        self.arguments = {k: _each(v, self._convert) for k, v in _bound(function, inputs).items()}
        self._all = checks.choice("results", results, ("first", "all")) == "all"
        self._parts: list[tuple[int, tuple[int, ...]]] = []
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

    def start(self) -> tuple[Array, Any]:
        """The first run, which has to show that a check makes sense."""
        y, saved = self.run()
        if y.dtype.kind != "f":
            raise ArgumentTypeError(f"{self.name}: the result has dtype {y.dtype}, not of floats")
        again, _ = self.run()
        if y.shape != again.shape or not np.array_equal(y, again, equal_nan=True):
            raise ArgumentError(f"{self.name}: two runs on the same inputs give different results")
        return y, saved

    def precision(self, y: Array) -> np.dtype[Any]:
        """What the function computes in: it may return float32 whatever it is given."""
        return min(self.dtype, y.dtype, key=lambda dtype: dtype.itemsize)

    def run(self, moved: Mapping[Slot, Array] | None = None) -> tuple[Array, Any]:
        """The results that count, as one array, and what backward needs; with other arrays in
        some slots."""
        arguments = {name: _each(v, _copied) for name, v in self.arguments.items()}
        _fill(arguments, moved or {})
        return self.call(arguments)

    def call(self, arguments: dict[str, Any]) -> tuple[Array, Any]:
        """The same for all arguments."""
        with self._told("forward"):
            if self.by_name:
                y, saved = self._forward(**arguments)
            else:
                y, saved = self._forward(*(arguments[name] for name in self.arguments))
            return self._joined(y), saved

    def gradients(self, saved: Any, grad_y: Array) -> dict[Slot, Array]:
        """The gradients that backward states, their number and shapes checked."""
        with self._told("backward"):
            returned = self._backward(saved, self._split(grad_y))
            return self.by_slot(returned, "backward")

    def by_slot(self, returned: Any, call: str) -> dict[Slot, Array]:
        """Gradients as they are returned, by what they are of; without those that are None."""
        if not isinstance(returned, (tuple, list)):
            returned = (returned,)
        found = [None if g is None else np.array(as_numpy(g)) for g in returned]
        if len(found) != len(self._returned):
            raise ArgumentError(
                f"{self.name}: {call} returned {len(found)} gradients, "
                f"expected {len(self._returned)}"
            )
        gradients = {
            slot: gradient
            for slot, gradient in zip(self._returned, found, strict=True)
            if slot is not None and gradient is not None
        }
        for slot, gradient in gradients.items():
            if gradient.shape != self.array(slot).shape:
                raise ArgumentError(
                    f"{self.name}: the gradient of {slot.label} has shape {gradient.shape}, "
                    f"expected {self.array(slot).shape}"
                )
        return gradients

    def pullback(
        self, grad_y: Array, moved: Mapping[Slot, Array] | None = None
    ) -> dict[Slot, Array]:
        """The gradients for ``grad_y``, from a forward of its own: backward may use up what
        forward saved, and forward may save views of a buffer that it uses again."""
        return self.gradients(self.run(moved)[1], grad_y)

    def pushforward(self, along: Mapping[Slot, Array]) -> Array:
        """The derivative of the result along tangents, by the function's jvp."""
        rule = self.third("jvp")
        if isinstance(self.function, Operator):
            tangents = self.by_argument(along, sparse=True)
            _, tangent = rule(**self.arguments, tangents=tangents)
        else:
            saved = self.run()[1]
            with self._told("jvp"):
                tangent = rule(saved, self.by_argument(along))
        found = np.array(as_numpy(tangent))
        wanted = self.run()[0].shape
        if found.shape != wanted:
            raise ArgumentError(f"{self.name}: jvp has shape {found.shape}, expected {wanted}")
        return found

    def third(self, name: str) -> Callable[..., Any]:
        """The function's further derivative of that name."""
        if isinstance(self.function, tuple) and len(self.function) > 2:
            return self.function[2]
        found = getattr(self.function, name, None)
        if not callable(found):
            raise ArgumentTypeError(
                f"{self.name}: there is no {name}: give (forward, backward, {name})"
            )
        return found

    def by_argument(self, along: Mapping[Slot, Array], sparse: bool = False) -> dict[str, Any]:
        """Tangents of all arguments, or of those only that move."""
        moving = {slot.argument for slot in along}
        tangents = {
            slot.argument: _each(self.arguments[slot.argument], np.zeros_like)
            for slot in self.slots
            if not sparse or slot.argument in moving
        }
        _fill(tangents, along)
        return tangents

    def place(self, y: Array, flat: int) -> str:
        """What a number of the result is called."""
        if not self._all:
            return f"y{place(y, flat)}"
        for number, shape in self._parts:
            size = int(np.prod(shape, dtype=int))
            if flat < size:
                return f"y{number}{place(np.empty(shape), flat)}"
            flat -= size
        raise IndexError(flat)

    def _joined(self, y: Any) -> Array:
        if not self._all:
            return np.array(as_numpy(y[0] if isinstance(y, (tuple, list)) else y))
        results = [as_numpy(part) for part in (y if isinstance(y, (tuple, list)) else (y,))]
        floats = [(number, a) for number, a in enumerate(results) if a.dtype.kind == "f"]
        self._parts = [(number, a.shape) for number, a in floats]
        self._count = len(results)
        return np.concatenate([a.reshape(-1) for _, a in floats] or [np.zeros(0)])

    def _split(self, grad_y: Array) -> Any:
        """What backward takes for ``grad_y``: None for a result of integers."""
        if not self._all:
            return grad_y
        parts: list[Any] = [None] * self._count
        for number, shape in self._parts:
            size = int(np.prod(shape, dtype=int))
            parts[number], grad_y = grad_y[:size].reshape(shape), grad_y[size:]
        return tuple(parts)

    @contextlib.contextmanager
    def _told(self, call: str) -> Iterator[None]:
        """An error inside of the function also says what it was called with."""
        try:
            yield
        except Exception as error:
            error.add_note(f"in {call} of {self.name}, with {self}")
            if self.dtype == np.float64 and not isinstance(error, ArgumentError):
                error.add_note("(a function that takes float32 only: dtype=np.float32)")
            raise

    def _convert(self, value: Any) -> Any:
        array = as_numpy(value) if hasattr(value, "dtype") and hasattr(value, "shape") else value
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


def as_numpy(value: Any) -> Array:
    """A NumPy array of an array of any library, or of a number."""
    if hasattr(value, "detach"):  # PyTorch, which gives no view of what requires a gradient
        value = value.detach().cpu()
    if hasattr(value, "__dlpack__") and not hasattr(value, "__array__"):
        return np.from_dlpack(value)
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise ArgumentTypeError(f"expected an array of real numbers, got {type(value).__name__}")
    return array


def place(array: Array, flat: Any) -> str:
    """The index of an array's number, in brackets."""
    return str([int(i) for i in np.unravel_index(flat, array.shape)]) if array.ndim else ""


def unit(like: Array, flat: int, dtype: Any = None) -> Array:
    """An array of zeros and, at one place, 1."""
    array = np.zeros(like.size, like.dtype if dtype is None else dtype)
    array[flat] = 1
    return array.reshape(like.shape)


def direction(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> Array:
    """Numbers of either sign, none of which is small enough to hide a wrong partner."""
    return np.asarray(rng.choice([-1.0, 1.0], shape) * rng.uniform(0.5, 1.0, shape), dtype)


def change(a: Array, b: Array) -> Array:
    """``a - b`` in float64, and 0 where both are the same infinity or NaN."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    return np.subtract(a, b, where=~same, out=np.zeros_like(a))


def finite(array: Array) -> Array:
    """The array, with 0 for infinities and NaN."""
    return np.where(np.isfinite(array), array, 0)


def size_of(array: Array) -> float:
    """The sum of absolute values."""
    return float(np.sum(np.abs(array), dtype=np.float64))


def relative(left: float, right: float, scale: float) -> float:
    """The error between two numbers; infinite for a NaN on one side only."""
    if left == right:
        return 0.0
    error = abs(left - right) / scale if scale > 0 else np.inf
    return float(error) if error == error else float("inf")


def _faces(function: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
    if hasattr(function, "forward") and hasattr(function, "backward"):
        return function.forward, function.backward
    if isinstance(function, tuple) and len(function) >= 2 and all(map(callable, function)):
        return function[:2]
    raise ArgumentTypeError(
        f"function must be an operator or a pair (forward, backward), got {function!r}"
    )


def _bound(function: Any, inputs: Inputs) -> dict[str, Any]:
    """The arguments by name, in the order of the signature."""
    if not isinstance(inputs, (list, tuple, Mapping)):
        raise ArgumentTypeError(
            f"inputs must be a list, tuple or mapping of arguments, got {type(inputs).__name__}"
        )
    if isinstance(function, Operator):
        args, kwargs = ((), dict(inputs)) if isinstance(inputs, Mapping) else (inputs, {})
        function.parameters.values(args, kwargs)  # says what is wrong
        given = dict(zip(inspect.signature(function).parameters, args, strict=False)) | kwargs
        return {n: given[n] for n in inspect.signature(function).parameters if n in given}
    if isinstance(inputs, Mapping):
        return dict(inputs)
    parameters = inspect.signature(_faces(function)[0]).parameters.values()
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    names += [f"input {j}" for j in range(len(names), len(inputs))]
    return dict(zip(names, inputs, strict=False))


def _fill(arguments: dict[str, Any], arrays: Mapping[Slot, Array]) -> None:
    """Put arrays into their slots."""
    for slot, array in arrays.items():
        if slot.part is None:
            arguments[slot.argument] = array
        else:
            arguments[slot.argument][slot.part] = array


def _copied(value: Any) -> Any:
    return value.copy() if isinstance(value, np.ndarray) else value


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
