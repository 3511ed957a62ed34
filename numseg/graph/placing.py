"""Results that are written where they are needed: into the array of which they become a part.

What a concat puts together need not be copied, if those who make the parts write into the whole.
Which operator's result has parts, and where, it says itself, in a module ``parts`` of its folder.
A part must be one run of memory, as channels of a single image are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from numseg.faces import optional
from numseg.graph.network import Network
from numseg.graph.node import Node, Value
from numseg.operator import Operator, Plan, Spec
from numseg.plan import flat
from numseg.typing import Array


class Part(NamedTuple):
    """A value within another."""

    whole: Value
    place: tuple[slice, ...]


class Layout(NamedTuple):
    """Which values lie within which, for inputs of certain shapes."""

    parts: dict[Value, Part]
    wholes: dict[Value, Spec]


def layout(fused: Network, plans: Mapping[str, Plan[Any]]) -> Layout:
    """Of the nodes that an inference runs."""
    found = Layout({}, {})
    nodes = {Value(node.name) for node in fused.nodes if node.results == 1} - set(fused.outputs)
    for node in fused.nodes:
        one = isinstance(node.operator, Operator)  # and no chain
        parts = optional(node.operator, "parts", "parts") if one else None
        values = list(node.reads())
        free = len(set(values)) == len(values) and nodes.issuperset(values)
        if parts is None or not free or found.parts.keys() & set(values):
            continue
        whole, plan = Value(node.name), plans[node.name]
        places = parts(plan.geometry)
        if math.prod(plan.outputs[0].shape[: len(places[0]) - 1]) == 1:
            found.wholes[whole] = plan.outputs[0]
            found.parts.update((v, Part(whole, p)) for v, p in zip(values, places, strict=True))
    return found


class Placed:
    """Runs the nodes of one inference, on the CPU."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._arrays: dict[Value, Array] = {}
        """Wholes of which some parts are there."""
        self._there: set[Value] = set()

    def __call__(self, node: Node, arguments: Mapping[str, Any]) -> Any:
        value = Value(node.name)
        if value in self.layout.wholes:
            return self._whole(node, value, arguments)
        if value not in self.layout.parts:
            return node.operator(**arguments)
        place = self._place(value)
        result = node.operator.into(place, arguments)
        if result is place:
            self._there.add(value)
        return result

    def _place(self, value: Value) -> Array:
        """Where a part or a whole lies."""
        if value not in self.layout.wholes:
            whole, place = self.layout.parts[value]
            return self._place(whole)[place]
        if value not in self._arrays:
            part = self.layout.parts.get(value)
            spec = self.layout.wholes[value]
            self._arrays[value] = self._place(part.whole)[part.place] if part else np.empty(*spec)
        return self._arrays[value]

    def _whole(self, node: Node, value: Value, arguments: Mapping[str, Any]) -> Array:
        """All parts are there, but for those that their operators could not put there."""
        whole = self._place(value)
        del self._arrays[value]
        arrays = [array for name in node.operator.inputs for array in flat(arguments[name])]
        for part, array in zip(node.reads(), arrays, strict=True):
            if part not in self._there:
                whole[self.layout.parts[part].place] = array
        self._there.add(value)
        return whole
