"""What a graph is made of: values, and the nodes and parameters that give them."""

from __future__ import annotations

import abc
import dataclasses
import enum
import hashlib
import math
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np

from numseg.operator import Operator, Spec
from numseg.typing import Array, Shape


@dataclasses.dataclass(frozen=True)
class Value:
    """An edge of the graph: an input, a parameter, or one result of a node."""

    source: str
    result: int = 0

    @property
    def size(self) -> SizeOf:
        """Its rows and columns, as an attribute of another node: known when the graph runs."""
        return SizeOf(self)


class Measured(abc.ABC):
    """An attribute that follows from the shapes of values: known when the graph runs."""

    values: tuple[Value, ...]
    """Whose shapes it asks for."""

    @abc.abstractmethod
    def of(self, *shapes: Shape) -> Any:
        """The attribute, where the values have these shapes."""

    @abc.abstractmethod
    def on(self, values: tuple[Value, ...]) -> Measured:
        """The same attribute, of other values."""


@dataclasses.dataclass(frozen=True)
class SizeOf(Measured):
    """An attribute: the rows and columns of a value, or a share of them."""

    value: Value
    factor: Fraction = Fraction(1)

    @property
    def values(self) -> tuple[Value, ...]:  # type: ignore[override]
        return (self.value,)

    def scaled(self, factor: float) -> SizeOf:
        """The pixels that it takes to go from the centre of the first to that of the last, a
        ``factor`` apart: ``(n - 1) * factor + 1`` of n, rounded down, as Caffe's Interp layer has
        it. An image resized to that with ``align_corners=True`` is scaled by the factor exactly."""
        return SizeOf(self.value, self.factor * Fraction(factor))

    def of(self, *shapes: Shape) -> Shape:
        """The rows and columns, where the value has this shape."""
        (shape,) = shapes
        return tuple(math.floor((size - 1) * self.factor) + 1 for size in shape[-2:])

    def on(self, values: tuple[Value, ...]) -> SizeOf:
        return dataclasses.replace(self, value=values[0])


@dataclasses.dataclass(frozen=True)
class Derived(Measured):
    """An attribute that a rule makes of the shapes of values.

    The rule is compared and hashed with the node: a frozen dataclass, say, whose ``__call__`` takes
    the shapes. ``Derived((x,), rule)`` is ``rule(x.shape)``.
    """

    values: tuple[Value, ...]
    rule: Callable[..., Any]

    def of(self, *shapes: Shape) -> Any:
        return self.rule(*shapes)

    def on(self, values: tuple[Value, ...]) -> Derived:
        return dataclasses.replace(self, values=values)


class Late(enum.Enum):
    """An attribute that each run of the graph sets."""

    TRAINING = "whether this is a training step"
    SEED = "a number of the run's seed, the step and the node's name"


Entry: TypeAlias = "Value | tuple[Value, ...] | None"
"""One array argument of a node; a tuple where the operator takes a sequence of arrays."""

Init: TypeAlias = Callable[[Shape, np.random.Generator], Array]
"""Makes a parameter's start value."""


@dataclasses.dataclass(frozen=True)
class Input:
    """An array that each run is given."""

    name: str
    check: Callable[[Spec], None] | None = None
    """Raises ArgumentError for a shape that the network does not take."""
    centred: bool = False
    """Only sizes at which the pixels of every node lie centred on it are taken."""


@dataclasses.dataclass(frozen=True)
class Param:
    """An array that is learned, kept as state, or constant."""

    name: str
    shape: Shape
    init: Init
    trainable: bool = True
    """False: a constant, which training leaves as it is."""

    @property
    def size(self) -> int:
        return Spec(self.shape).size


@dataclasses.dataclass(frozen=True)
class Node:
    """An operator applied to values."""

    name: str
    operator: Operator[..., Any]
    inputs: tuple[Entry, ...]
    """The array arguments, in the order of ``operator.inputs``."""
    attributes: tuple[tuple[str, Any], ...]
    """The other arguments."""
    results: int = 1

    @property
    def values(self) -> tuple[Value, ...]:
        """What the node gives."""
        return tuple(Value(self.name, result) for result in range(self.results))

    def reads(self) -> Iterator[Value]:
        """The values it needs, one by one, in the order of its arguments."""
        for entry in self.inputs:
            yield from flat(entry)

    def entries(self, names: Iterable[str]) -> dict[str, Entry]:
        """Its array arguments of these names."""
        entries = dict(zip(self.operator.inputs, self.inputs, strict=True))
        return {name: entries[name] for name in names}

    def differentiable(self) -> dict[str, Entry]:
        """The array arguments that its operator has a gradient for."""
        return self.entries(self.operator.differentiable)

    def updates(self) -> dict[str, str]:
        """State that it replaces in a training step, by the name of the parameter: what it saves.

        None where it is told by ``training=False`` that it is never in training.
        """
        if dict(self.attributes).get("training") is False:
            return {}
        updates = self.operator.facts.updates
        entries = self.entries(updates)
        return {value.source: updates[n] for n, e in entries.items() for value in flat(e)}


def flat(entry: Entry) -> tuple[Value, ...]:
    """The values of one argument."""
    if entry is None:
        return ()
    return entry if isinstance(entry, tuple) else (entry,)


def seed_from(*parts: object) -> int:
    """A seed that depends on all parts, the same on every machine."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
