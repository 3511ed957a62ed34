"""Folding: normalisation by constants goes into the weights before it.

An operator that is ``y = x * scale + shift`` for each channel (axis 1) says so in a function
``affine`` of its module ``folding``, one that can take this into its weights in a function
``scaled``; see batch_norm and conv2d. linear has none: its channels are the last axis, and whether
that is axis 1 is not known without an input.
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
from numseg.typing import Array, ArrayLike

N = TypeVar("N", bound=Network)


def folded(graph: N, params: Mapping[str, ArrayLike]) -> tuple[N, dict[str, Any]]:
    """The graph with fewer nodes and some new parameters, and all parameters by name. What nobody
    reads any more is still there."""
    arrays: dict[str, Any] = dict(params)
    made = {param.name: param for param in graph.params}
    nodes = {node.name: node for node in graph.nodes}
    reads = readers(graph)
    for norm in graph.nodes:
        (value, *_) = norm.inputs
        if not isinstance(value, Value) or reads[value] != 1 or value.source not in nodes:
            continue
        before = nodes[value.source]
        new = _scaled(before, norm, arrays)
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
    return dataclasses.replace(
        graph, params=tuple(made.values()), nodes=tuple(nodes.values())
    ), arrays


def _scaled(before: Node, norm: Node, arrays: Mapping[str, Any]) -> dict[str, Array]:
    """New arguments of ``before`` that make it both nodes; none where that cannot be.

    Computed in float64, and rounded once.
    """
    affine = optional(norm.operator, "folding", "affine")
    scaled = optional(before.operator, "folding", "scaled")
    if affine is None or scaled is None or norm.results != 1 or before.results != 1:
        return {}
    constants = _constants(norm, norm.operator.inputs[1:], arrays)
    wanted = [n for n in before.operator.inputs if n in inspect.signature(scaled).parameters]
    weights = _constants(before, wanted, arrays)
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
