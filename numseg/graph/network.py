"""A network as data: inputs, parameters, operators as named nodes, and what follows from them."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from numseg.forks import cached_property
from numseg.graph.node import Entry, Input, Late, Measured, Node, Param, Value, flat


class Step(NamedTuple):
    """A node as a walk sees it, with numbers in the place of values."""

    node: Node
    entries: tuple[tuple[str, int | tuple[int, ...] | None], ...]
    """Its array arguments."""
    given: dict[str, Any]
    """Its attributes that are what they are."""
    late: tuple[tuple[str, Any], ...]
    """Those that the run says; numbers and what is Measured of them, where shapes say it."""
    results: range
    spent: tuple[int, ...]
    """What nobody needs afterwards."""


class Program(NamedTuple):
    """The nodes as a walk sees them, so that a run looks up no value by its name."""

    numbers: dict[Value, int]
    steps: tuple[Step, ...]
    sized: frozenset[int]
    """The values whose shapes are asked for."""


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Network:
    """What the modules of this package work on; :class:`numseg.Graph` is its front door."""

    inputs: tuple[Input, ...]
    params: tuple[Param, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[Value, ...]

    def __getstate__(self) -> dict[str, Any]:
        """What a network is; what has been worked out from it is not pickled."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Of all parameters, inputs and nodes."""
        params = [param.name for param in self.params]
        inputs = [entry.name for entry in self.inputs]
        return (*params, *inputs, *(node.name for node in self.nodes))

    @cached_property
    def differentiable(self) -> tuple[str, ...]:
        """The parameters and inputs that have a gradient."""
        found = upstream(self, self.outputs)
        nodes = {node.name for node in self.nodes}
        return tuple(name for name in self.names if Value(name) in found and name not in nodes)

    @cached_property
    def trainable(self) -> tuple[str, ...]:
        """The parameters that have a gradient and are no constants; the others are kept: state,
        such as running means, and constants, such as FCN's upsampling filters."""
        params = {param.name for param in self.params if param.trainable}
        return tuple(name for name in self.differentiable if name in params)

    @cached_property
    def last_reads(self) -> dict[str, tuple[Value, ...]]:
        """By node: the values that nobody needs once it has run."""
        last: dict[Value, str] = {}
        for node in self.nodes:
            last |= dict.fromkeys((*node.values, *node.reads()), node.name)
        reads: dict[str, list[Value]] = {node.name: [] for node in self.nodes}
        for value, name in last.items():
            if value not in self.outputs:
                reads[name].append(value)
        return {name: tuple(values) for name, values in reads.items()}

    @cached_property
    def program(self) -> Program:
        """What a walk follows."""
        given = [*(param.name for param in self.params), *(entry.name for entry in self.inputs)]
        numbers = {Value(name): number for number, name in enumerate(given)}
        steps = []
        for node in self.nodes:
            results = range(len(numbers), len(numbers) + node.results)
            numbers.update(zip(node.values, results, strict=True))
            steps.append(_step(node, numbers, results, self.last_reads[node.name]))
        late = (entry for step in steps for _, entry in step.late if isinstance(entry, tuple))
        return Program(numbers, tuple(steps), frozenset(n for entry in late for n in entry[0]))


def _step(node: Node, numbers: Mapping[Value, int], results: range, spent: Sequence[Value]) -> Step:
    def number(entry: Entry) -> int | tuple[int, ...] | None:
        if isinstance(entry, tuple):
            return tuple(numbers[value] for value in entry)
        return None if entry is None else numbers[entry]

    given: dict[str, Any] = {}
    late: list[tuple[str, Any]] = []
    for name, value in node.attributes:
        if isinstance(value, Measured):
            late.append((name, (tuple(numbers[of] for of in value.values), value)))
        elif isinstance(value, Late):
            late.append((name, value))
        else:
            given[name] = value
    entries = zip(node.operator.inputs, map(number, node.inputs), strict=True)
    last = tuple(numbers[value] for value in spent)
    return Step(node, tuple(entries), given, tuple(late), results, last)


def downstream(network: Network, names: Collection[str]) -> set[Value]:
    """The named values, and all that depend on them differentiably."""
    found = {Value(name) for name in names}
    for node in network.nodes:
        if any(found & set(flat(entry)) for entry in node.differentiable().values()):
            found.add(Value(node.name))
    return found


def upstream(network: Network, outputs: Collection[Value]) -> set[Value]:
    """The given values, and all that they depend on differentiably."""
    found = {value for value in outputs if value.result == 0}
    for node in reversed(network.nodes):
        if Value(node.name) in found:
            found.update(*map(flat, node.differentiable().values()))
    return found
