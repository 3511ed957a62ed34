"""Folding: what is done to each channel by constants goes into the weights before it.

An operator that is ``y = x * scale + shift`` for each channel (axis 1) says so in a function
``affine`` of its module ``folding``, one that can take this into its weights in a function
``scaled``, or ``fed`` where it comes before; see batch_norm, multiply and conv2d. linear has none:
its channels are the last axis, and whether that is axis 1 is not known without an input. Before all
that, arithmetic that is a hard swish, as exporters write it, becomes one.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np

from numseg.device import Host
from numseg.errors import ArgumentError
from numseg.faces import optional
from numseg.graph.fuse import readers
from numseg.graph.init import zeros
from numseg.graph.network import Network
from numseg.graph.node import Late, Measured, Node, Param, Value
from numseg.ops.hard_swish import hard_swish
from numseg.typing import Array, ArrayLike

N = TypeVar("N", bound=Network)


def folded(graph: N, params: Mapping[str, ArrayLike]) -> tuple[N, dict[str, Any]]:
    """The graph with fewer nodes and some new parameters, and all parameters by name. What nobody
    reads any more is still there."""
    arrays: dict[str, Any] = dict(params)
    graph = _with_hard_swishes(graph, arrays)
    made = {param.name: param for param in graph.params}
    nodes = {node.name: node for node in graph.nodes}
    reads = readers(graph)
    for norm in graph.nodes:
        (value, *_) = norm.inputs
        if not isinstance(value, Value) or reads[value] != 1 or value.source not in nodes:
            continue
        before = nodes[value.source]
        new = _taken_in("scaled", before, norm, arrays)
        for argument, array in new.items():
            name = f"{norm.name}.folded_{argument}"  # norm.weight may be the scale that is folded
            if name in graph.names:
                raise ArgumentError(f"{norm.name}: the name {name!r} is taken")
            old = before.entries([argument])[argument]
            init = made[old.source].init if isinstance(old, Value) else zeros
            made[name], arrays[name] = Param(name, array.shape, init), array
        if new:
            entries = before.entries(before.operator.inputs)
            entries |= {argument: Value(f"{norm.name}.folded_{argument}") for argument in new}
            inputs = tuple(entries.values())
            nodes[norm.name] = dataclasses.replace(before, name=norm.name, inputs=inputs)
    for name in list(nodes):
        nodes[name] = _fed(nodes[name], nodes, reads, made, arrays)
    return dataclasses.replace(
        graph, params=tuple(made.values()), nodes=tuple(nodes.values())
    ), arrays


def _fed(
    node: Node,
    nodes: Mapping[str, Node],
    reads: Mapping[Value, int],
    made: dict[str, Param],
    arrays: dict[str, Any],
) -> Node:
    """The node with what is done to each channel just before it in its weights."""
    while isinstance(value := node.inputs[0], Value) and reads[value] == 1:
        before = nodes.get(value.source)
        new = {} if before is None else _taken_in("fed", node, before, arrays)
        if before is None or not new:
            break
        entries = node.entries(node.operator.inputs)
        for argument, array in new.items():
            name, number = f"{node.name}.fed_{argument}", 2
            while name in made or name in nodes:
                name, number = f"{node.name}.fed_{argument}{number}", number + 1
            made[name], arrays[name] = Param(name, array.shape, zeros), array
            entries[argument] = Value(name)
        inputs = (before.inputs[0], *tuple(entries.values())[1:])
        node = dataclasses.replace(node, inputs=inputs)
    return node


def _taken_in(how: str, conv: Node, norm: Node, arrays: Mapping[str, Any]) -> dict[str, Array]:
    """New arguments of ``conv`` that make it both nodes; none where that cannot be.

    Computed in float64, and rounded once.
    """
    affine = optional(norm.operator, "folding", "affine")
    scaled = optional(conv.operator, "folding", how)
    if affine is None or scaled is None or norm.results != 1 or conv.results != 1:
        return {}
    constants = _constants(norm, norm.operator.inputs[1:], arrays)
    wanted = [n for n in conv.operator.inputs if n in inspect.signature(scaled).parameters]
    weights = _constants(conv, wanted, arrays)
    if constants is None or weights is None:
        return {}
    with np.errstate(all="ignore"):  # infinities and NaN come and go as in kernels
        scale_and_shift = affine(**constants)
        if scale_and_shift is None:
            return {}
        dtype = next(w.dtype for w in weights.values() if isinstance(w, np.ndarray))
        found = scaled(*scale_and_shift, **weights)
        return {name: np.asarray(array, dtype) for name, array in found.items()}


def _constants(node: Node, names: Any, arrays: Mapping[str, Any]) -> dict[str, Any] | None:
    """Of an inference: the arrays of these names, and the attributes; None if one depends on the
    input."""
    found: dict[str, Any] = {}
    for name, entry in node.entries(names).items():
        if isinstance(entry, Value) and entry.source in arrays:
            found[name] = Host.view(entry.source, arrays[entry.source])
        elif entry is not None:
            return None
        else:
            found[name] = None
    for name, given in node.attributes:
        found[name] = False if given is Late.TRAINING else given
        if given is Late.SEED or isinstance(given, Measured):
            return None
    return found


def _with_hard_swishes(graph: N, arrays: Mapping[str, Any]) -> N:
    """Nodes that compute ``x * clip(x + 3, 0, 6) / 6``, whichever is divided, as one."""
    reads, makers = readers(graph), {Value(node.name): node for node in graph.nodes}

    def made_by(operator: str, entry: Any) -> Node | None:
        """The node, if nobody else reads what it makes."""
        node = makers.get(entry)
        known = node is not None and node.operator.__name__ == operator and reads[entry] == 1
        return node if known else None

    def is_number(entry: Any, number: float) -> bool:
        array = arrays.get(entry.source) if isinstance(entry, Value) else None
        return array is not None and array.size == 1 and float(array.reshape(())) == number

    def clipped(entry: Any) -> Any:
        """The x of ``clip(x + 3, 0, 6)``."""
        clip = made_by("clip", entry)
        if clip is None or not {("min", 0.0), ("max", 6.0)} <= {*clip.attributes}:
            return None
        more = made_by("add", clip.inputs[0])
        return more.inputs[0] if more is not None and is_number(more.inputs[1], 3) else None

    def undivided(entry: Any) -> Any:
        divide = made_by("divide", entry)
        return divide.inputs[0] if divide is not None and is_number(divide.inputs[1], 6) else None

    def product_of(node: Node, inner: Any) -> Any:
        """x, where the node is x times what ``inner`` finds it to be."""
        for x, other in (node.inputs, node.inputs[::-1]):
            if isinstance(x, Value) and inner(other) == x:
                return x
        return None

    def hard_swish_of(node: Node) -> Any:
        if node.operator.__name__ == "multiply":
            return product_of(node, lambda entry: clipped(undivided(entry)))
        if node.operator.__name__ != "divide" or not is_number(node.inputs[1], 6):
            return None
        product = made_by("multiply", node.inputs[0])
        return product and product_of(product, clipped)

    found = {node.name: hard_swish_of(node) for node in graph.nodes}
    nodes = tuple(
        node if found[node.name] is None
        else dataclasses.replace(
            node, operator=hard_swish, inputs=(found[node.name],), attributes=()
        )
        for node in graph.nodes
    )  # fmt: skip
    return dataclasses.replace(graph, nodes=nodes)
