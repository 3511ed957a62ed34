"""What a graph is made of: values, and the nodes and parameters that give them."""

from __future__ import annotations

import dataclasses
import enum
import hashlib
from collections.abc import Callable, Iterable, Iterator
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


@dataclasses.dataclass(frozen=True)
class SizeOf:
    """An attribute: the rows and columns of a value."""

    value: Value


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


def flat(entry: Entry) -> tuple[Value, ...]:
    """The values of one argument."""
    if entry is None:
        return ()
    return entry if isinstance(entry, tuple) else (entry,)


def seed_from(*parts: object) -> int:
    """A seed that depends on all parts, the same on every machine."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
