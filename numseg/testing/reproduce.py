"""The code that repeats a check."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from numseg.operator import Operator
from numseg.testing.subject import Subject

INLINE = 400
"""Arrays of more numbers in all are read from a file."""

FILE = "inputs.npz"


def code(check: Callable[..., Any], subject: Subject, options: dict[str, Any]) -> str:
    """A program that repeats a check, as far as the function can be imported."""
    defaults = {n: p.default for n, p in inspect.signature(check).parameters.items()}
    defaults |= {"dtype": "float64", "seed": None}
    name = check.__name__
    large = sum(a.size for a in arrays(subject).values()) > INLINE
    expression, imports = _expression(subject.function)
    lines = ["import numpy as np", *imports, f"from numseg.testing import {name}"]
    if large:
        lines.append(f'arrays = np.load("{FILE}")  # written by report.save("{FILE}")')
    opened, closed = "{}" if subject.by_name else "[]"
    lines.append(f"inputs = {opened}")
    for argument, value in subject.arguments.items():
        key = f'"{argument}": ' if subject.by_name else ""
        lines.append(f"    {key}{_value(argument, value, large)},")
    lines.append(closed)
    given = "".join(f", {n}={v!r}" for n, v in options.items() if v != defaults[n])
    lines.append(f"print({name}({expression}, inputs{given}))")
    return "\n".join(lines)


def save(path: str | os.PathLike[str], subject: Subject) -> None:
    """Write the arrays for a program that reads them."""
    with open(path, "wb") as file:
        np.savez(file, **arrays(subject))


def arrays(subject: Subject) -> dict[str, Any]:
    """The arrays among the arguments, by name."""
    found = {}
    for name, value in subject.arguments.items():
        parts = value if isinstance(value, list) else [value]
        for j, part in enumerate(parts):
            if isinstance(part, np.ndarray):
                found[f"{name}[{j}]" if isinstance(value, list) else name] = part
    return found


def _value(name: str, value: Any, large: bool) -> str:
    if isinstance(value, list) and any(isinstance(part, np.ndarray) for part in value):
        return f"[{', '.join(_value(f'{name}[{j}]', v, large) for j, v in enumerate(value))}]"
    if not isinstance(value, np.ndarray):
        return repr(value)
    if large:
        return f'arrays["{name}"]'
    if value.size == 0:
        return f"np.zeros({value.shape}, np.{value.dtype})"
    numbers = repr(value.tolist()).replace("nan", "np.nan").replace("inf", "np.inf")
    as_listed = value.dtype in (np.float64, np.int64)
    return f"np.array({numbers})" if as_listed else f"np.array({numbers}, np.{value.dtype})"


def _expression(function: Any) -> tuple[str, list[str]]:
    """How a function is written, and the imports that takes."""
    if isinstance(function, Operator):
        face = ".reference" if function.facts.face else ""
        if function.__module__.startswith("numseg."):
            return f"ns.{function.__name__}{face}", ["import numseg as ns"]
        return function.__name__ + face, [_import(function)]
    if not isinstance(function, tuple):
        return "function", ["function = ...  # yours"]
    names = ["forward", "backward", "further"][: len(function)]
    if all(map(_importable, function)):
        names = [f.__name__ for f in function]
        return f"({', '.join(names)})", list(map(_import, function))
    return f"({', '.join(names)})", [f"{', '.join(names)} = ...  # yours"]


def _importable(function: Any) -> bool:
    name, module = getattr(function, "__qualname__", "."), getattr(function, "__module__", None)
    return name.isidentifier() and module not in (None, "__main__", "builtins")


def _import(function: Any) -> str:
    return f"from {function.__module__} import {function.__name__}"
