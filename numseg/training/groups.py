"""Which parameters learn, and how fast: groups, frozen layers and frozen norms, by patterns of
names (``*`` and ``?`` as in file names)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from numseg import checks, names
from numseg.errors import ArgumentError, ArgumentTypeError
from numseg.graph import Graph, Late, Node
from numseg.training.optimisers import Arrays, Optimiser, Updated
from numseg.typing import Array

FACTORS = ("lr", "weight_decay")
"""What a group may multiply."""


def as_patterns(what: str, given: Any) -> tuple[str, ...]:
    """Patterns, given several or one."""
    found = (given,) if isinstance(given, str) else given
    if not isinstance(found, (list, tuple)) or not all(isinstance(p, str) for p in found):
        raise ArgumentTypeError(f"{what} must be patterns of names, got {given!r}")
    return tuple(map(str.__str__, found))


def as_groups(given: Any) -> dict[str, dict[str, float]]:
    """``{pattern: {"lr": factor, "weight_decay": factor}}``."""
    if not isinstance(given, Mapping):
        raise ArgumentTypeError(f"groups must be a dict {{pattern: factors}}, got {given!r}")
    found: dict[str, dict[str, float]] = {}
    for pattern, factors in given.items():
        if not isinstance(pattern, str) or not isinstance(factors, Mapping):
            raise ArgumentTypeError(
                f"groups must be a dict {{pattern: factors}}, got {pattern!r}: {factors!r}"
            )
        for name in factors:
            checks.choice(f"what groups[{pattern!r}] multiplies", name, FACTORS)
        found[str.__str__(pattern)] = {
            str.__str__(name): checks.real(f"groups[{pattern!r}][{name!r}]", value, minimum=0)
            for name, value in factors.items()
        }
    return found


def matching(what: str, patterns: Sequence[str], known: Sequence[str], kind: str) -> set[str]:
    """The names that a pattern matches.

    Raises
    ------
    ArgumentError
        For a pattern that matches none: it was meant for something.
    """
    found: set[str] = set()
    for pattern in patterns:
        mine = {name for name in known if fnmatchcase(name, pattern)}
        if not mine:
            hint = names.close_to(pattern, known)
            raise ArgumentError(f"{what}: {pattern!r} matches none of the {kind}{hint}")
        found |= mine
    return found


def normalising(graph: Graph) -> list[Node]:
    """The nodes that keep running statistics, and go by those of the batch in a training step."""
    return [
        node
        for node in graph.nodes
        if node.operator.facts.updates and dict(node.attributes).get("training") is Late.TRAINING
    ]


def with_frozen_norms(graph: Graph, patterns: Sequence[str]) -> tuple[Graph, set[str]]:
    """The graph in which the matching norms go by their running statistics in training, too; and
    their parameters, which are not to be trained."""
    if not patterns:
        return graph, set()
    norms = {node.name: node for node in normalising(graph)}
    if not norms:
        raise ArgumentError("frozen_norms: the network has no batch normalisation")
    chosen = matching("frozen_norms", patterns, list(norms), "norms")
    params = {param.name for param in graph.params}
    read = {value.source for name in chosen for value in norms[name].reads()}
    nodes = tuple(_still(node) if node.name in chosen else node for node in graph.nodes)
    return dataclasses.replace(graph, nodes=nodes), read & params


def _still(node: Node) -> Node:
    attributes = dict(node.attributes) | {"training": False}
    return dataclasses.replace(node, attributes=tuple(attributes.items()))


def trained(
    known: Sequence[str], trainable: Sequence[str], frozen: Sequence[str], norms: Iterable[str] = ()
) -> tuple[str, ...]:
    """Of all parameters, those that are trained: the trainable ones that are not frozen."""
    still = matching("frozen", frozen, known, "parameters") | set(norms)
    found = tuple(name for name in trainable if name not in still)
    if not found:
        raise ArgumentError(f"all {len(known)} parameters are frozen: nothing is left to train")
    return found


@dataclasses.dataclass(frozen=True)
class Grouped:
    """An optimiser for each group of parameters: one step of each makes a step of this.

    The state is that of one optimiser for all, as far as it is of one parameter each, or of none
    (the number of steps): frozen and grouped runs keep the names of PyTorch's state.
    """

    parts: tuple[tuple[Optimiser, float, tuple[str, ...]], ...]
    """Optimiser, factor of the learning rate, names."""
    lr: float

    def start(self, params: Arrays) -> dict[str, Array]:
        state: dict[str, Array] = {}
        for optimiser, _, mine in self.parts:
            state |= optimiser.start({name: params[name] for name in mine})
        return state

    def step(
        self,
        params: Arrays,
        grads: Arrays,
        state: Arrays,
        lr: float | None = None,
        donate: bool = False,
    ) -> Updated:
        lr = self.lr if lr is None else lr
        new, after = dict(params), dict(state)
        for optimiser, factor, mine in self.parts:
            here = {name: params[name] for name in mine}
            its = {name: grads[name] for name in mine if name in grads}
            stepped, now = optimiser.step(here, its, state, lr * factor, donate)
            new |= stepped
            after |= {name: array for name, array in now.items() if array is not state.get(name)}
        return new, after


def split(
    groups: Mapping[str, Mapping[str, float]], trainable: Sequence[str]
) -> dict[tuple[float, float], tuple[str, ...]]:
    """Parameters by their factors of learning rate and weight decay. The factors of all patterns
    that match a name are multiplied, so that their order does not matter."""
    matching("groups", list(groups), trainable, "trained parameters")
    found: dict[tuple[float, float], list[str]] = {}
    for name in trainable:
        lr = decay = 1.0
        for pattern in sorted(groups):
            if fnmatchcase(name, pattern):
                lr *= groups[pattern].get("lr", 1.0)
                decay *= groups[pattern].get("weight_decay", 1.0)
        found.setdefault((lr, decay), []).append(name)
    return {factors: tuple(mine) for factors, mine in found.items()}
