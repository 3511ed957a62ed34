"""Chains: nodes that run as one, because kernels can apply the later ones to what the first is
about to store. The bits are those of one node after the other, so every inference runs in chains.

Which operators an operator takes in is its own business (``epilogue``). The graph sees to it
that nobody else wants what a chain does not keep.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from typing import Any, TypeVar

from numseg.faces import optional
from numseg.graph.execute import named_errors
from numseg.graph.network import Network
from numseg.graph.node import Entry, Late, Measured, Node, Value

N = TypeVar("N", bound=Network)


class Chain:
    """The operator of a node that stands for several, as far as an inference asks for one.

    Its arguments are those of its nodes, ``0.x`` that of the first, but for ``places``: of each
    node but the first, the argument that is the result of the one before it.
    """

    def __init__(self, nodes: tuple[Node, ...], places: tuple[str, ...]) -> None:
        self.nodes = nodes
        self.places = places
        self.__name__ = " + ".join(node.operator.__name__ for node in nodes)
        self.entries = {
            f"{j}.{name}": entry
            for j, (node, place) in enumerate(zip(nodes, ("", *places), strict=True))
            for name, entry in node.entries(node.operator.inputs).items()
            if name != place
        }
        self.inputs = tuple(self.entries)

    def node(self) -> Node:
        """It runs where the first node stands, and gives what the last one gives."""
        attributes = tuple(
            (f"{j}.{name}", given)
            for j, node in enumerate(self.nodes)
            for name, given in node.attributes
        )
        last = self.nodes[-1]
        return Node(last.name, self, tuple(self.entries.values()), attributes)  # type: ignore[arg-type]

    def __call__(self, **arguments: Any) -> Any:
        parts: list[dict[str, Any]] = [{} for _ in self.nodes]
        for name, value in arguments.items():
            number, _, argument = name.partition(".")
            parts[int(number)][argument] = value
        first, *others = self.nodes
        operators = [node.operator for node in others]
        y = first.operator.fused(
            parts[0], list(zip(operators, self.places, parts[1:], strict=True))
        )
        if y is None:  # then one after the other
            with named_errors(first):
                y = first.operator(**parts[0])
            for node, place, part in zip(others, self.places, parts[1:], strict=True):
                with named_errors(node):
                    y = node.operator(**{**part, place: y})
        return y


@dataclasses.dataclass
class _Growing:
    """A chain that may grow."""

    at: int  # of the first node, among the graph's nodes
    nodes: list[Node]
    places: list[str]

    def takes(self, node: Node, made: dict[str, int]) -> bool:
        """Whether the chain may go on with the node: its first operator takes it in after those
        before it, and what else it reads is there when the first node runs."""
        operators = [n.operator for n in (*self.nodes, node)]
        epilogue = iter(operators[0].facts.epilogue)
        in_order = all(
            any(any(operator is taken for taken in stage) for stage in epilogue)
            for operator in operators[1:]
        )
        rest = [value for value in node.reads() if value.source != self.nodes[-1].name]
        there = all(made[value.source] < self.at for value in rest)
        plain = not any(g is Late.SEED or isinstance(g, Measured) for _, g in node.attributes)
        return in_order and there and node.results == 1 and plain


def fused(graph: N) -> N:
    """The same outputs, by chains as long as operators allow, without nodes that do nothing."""
    graph = _without_identities(graph)
    read = readers(graph)
    made = dict.fromkeys(graph.names, -1)
    ends: dict[Value, _Growing] = {}
    for at, node in enumerate(graph.nodes):
        inputs = node.entries(node.operator.inputs)
        grown = [
            (chain.at, name)
            for name, entry in inputs.items()
            if isinstance(entry, Value) and read[entry] == 1 and (chain := ends.get(entry))
            if chain.takes(node, made)
        ]
        if grown:
            _, place = max(grown)  # the latest: it finds the most there
            chain = ends.pop(inputs[place])  # type: ignore[arg-type]
            chain.nodes.append(node)
            chain.places.append(place)
        else:
            chain = _Growing(at, [node], [])
        made[node.name] = chain.at
        ends[Value(node.name)] = chain
    chains = sorted(ends.values(), key=lambda chain: chain.at)
    nodes = [
        Chain(tuple(chain.nodes), tuple(chain.places)).node() if chain.places else chain.nodes[0]
        for chain in chains
    ]
    return dataclasses.replace(graph, nodes=tuple(nodes))


def _without_identities(graph: N) -> N:
    """Whoever reads the result of a node that gives its argument in inference reads that instead.
    An operator says when it does, in a module ``identity``."""
    same: dict[Value, Value] = {}
    nodes = []
    for node in graph.nodes:
        node = _reading(node, same)
        value, given = Value(node.name), dict(node.attributes)
        given |= {name: False for name, late in given.items() if late is Late.TRAINING}
        identity = optional(node.operator, "identity", "identity")
        if identity and value not in graph.outputs and identity(**given):
            (same[value],) = node.reads()
        else:
            nodes.append(node)
    return dataclasses.replace(graph, nodes=tuple(nodes))


def _reading(node: Node, same: Mapping[Value, Value]) -> Node:
    """The node with values in the place of those that are the same."""
    if not same:
        return node

    def entry(given: Entry) -> Entry:
        if isinstance(given, tuple):
            return tuple(same.get(value, value) for value in given)
        return None if given is None else same.get(given, given)

    attributes = tuple(
        (name, given.on(tuple(same.get(value, value) for value in given.values)))
        if isinstance(given, Measured) else (name, given)
        for name, given in node.attributes
    )  # fmt: skip
    return dataclasses.replace(node, inputs=tuple(map(entry, node.inputs)), attributes=attributes)


def readers(graph: Network) -> Counter[Value]:
    """How many want each value: nodes, those that ask for its size too, and the caller."""
    found = Counter(graph.outputs)
    for node in graph.nodes:
        found.update(node.reads())
        for _, given in node.attributes:
            found.update(given.values if isinstance(given, Measured) else ())
    return found


def parts(node: Node) -> tuple[Node, ...]:
    """The nodes that it stands for."""
    return node.operator.nodes if isinstance(node.operator, Chain) else (node,)
