"""An argument, such as an algorithm, for all nodes of an operator that take it; what it costs."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from numseg.errors import ArgumentError, ArgumentTypeError, shown
from numseg.graph.network import Network
from numseg.graph.node import Node
from numseg.graph.planning import Plans
from numseg.operator import Operator, Plan
from numseg.typing import Array

N = TypeVar("N", bound=Network)


def refusals(
    network: Network, plans: Plans, operator: Operator[..., Any], given: Mapping[str, Any]
) -> dict[str, str]:
    """The operator's nodes that do not take these arguments, and what their plans say."""
    nodes = _nodes(network, operator, given)
    return {node.name: why for node in nodes if (why := _refusal(node, plans[node.name], given))}


def using(network: N, plans: Plans, operator: Operator[..., Any], given: Mapping[str, Any]) -> N:
    """The network in which all others have them. An error if there are none."""
    refused = refusals(network, plans, operator, given)
    chosen = {node.name for node in _nodes(network, operator, given)} - set(refused)
    if not chosen:
        name, why = next(iter(refused.items()))
        raise ArgumentError(f"no node takes it; {name}: {why}")

    def with_given(node: Node) -> Node:
        attributes = tuple((dict(node.attributes) | dict(given)).items())
        return dataclasses.replace(node, attributes=attributes) if node.name in chosen else node

    return dataclasses.replace(network, nodes=tuple(map(with_given, network.nodes)))


def _nodes(network: Network, operator: Operator[..., Any], given: Mapping[str, Any]) -> list[Node]:
    if not isinstance(operator, Operator):
        raise ArgumentTypeError(f"operator must be a numseg operator, got {shown(operator)}")
    known = [n for n in inspect.signature(operator).parameters if n not in operator.inputs]
    for name in given:
        if name not in known:
            takes = f"takes {', '.join(known)}, and not {name}" if known else "takes no arguments"
            raise ArgumentTypeError(f"{operator.__name__} {takes}")
    nodes = [node for node in network.nodes if node.operator is operator]
    if not nodes:
        raise ArgumentError(f"no node of the graph is a {operator.__name__}")
    return nodes


def _refusal(node: Node, plan: Plan[Any], given: Mapping[str, Any]) -> str | None:
    arrays = dict(zip(node.operator.inputs, plan.inputs, strict=True))
    try:
        node.operator.plan(**arrays | plan.parameters | dict(given))
    except ArgumentError as error:
        return str(error)
    return None


class Deviation(NamedTuple):
    """By how much one network's outputs differ from another's."""

    largest: float
    """The largest difference of two numbers."""
    relative: float
    """The same, where the largest number of the first network's outputs is 1."""

    def __str__(self) -> str:
        return f"{self.largest:.3g} at most, {self.relative:.3g} of the largest output"


def deviation(outputs: Sequence[Array], others: Sequence[Array]) -> Deviation:
    """Of outputs of the same shapes, computed in float64."""
    for j, (one, other) in enumerate(zip(outputs, others, strict=True)):
        if one.shape != other.shape:
            raise ArgumentError(
                f"output {j} has shape {one.shape}, that of the other {other.shape}"
            )
    pairs = [(a.astype(np.float64), b) for a, b in zip(outputs, others, strict=True)]
    largest = max(float(np.max(np.abs(a - b), initial=0)) for a, b in pairs)
    scale = max(float(np.max(np.abs(a), initial=0)) for a, _ in pairs)
    return Deviation(largest, largest / scale if scale else float(largest > 0))
