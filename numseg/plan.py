"""What is known of a call without its values: shapes, dtypes, geometry, cost."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import numpy as np

from numseg import checks
from numseg.errors import ArgumentTypeError, shown
from numseg.forks import cached_property
from numseg.geometry import POINTWISE, Reach
from numseg.typing import Shape

R = TypeVar("R")


class Spec(NamedTuple):
    """An array without its values."""

    shape: Shape
    dtype: np.dtype[Any] = np.dtype(np.float32)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize


@dataclasses.dataclass(frozen=True)
class Plan(Generic[R]):
    """What one call will do, known from shapes, dtypes and parameters alone.

    An operator's function returns it. ``R`` is the type of the call's result.
    """

    outputs: tuple[Spec, ...]
    """What ``forward`` fills: the results first, then what only ``backward`` needs."""
    geometry: Any
    """A NamedTuple of numbers: all that kernels know of the call besides the arrays."""
    results: int = 1
    """How many of the outputs the caller gets."""
    flops: int = 0
    """Floating-point operations of ``forward``; a multiply-add is two."""
    reach: tuple[Reach, Reach] | None = POINTWISE
    """Which input rows and columns an output pixel reads; None where it reads all of them."""
    grid: int | None = 1
    """Output pixels so many rows and columns apart are computed and rounded alike; None where
    each depends on its place in the image."""
    linear: bool = True
    """False where this call is not linear, though the operator is with other parameters."""
    inputs: tuple[Any, ...] = ()
    """The specs of the array arguments, filled in by the operator."""
    parameters: dict[str, Any] = dataclasses.field(default_factory=dict, compare=False)
    """The other arguments, by name, filled in by the operator."""

    @cached_property
    def fills_nothing(self) -> bool:
        """All outputs are empty: however long the other axes are, there is nothing to do."""
        return all(0 in spec.shape for spec in self.outputs)

    def specs(self, arguments: Sequence[str], names: Sequence[str]) -> dict[str, Any]:
        """Of the array arguments with these names, what the call was planned with."""
        given = dict(zip(arguments, self.inputs, strict=True))
        return {name: given[name] for name in names}

    def given(self, outputs: Sequence[Any]) -> Any:
        """Of what belongs to the outputs, what belongs to the results: one, or a tuple."""
        return outputs[0] if self.results == 1 else tuple(outputs[: self.results])

    def copy(self) -> Plan[R]:
        """One that its owner may change without changing another's parameters."""
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__dict__, parameters=self.parameters.copy())
        return copy

    @property
    def cost(self) -> Cost:
        """What ``forward`` costs at least."""
        read = [spec for entry in self.inputs for spec in flat(entry)]
        written = self.outputs[: self.results]
        return Cost(self.flops, sum(spec.nbytes for spec in (*read, *written)))


class Step(NamedTuple):
    """An operator that another one applies to its result: its call, but for that result."""

    arrays: tuple[Any, ...]
    geometry: Any


class Saved(Protocol):
    """What ``forward`` saved: a NamedTuple with an array for each name in ``saves``, then the plan.

    ``max_pool2d`` saves its indices: ``MaxPool2dSaved(indices, plan)``.
    """

    @property
    def plan(self) -> Plan[Any]: ...
    def __getattr__(self, name: str) -> Any: ...
    def __getitem__(self, place: Any, /) -> Any: ...
    def __iter__(self) -> Iterator[Any]: ...
    def _replace(self, **arrays: Any) -> Saved: ...


class Plans:
    """The plans of one operator's latest calls, by their arguments: calls are often repeated."""

    MOST = 256

    def __init__(self, parameters: int, arrays: Sequence[int]) -> None:
        self._known: dict[Any, Plan[Any]] = {}
        self._arrays = tuple(arrays)
        self._others = tuple(place for place in range(parameters) if place not in arrays)

    def key(self, values: Sequence[Any]) -> Any:
        """What stands for the arguments of a call; None if nothing can. Of a NumPy array, or a
        Spec in its place, that is its shape and dtype."""
        try:
            return (
                *[_shape_and_dtype(values[place]) for place in self._arrays],
                *[_exact(values[place]) for place in self._others],
            )
        except TypeError:
            return None

    def get(self, key: Any) -> Plan[Any] | None:
        """The plan, if it is known. It is everybody's: hand on a copy (:meth:`Plan.copy`)."""
        return self._known.get(key)

    def add(self, key: Any, plan: Plan[Any]) -> None:
        """Remember a plan."""
        if len(self._known) >= self.MOST:
            self._known.clear()
        self._known[key] = plan


def _shape_and_dtype(value: Any) -> Any:
    kind = type(value)
    if kind is np.ndarray:
        return value.shape, value.dtype
    if kind is Spec or value is None:
        return value
    if kind is list or kind is tuple:
        return tuple(map(_shape_and_dtype, value))
    raise TypeError(f"a {kind.__name__} has no key")


def _exact(value: Any) -> Any:
    """1, 1.0 and True are three."""
    kind = type(value)
    if kind in _PLAIN:
        return kind, value
    if kind is float:
        return repr(value)  # 0.0 and -0.0 are two
    if kind is tuple or kind is list:
        return kind, tuple(map(_exact, value))
    raise TypeError(f"a {kind.__name__} has no key")


_PLAIN = {int, str, bool, type(None)}


class Cost(NamedTuple):
    """What a call of ``forward`` costs at least."""

    flops: int
    bytes: int
    """Each input read once, each output written once."""


# An *entry* is what stands for one array argument: an array (or a Spec), a tuple of them for a
# sequence of arrays, None where the argument is not given.


def flat(entry: Any) -> list[Any]:
    """The arrays of one argument: several for a sequence, none for None."""
    if entry is None:
        return []
    if isinstance(entry, (list, tuple)) and not isinstance(entry, Spec):
        return list(entry)
    return [entry]


def each(entry: Any, do: Callable[[Any], Any]) -> Any:
    """Apply to an array argument, to each array of a sequence, and not to None."""
    if entry is None:
        return None
    if isinstance(entry, (list, tuple)) and not isinstance(entry, Spec):
        return tuple(map(do, entry))
    return do(entry)


def spec_of(view: Any) -> Spec:
    """What is known of an array without its values, byte order aside."""
    return Spec(tuple(view.shape), view.dtype.newbyteorder("="))


def specs_of(name: str, value: Any, dtype: np.dtype[Any], several: bool = False) -> Any:
    """A Spec from a Spec, an array or a shape; a tuple from a sequence of them, if ``several``."""
    if value is None:
        return None
    if several:
        if (
            not isinstance(value, (list, tuple))
            or isinstance(value, Spec)
            or any(v is None for v in value)
        ):
            raise ArgumentTypeError(f"{name} must be a sequence of shapes, got {shown(value)}")
        return tuple(specs_of(f"{name}[{i}]", part, dtype) for i, part in enumerate(value))
    if isinstance(value, Spec):
        return value
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return spec_of(value)
    if not isinstance(value, (list, tuple)):
        raise ArgumentTypeError(f"{name} must be a shape, got {shown(value)}")
    return Spec(tuple(checks.integer(f"{name}'s shape", size, 0) for size in value), dtype)


def widened(plan: Plan[R]) -> Plan[R]:
    """The same call with float64 in the place of float32."""

    def wide(spec: Spec) -> Spec:
        return spec._replace(dtype=np.dtype(np.float64)) if spec.dtype.kind == "f" else spec

    return dataclasses.replace(
        plan,
        inputs=tuple(each(entry, wide) for entry in plan.inputs),
        outputs=tuple(map(wide, plan.outputs)),
    )
