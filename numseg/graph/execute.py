"""How a graph runs: one walk over the nodes, forward; one walk back over the tape."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from numseg.errors import ArgumentError, DeviceError
from numseg.graph.network import Network, Step, downstream
from numseg.graph.node import Late, Node, Value, flat, seed_from
from numseg.operator import Operator
from numseg.ops.add import add
from numseg.plan import Saved


class Mode(NamedTuple):
    """What differs from run to run besides the arrays."""

    training: bool = False
    seed: int = 0
    step: int = 0


@dataclasses.dataclass(frozen=True, eq=False)
class Tape:
    """A training run, as :meth:`Graph.backward` needs it."""

    graph: Network
    saved: dict[str, Saved]
    """By node: what its operator's ``backward`` needs, activations included."""
    updates: dict[str, Any]
    """New values of the parameters that are state, such as running means."""


Call = Callable[[Node, dict[str, Any]], Any]
"""Gives a node's results (a tuple, if there are several), given all its arguments by name."""


def walk(graph: Network, values: Mapping[Value, Any], mode: Mode, call: Call) -> tuple[Any, ...]:
    """Visit the nodes in order; the outputs. ``values`` holds the inputs and the parameters.

    A value is forgotten as soon as its last reader is done.
    """
    numbers, steps, sized = graph.program
    slots: list[Any] = [None] * len(numbers)
    for value, array in values.items():
        slots[numbers[value]] = array
    shapes = {number: tuple(slots[number].shape) for number in sized if slots[number] is not None}
    for step in steps:
        with named_errors(step.node):
            _visit(step, slots, shapes, mode, call)
        for number in step.results:
            if number in sized:
                shapes[number] = tuple(slots[number].shape)
        for number in step.spent:
            slots[number] = None
    return tuple(slots[numbers[value]] for value in graph.outputs)


def _visit(
    step: Step, slots: list[Any], shapes: dict[int, tuple[int, ...]], mode: Mode, call: Call
) -> None:
    node, arguments = step.node, dict(step.given)
    for name, entry in step.entries:
        if isinstance(entry, int):
            arguments[name] = slots[entry]
        else:
            arguments[name] = None if entry is None else tuple([slots[j] for j in entry])
    for name, given in step.late:
        if given is Late.TRAINING:
            arguments[name] = mode.training
        elif given is Late.SEED:
            arguments[name] = seed_from(mode.seed, mode.step, node.name)
        else:
            of, measured = given
            arguments[name] = measured.of(*(shapes[number] for number in of))
    results = call(node, arguments)
    results = results if isinstance(results, tuple) else (results,)
    if len(results) != node.results:
        raise ArgumentError(
            f"gives {len(results)} results, but was added with results={node.results}"
        )
    for number, result in zip(step.results, results, strict=True):
        slots[number] = result


@contextlib.contextmanager
def named_errors(node: Node) -> Iterator[None]:
    """An operator's error, with the node's name in front. (A chain names the one of its nodes.)"""
    try:
        yield
    except (ArgumentError, DeviceError) as error:
        if not isinstance(node.operator, Operator):
            raise
        raise type(error)(f"{node.name}: {error}") from None


def record(graph: Network, values: dict[Value, Any], mode: Mode) -> tuple[tuple[Any, ...], Tape]:
    """The outputs, and the tape."""
    tape = Tape(graph, {}, {})

    def call(node: Node, arguments: dict[str, Any]) -> Any:
        results, saved = node.operator.forward(**arguments)
        tape.saved[node.name] = saved
        if mode.training:
            for name, kept in node.updates().items():
                tape.updates[name] = getattr(saved, kept)
        return results

    return walk(graph, values, mode, call), tape


def backward(
    graph: Network, tape: Tape, grads_y: Sequence[Any], needs: Collection[str]
) -> dict[str, Any]:
    """Gradients by name, in the order of the graph's parameters and inputs.

    Where a value has several readers, their gradients are added from the last reader to the first,
    and within one reader in the order of its arguments.
    """
    needed = downstream(graph, needs)
    grads: dict[Value, Any] = {}

    def accumulate(value: Value, grad: Any) -> None:
        grads[value] = add(grads[value], grad) if value in grads else grad

    for value, grad in zip(graph.outputs, grads_y, strict=True):
        if grad is not None:
            accumulate(value, grad)
    for node in reversed(graph.nodes):
        wanted = {n: e for n, e in node.differentiable().items() if needed & set(flat(e))}
        grad_y = grads.pop(Value(node.name), None)
        if grad_y is None or not wanted:
            continue
        with named_errors(node):
            given = node.operator.backward(tape.saved[node.name], grad_y, needs=list(wanted))
        found = [grad for grad in given if grad is not None]
        values = [value for entry in wanted.values() for value in flat(entry)]
        for value, grad in zip(values, found, strict=True):
            if value in needed:
                accumulate(value, grad)
    return {name: grads[Value(name)] for name in graph.names if name in needs}
