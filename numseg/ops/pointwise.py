"""``@pointwise``: an operator that :mod:`numseg.pointwise` makes of a value and a slope."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec

from numseg import checks
from numseg import pointwise as family
from numseg.operator import Operator, Plan, Spec, operator
from numseg.pointwise import Geometry
from numseg.typing import Array, ArrayLike

P = ParamSpec("P")

SHARED = {
    "Parameters": "x : array, any shape, float32 or float64",
    "Returns": "array\n    Same shape and dtype.",
    "Raises": "ArgumentError\n    If the dtype is neither float32 nor float64.",
    "Notes": "",
}
"""What the sections of a docstring say where it leaves them out."""


def pointwise(saves: str = "x") -> Callable[[Callable[P, Plan[Array]]], Operator[P, Array]]:
    """Make an operator of a function that returns :func:`planned`.

    ``saves`` is what the slope is computed from, "x" or "y". Sections that the docstring leaves
    out are those that all pointwise operators share.
    """

    def make(plan: Callable[P, Plan[Array]]) -> Operator[P, Array]:
        plan.__doc__ = completed(plan.__doc__, SHARED)
        return operator("x", saves=saves, family=family)(plan)

    return make


def planned(x: ArrayLike, *parameters: Any, flops: int) -> Plan[Array]:
    """The plan of a call: ``parameters`` of the rules, in their order, and ``flops`` a number."""
    spec = Spec(tuple(x.shape), checks.floats(x=x))
    geometry = Geometry(spec.size, parameters)
    return Plan(outputs=(spec,), geometry=geometry, flops=flops * spec.size)


def completed(doc: str | None, shared: Mapping[str, str]) -> str:
    """A docstring with the sections of ``shared`` that it leaves out, in their order."""
    summary, *sections = re.split(
        rf"(?m)^(?=(?:{'|'.join(shared)})\n---)", inspect.cleandoc(doc or "")
    )
    stated = {section.split("\n", 1)[0]: section for section in sections}
    made = {title: f"{title}\n{'-' * len(title)}\n{text}\n\n" for title, text in shared.items()}
    return summary + "".join(stated.get(title, made[title]) for title in shared)
