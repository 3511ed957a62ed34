"""An inference that is prepared for inputs of certain shapes: nothing is looked up when it runs.

All plans are known, and which array each operator reads; so is where each result lies. A result has
a *block* of memory, of its own or with others that are parts of the same whole, and it dies with
its last reader. Another block may then have its memory (:mod:`numseg.graph.memory`). What the
caller gets is never in memory that is used again. Each run has its own blocks, so any number of
threads may run at once.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from numseg import faces
from numseg.device import Host, ready
from numseg.errors import ArgumentError, DeviceError
from numseg.faces import Call
from numseg.graph import memory
from numseg.graph.fuse import Chain
from numseg.graph.memory import Block
from numseg.graph.network import Network
from numseg.graph.node import Node, Value
from numseg.graph.placing import Layout
from numseg.operator import Operator, Plan, Spec
from numseg.plan import Step as Taken
from numseg.typing import Array

SMALL = 32 * 1024
"""Bytes: blocks below this are not worth sharing."""

Places = tuple["int | tuple[int, ...] | None", ...]
"""Which values array arguments are."""


class Step(NamedTuple):
    """One operator, with those that it takes in."""

    node: Node
    """Of the fused network."""
    name: str
    """Of the first node of those that it stands for here."""
    operator: Operator[..., Any]
    plan: Plan[Any]
    arrays: Places
    after: tuple[tuple[str, Places, Any], ...]
    """Of the operators that are taken in: name, other arrays, geometry."""
    first: int
    """The number of its first result."""
    block: int
    """Where it lies; -1 if the result is wherever the operator puts it."""
    offset: int
    """Bytes."""
    whole: bool
    """All its parts are there already."""
    spent: tuple[int, ...]
    """Values that nobody needs afterwards."""
    released: tuple[int, ...]
    """And memory."""
    fill: Callable[[Sequence[Any], Array | None], tuple[Any, ...]] = lambda slots, place: ()
    """Computes the results, with all values and the place of the first, if it has one."""


class Prepared:
    """Runs on the CPU, by kernels, with arrays as they were planned."""

    def __init__(
        self, network: Network, plans: Mapping[str, Plan[Any]], layout: Layout, names: Sequence[str]
    ) -> None:
        self.layout = layout
        self._values = _numbered(network, names)
        self._outputs = tuple(self._values[value] for value in network.outputs)
        found = _steps(network, plans, layout, self._values)
        self._blocks, found = _blocks(found, plans, layout, self._values, set(self._outputs))
        self._shares, lasts = memory.shared(self._blocks, SMALL)
        released = [tuple(j for j, last in lasts.items() if last == at) for at in range(len(found))]
        self._steps = tuple(
            step._replace(spent=spent, released=freed, fill=_fills(step))
            for step, spent, freed in zip(
                found, _spent(found, set(self._outputs)), released, strict=True
            )
        )

    def run(
        self, arrays: Sequence[Array], done: Callable[[Node], None] | None = None
    ) -> tuple[Any, ...]:
        """The outputs, given parameters and inputs in the order of the names; ``done`` is told of
        each node that has run."""
        slots: list[Any] = [None] * len(self._values)
        slots[: len(arrays)] = map(ready, arrays)
        results: dict[int, Any] = dict(enumerate(arrays))
        blocks: list[Any] = [None] * len(self._blocks)
        for step in self._steps:
            place = None if step.block < 0 else self._place(step, blocks)
            outputs = step.fill(slots, place)
            for number, output in enumerate(outputs[: step.plan.results], step.first):
                slots[number] = ready(output)
                if number in self._outputs:
                    results[number] = output
            for number in step.spent:
                slots[number] = None
            for number in step.released:
                blocks[number] = None
            if done is not None:
                done(step.node)
        return tuple([results[number] for number in self._outputs])

    def _place(self, step: Step, blocks: list[Any]) -> Array:
        """The array of a result."""
        share = self._shares[step.block]
        memory_ = blocks[share]
        if memory_ is None:
            block = self._blocks[share]
            memory_ = blocks[share] = np.empty(*block.spec)
        spec = step.plan.outputs[0]
        if self._blocks[share].spec == spec:
            return memory_
        return np.ndarray(*spec, memory_, step.offset)


def _fills(step: Step) -> Callable[[Sequence[Any], Array | None], tuple[Any, ...]]:
    """What computes a step's results. Kernels that say so know all of it but the numbers."""
    if step.whole:
        return lambda slots, place: (place,)
    face, kernels = faces.running(step.operator, Host)
    ready_made = getattr(kernels, "prepare", None)
    if face != "cpu" or step.block < 0 or ready_made is None or step.plan.fills_nothing:
        return functools.partial(_outputs, step)
    after = tuple((name, geometry) for name, _, geometry in step.after)
    run = ready_made(step.plan.geometry, step.plan.outputs[0], after)
    arrays, others = step.arrays, [entry for _, entries, _ in step.after for entry in entries]

    def fill(slots: Sequence[Any], place: Array | None) -> tuple[Any, ...]:
        given = [None if entry is None else slots[entry] for entry in arrays]  # type: ignore[index]
        beside = [None if entry is None else slots[entry] for entry in others]  # type: ignore[index]
        run(*given, place, *beside)
        return (place,)

    return fill


def _outputs(step: Step, slots: Sequence[Any], place: Array | None) -> tuple[Any, ...]:
    call = Call(Host, [_taken(entry, slots) for entry in step.arrays], step.plan)
    epilogue = {
        name: Taken(tuple([_taken(entry, slots) for entry in entries]), geometry)
        for name, entries, geometry in step.after
    }
    try:
        outputs = faces.forward(step.operator, call, plain=True, epilogue=epilogue, into=place)
    except (ArgumentError, DeviceError) as error:
        raise type(error)(f"{step.name}: {step.operator.__name__}: {error}") from None
    if place is None or outputs[0] is place:
        return outputs
    place[...] = outputs[0]  # of an operator that has no kernels, or none for these numbers
    return place, *outputs[1:]


def _taken(entry: int | tuple[int, ...] | None, slots: Sequence[Any]) -> Any:
    if type(entry) is int:
        return slots[entry]
    return None if entry is None else tuple([slots[number] for number in entry])  # type: ignore[union-attr]


def _numbered(network: Network, names: Sequence[str]) -> dict[Value, int]:
    numbers = {Value(name): number for number, name in enumerate(names)}
    for node in network.nodes:
        for part in node.operator.nodes if isinstance(node.operator, Chain) else (node,):
            for value in part.values:
                numbers[value] = len(numbers)
    return numbers


def _steps(
    network: Network,
    plans: Mapping[str, Plan[Any]],
    layout: Layout,
    numbers: Mapping[Value, int],
) -> list[Step]:
    """Without memory, and with chains only where kernels take them in at these shapes."""
    found = []
    for node in network.nodes:
        chain = node.operator if isinstance(node.operator, Chain) else None
        parts = chain.nodes if chain else (node,)
        after = _after(chain, plans, numbers) if chain else None
        if after is not None:
            first, last = parts[0], parts[-1]
            step = _step(node, first, plans[first.name], numbers)
            found.append(step._replace(after=after, first=numbers[Value(last.name)]))
            continue
        for part in parts:
            step = _step(node, part, plans[part.name], numbers)
            found.append(step._replace(whole=Value(part.name) in layout.wholes))
    return found


def _step(node: Node, part: Node, plan: Plan[Any], numbers: Mapping[Value, int]) -> Step:
    arrays = _places(part, part.operator.inputs, numbers)
    first = numbers[Value(part.name)]
    return Step(node, part.name, part.operator, plan, arrays, (), first, -1, 0, False, (), ())


def _places(node: Node, names: Sequence[str], numbers: Mapping[Value, int]) -> Places:
    return tuple(
        tuple(numbers[value] for value in entry)
        if isinstance(entry, tuple)
        else None if entry is None else numbers[entry]
        for entry in node.entries(names).values()
    )  # fmt: skip


def _after(
    chain: Chain, plans: Mapping[str, Plan[Any]], numbers: Mapping[Value, int]
) -> tuple[tuple[str, Places, Any], ...] | None:
    """What the first operator is given of the others, if its kernels take them in."""
    first, *others = chain.nodes
    face, kernels = faces.running(first.operator, Host)
    spec = plans[first.name].outputs[0]
    if face != "cpu" or any(plans[node.name].outputs[0] != spec for node in others):
        return None
    after, taken = [], {}
    for node, place in zip(others, chain.places, strict=True):
        names = [name for name in node.operator.inputs if name != place]
        plan = plans[node.name]
        specs = tuple(plan.specs(node.operator.inputs, names).values())
        taken[node.operator.__name__] = Taken(specs, plan.geometry)
        after.append((node.operator.__name__, _places(node, names, numbers), plan.geometry))
    return tuple(after) if kernels.takes(spec, taken) else None


def _reads(step: Step) -> list[int]:
    entries = [*step.arrays, *(entry for _, arrays, _ in step.after for entry in arrays)]
    return [number for entry in entries for number in _flat(entry)]


def _flat(entry: int | tuple[int, ...] | None) -> tuple[int, ...]:
    if entry is None:
        return ()
    return entry if isinstance(entry, tuple) else (entry,)


def _spent(steps: Sequence[Step], outputs: set[int]) -> list[tuple[int, ...]]:
    """After each step, the results and the arguments that nobody needs any more."""
    last: dict[int, int] = {}
    for at, step in enumerate(steps):
        made = range(step.first, step.first + step.plan.results)
        last |= dict.fromkeys((*made, *_reads(step)), at)
    spent: list[list[int]] = [[] for _ in steps]
    for number, at in last.items():
        spent[at].append(number)
    return [tuple(numbers) for numbers in spent]


def _blocks(
    steps: Sequence[Step],
    plans: Mapping[str, Plan[Any]],
    layout: Layout,
    numbers: Mapping[Value, int],
    outputs: set[int],
) -> tuple[list[Block], list[Step]]:
    """The memory of results, each block from the step that fills it first to the last that reads
    it; and the steps, which know where they put their results."""
    values = {number: value for value, number in numbers.items()}
    blocks: list[Block] = []
    of: dict[int, int] = {}  # the block of a value
    placed = []
    for at, step in enumerate(steps):
        value = values[step.first]
        if not _own(step) and value not in layout.parts:
            placed.append(step)
            continue
        whole, offset = _root(value, layout)
        number = of.get(numbers[whole])
        if number is None:
            spec = layout.wholes.get(whole, step.plan.outputs[0])
            number = of[numbers[whole]] = len(blocks)
            blocks.append(Block(spec, at, at))
        of[step.first] = number
        placed.append(step._replace(block=number, offset=offset))
    holds = _holds(placed, of)
    for at, step in enumerate(placed):
        for read in (*_reads(step), *range(step.first, step.first + step.plan.results)):
            for number in holds.get(read, ()):
                blocks[number] = blocks[number]._replace(last=at)
    kept = {number for output in outputs for number in holds.get(output, ())}
    return [block._replace(kept=j in kept) for j, block in enumerate(blocks)], placed


def _own(step: Step) -> bool:
    """Whether a result is an array that we may choose: kernels fill it."""
    cpu = faces.running(step.operator, Host)[0] == "cpu"
    return step.whole or (cpu and step.plan.results == 1 and not step.operator.facts.view)


def _holds(steps: Sequence[Step], of: Mapping[int, int]) -> dict[int, set[int]]:
    """The blocks that a value's numbers may lie in: of a view, or where other operators are called,
    those of all that was read."""
    holds = {value: {block} for value, block in of.items()}
    for step in steps:
        if step.block < 0 and not _fresh(step):
            read = set().union(*(holds.get(number, set()) for number in _reads(step)))
            for number in range(step.first, step.first + step.plan.results):
                holds[number] = read
    return holds


def _fresh(step: Step) -> bool:
    """Several results of kernels, which are arrays of their own."""
    return faces.running(step.operator, Host)[0] == "cpu" and not step.operator.facts.view


def _root(value: Value, layout: Layout) -> tuple[Value, int]:
    """The whole that a value lies in, and the byte that it begins with there."""
    offset = 0
    while value in layout.parts:
        whole, place = layout.parts[value]
        spec: Spec = layout.wholes[whole]
        along = place[-1]
        inner = int(np.prod(spec.shape[len(place) :], dtype=np.int64))
        offset += along.start * inner * spec.dtype.itemsize  # the axes before it have one element
        value = whole
    return value, offset
