"""A digest of what a graph computes, by which a file can tell whether it is the same graph."""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import inspect
import json
from typing import Any

import numpy as np

from numseg.errors import ArgumentError
from numseg.graph.network import Network
from numseg.graph.node import Derived, Node, SizeOf, Value, flat


def digest(graph: Network) -> str:
    """32 hexadecimal digits, the same in every process.

    Of the names and shapes of inputs and parameters, of every node's name, operator, inputs and
    attributes (those that are not the operator's defaults), and of the outputs. Start values are
    not part of it: they are gone once a graph is trained.

    Raises
    ------
    ArgumentError
        For an attribute that is neither a number, a word, nor made of those.
    """
    parts = {
        "inputs": [entry.name for entry in graph.inputs],
        "params": [(param.name, param.shape) for param in graph.params],
        "nodes": [_node(node) for node in graph.nodes],
        "outputs": [_value(value) for value in graph.outputs],
    }
    text = json.dumps(parts, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _node(node: Node) -> Any:
    operator = node.operator
    parameters = inspect.signature(operator).parameters
    given = {name: _plain(f"{node.name}: {name}", value) for name, value in node.attributes}
    attributes = {n: value for n, value in given.items() if value != parameters[n].default}
    inputs = {
        name: [_value(value) for value in flat(entry)]
        for name, entry in node.entries(operator.inputs).items()
    }
    named = f"{operator.__module__}:{operator.__name__}:{operator.facts.face or ''}"
    return node.name, named, inputs, attributes, node.results


def _value(value: Value) -> Any:
    return value.source, value.result


def _plain(name: str, given: Any) -> Any:
    """An attribute as JSON, in which equal ones are equal and different ones are not."""
    if isinstance(given, SizeOf):
        size = {"size of": _value(given.value)}
        return size if given.factor == 1 else size | {"factor": str(given.factor)}
    if isinstance(given, Derived):
        return {"derived from": [*map(_value, given.values)], "by": _plain(name, given.rule)}
    if dataclasses.is_dataclass(given):
        fields = dataclasses.fields(given)
        return {f.name: _plain(f"{name}.{f.name}", getattr(given, f.name)) for f in fields}
    if isinstance(given, bytes):
        return {"bytes": given.hex()}
    if isinstance(given, enum.Enum):
        return {"late": given.name}
    if isinstance(given, np.generic):
        given = given.item()
    if given is None or isinstance(given, (bool, int, float, str)):
        return given
    if isinstance(given, (list, tuple)):
        return [_plain(f"{name}[{i}]", part) for i, part in enumerate(given)]
    raise ArgumentError(f"{name} is {given!r}, of which a file can hold no digest")
