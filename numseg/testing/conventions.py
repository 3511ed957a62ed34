"""What operators state of conventions (:mod:`numseg.conventions`), as conformance asks for it."""

from __future__ import annotations

import functools
from typing import Any

from numseg.conventions import Arguments, Probe, onnx_nodes, same, stated
from numseg.operator import Operator


def named(op: Operator[..., Any]) -> dict[str, Arguments]:
    """The named conventions of an operator."""
    return dict(stated(op, "CONVENTIONS"))


def probes(op: Operator[..., Any]) -> dict[str, Probe]:
    """The mistakes that the operator's folder knows."""
    return dict(stated(op, "PROBES"))


def peers_of(op: Operator[..., Any]) -> dict[str, dict[str, Any]]:
    """The implementations that an operator's folder names: how each is to be called."""
    nodes: dict[str, dict[str, Any]] = {
        f"{where}:{node}": {} for node in onnx_nodes(op) for where in ("onnx", "ort")
    }
    return {**stated(op, "PEERS"), **nodes}


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
    for name, more in stated(op, "CHOICES").items():
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
        if not all(same(chosen[k], v) for k, v in arguments.items()):
            continue
        left = free - arguments.keys() - {n for n in free if n.startswith("return_")}
        plain = all(same(chosen[n], op.parameters.defaults.get(n, chosen[n])) for n in left)
        if plain or arguments:
            found.append((plain, name))
    return found
