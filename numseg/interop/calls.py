"""A call's arrays as a flat list, for libraries that trace functions of such lists."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from numseg.operator import Operator
from numseg.plan import each, flat


def flattened(op: Operator[..., Any], values: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """The arguments of a call without its arrays, and the arrays: (name of the argument, array)."""
    shell, named = list(values), []
    for name, place in zip(op.inputs, op.parameters.arrays, strict=True):
        named += [(name, array) for array in flat(values[place])]
        shell[place] = each(values[place], lambda _: ...)  # which keeps no array alive
    return shell, named


def arguments(
    op: Operator[..., Any], shell: Sequence[Any], arrays: Sequence[Any]
) -> dict[str, Any]:
    """The arguments of a call by name, with these arrays in their places."""
    given, filled = iter(arrays), list(shell)
    for place in op.parameters.arrays:
        filled[place] = each(shell[place], lambda _: next(given))
    return dict(zip(op.parameters.names, filled, strict=True))


def by_name(op: Operator[..., Any], named: Sequence[str], grads: Sequence[Any]) -> Iterator[Any]:
    """Gradients in the order of the arrays of the call, from those that an operator gives."""
    given = iter(grads)
    found = {n: [next(given) for _ in range(max(1, named.count(n)))] for n in op.differentiable}
    return (found[name].pop(0) if name in found else None for name in named)
