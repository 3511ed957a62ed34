"""Results that are written where they are needed: into the array of which they become a part.

What a concat puts together need not be copied, if those who make the parts write into the whole.
Which operator's result has parts, and where, it says itself, in a module ``parts`` of its folder.
A part must be one run of memory, as channels of a single image are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from numseg.faces import optional
from numseg.graph.network import Network
from numseg.graph.node import Value
from numseg.operator import Operator, Plan, Spec


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
