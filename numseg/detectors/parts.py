"""Several graphs that have their parameters in one flat dict."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np

from numseg import checks, device
from numseg.errors import ArgumentError
from numseg.forks import cached_property
from numseg.graph import Graph
from numseg.graph.mismatch import mismatch
from numseg.graph.node import Param
from numseg.ops.add import add
from numseg.typing import Array, ArrayLike


class Parts:
    """The graphs of a detector, seen as one.

    A parameter that two graphs name alike is one parameter, and its gradient is the sum of theirs.

    Parameters
    ----------
    *graphs : Graph
    frozen : collection of str
        Names of parameters that training leaves as they are, besides state and constants.
    """

    def __init__(self, *graphs: Graph, frozen: Collection[str] = ()) -> None:
        self.graphs = graphs
        frozen = frozenset(frozen)
        found: dict[str, Param] = {}
        for graph in graphs:
            for param in graph.params:
                known = found.setdefault(param.name, param)
                if known.shape != param.shape:
                    raise ArgumentError(
                        f"{param.name} has shape {known.shape} in one graph and {param.shape} "
                        "in another"
                    )
        self.params = tuple(found.values())
        learned = {name for graph in graphs for name in graph.trainable}
        self.trainable = tuple(name for name in found if name in learned and name not in frozen)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Of all parameters."""
        return tuple(param.name for param in self.params)

    def init(self, seed: int = 0, dtype: Any = np.float32) -> dict[str, Array]:
        """Start values; each depends on the seed and its own name only."""
        found: dict[str, Array] = {}
        for graph in self.graphs:
            found |= graph.init(seed, dtype)
        return {name: found[name] for name in self.names}

    def check(self, params: Mapping[str, ArrayLike]) -> None:
        """Raise MismatchError unless these are the parameters, by names and shapes."""
        expected = {param.name: param.shape for param in self.params}
        given = {name: tuple(np.shape(device.seen(name, a))) for name, a in params.items()}
        if given != expected:
            raise mismatch(expected, given)

    def of(self, graph: Graph, params: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters of one of the graphs."""
        return {param.name: params[param.name] for param in graph.params}

    def needs(self, needs: Collection[str] | None) -> tuple[str, ...]:
        """Of which parameters the gradient is wanted: those that learn, by default."""
        if needs is None:
            return self.trainable
        learned = {name for graph in self.graphs for name in graph.differentiable}
        for name in needs:
            checks.choice("needs", name, [name for name in self.names if name in learned])
        return tuple(needs)


def total(grads: Iterable[Mapping[str, Array]]) -> dict[str, Array]:
    """Gradients of several graphs, by name; what is in more than one of them is added up, in this
    order."""
    found: dict[str, Array] = {}
    for given in grads:
        for name, grad in given.items():
            found[name] = add(found[name], grad) if name in found else grad
    return found
