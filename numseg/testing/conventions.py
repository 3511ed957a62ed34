"""Conventions: whose behaviour an operator reproduces with which arguments.

An operator's folder may have a module ``conventions.py``. It states what it likes of

``CONVENTIONS``
    the name of a framework's convention, and the arguments that reproduce it; ``{}`` is the
    operator as it stands;
``CHOICES``
    values worth trying for an argument that is neither a word nor a flag;
``PROBES``
    known mistakes: words, and a function that changes the arguments of a call (by name, all of
    them) such that the operator gives for the changed ones what the mistake gives for the others;
``PEERS``
    a function that computes what the operator does, as ``module:function``, and how
    :func:`~numseg.testing.conformance` must be told to call it (``constants``, ``names``,
    ``adapt``; mostly nothing);
``ONNX``
    a type of ONNX node, and the function that makes a :class:`Node` of the operator's arguments.
    Arguments that it does not take are conventions that ONNX has settled.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from numseg import geometry
from numseg.operator import Operator
from numseg.typing import Array

Arguments = dict[str, Any]
Probe = Callable[[Arguments], Arguments]


class Unsupported(Exception):
    """A framework has no words for a call: it is left out of the comparison."""


@dataclasses.dataclass(frozen=True)
class Node:
    """One ONNX node and its inputs, in order; None for an optional input that is not given."""

    inputs: Mapping[str, Array | None]
    attributes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    outputs: int = 1
    results: int | None = None
    """How many of the outputs count; all of them by default."""
    opset: int = 22


def pair(value: Any) -> list[int]:
    """One integer for both axes, or two, as ONNX has it."""
    return list(value) if isinstance(value, (list, tuple)) else [value, value]


def pads(padding: Any) -> dict[str, Any]:
    """ONNX's attribute for our ``padding``."""
    if isinstance(padding, str):
        words = {"same": "SAME_UPPER", "same_lower": "SAME_LOWER", "valid": "VALID"}
        if padding not in words:
            raise Unsupported(f"ONNX has no padding {padding!r}")
        return {"auto_pad": words[padding]}
    top, bottom, left, right = geometry.sides("padding", padding, minimum=None)
    return {"pads": [top, left, bottom, right]}


def elementwise(**attributes: str) -> Callable[..., Node]:
    """Makes a node of x alone, and of parameters: our names, and ONNX's for them."""

    def make(**arguments: Any) -> Node:
        return Node({"x": arguments["x"]}, {attributes[n]: arguments[n] for n in attributes})

    kind = inspect.Parameter.KEYWORD_ONLY
    taken = [inspect.Parameter(name, kind) for name in ("x", *attributes)]
    vars(make)["__signature__"] = inspect.Signature(taken)
    return make


def named(op: Operator[..., Any]) -> dict[str, Arguments]:
    """The named conventions of an operator."""
    return dict(_stated(op, "CONVENTIONS"))


def probes(op: Operator[..., Any]) -> dict[str, Probe]:
    """The mistakes that the operator's folder knows."""
    return dict(_stated(op, "PROBES"))


def peers_of(op: Operator[..., Any]) -> dict[str, dict[str, Any]]:
    """The implementations that an operator's folder names: how each is to be called."""
    nodes: dict[str, dict[str, Any]] = {
        f"{where}:{node}": {} for node in onnx_nodes(op) for where in ("onnx", "ort")
    }
    return {**_stated(op, "PEERS"), **nodes}


def onnx_nodes(op: Operator[..., Any]) -> dict[str, Callable[..., Node]]:
    """The ONNX nodes that compute what the operator does."""
    return dict(_stated(op, "ONNX"))


@functools.cache
def choices(op: Operator[..., Any]) -> dict[str, list[Any]]:
    """The arguments that choose a convention, and their values, the default first.

    Those whose values are words or flags in the operator's cases, and what its folder adds.
    """
    from numseg.testing import cases

    seen: dict[str, list[Any]] = {name: [value] for name, value in op.parameters.defaults.items()}
    for case in cases.drawn(op, 150):
        for name, value in case.params.items():
            values = seen.setdefault(name, [])
            if not any(value is v or (type(value) is type(v) and value == v) for v in values):
                values.append(value)
    words = {
        name: values
        for name, values in seen.items()
        if name not in op.inputs
        and all(isinstance(v, (bool, str, type(None))) for v in values)
        and any(v is not None for v in values)
        and len(values) > 1
    }
    for name, more in _stated(op, "CHOICES").items():
        default = [op.parameters.defaults[name]] if name in op.parameters.defaults else []
        words[name] = list(dict.fromkeys([*default, *more]))
    return words


def names_of(op: Operator[..., Any], free: set[str], chosen: Arguments) -> list[tuple[bool, str]]:
    """The named conventions that ``chosen``, values of the ``free`` arguments, may be called by.

    With each name comes whether the arguments that it leaves out have their defaults. One that
    states nothing means the defaults.
    """
    found = []
    for name, arguments in named(op).items():
        if not arguments.keys() <= free:
            continue
        if not all(_same(chosen[k], v) for k, v in arguments.items()):
            continue
        left = free - arguments.keys() - {n for n in free if n.startswith("return_")}
        plain = all(_same(chosen[n], op.parameters.defaults.get(n, chosen[n])) for n in left)
        if plain or arguments:
            found.append((plain, name))
    return found


def _same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and bool(a == b)


def _stated(op: Operator[..., Any], what: str) -> Mapping[str, Any]:
    name = f"{op.__module__}.conventions"
    try:
        return getattr(importlib.import_module(name), what, {})
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        return {}
