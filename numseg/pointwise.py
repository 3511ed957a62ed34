"""Pointwise operators: each number of the result is a function of one number of x.

The folder of such an operator states the function and its derivative, of a number that ``forward``
saved (x, or y), and of parameters:

- ``reference.py``: ``value(x, *parameters)`` and ``slope(saved, *parameters)`` in NumPy,
- ``rules.py``: the same for one number, for the CPU and for CUDA,
- ``derivatives.py``: ``curvature(saved, *parameters)``, the derivative of the slope in terms of x,
  in NumPy or by operators; there is none where the function is piecewise linear.

Where the gradient is not the product of ``grad_y`` and the slope, as at kinks that stop a NaN,
``gradient(saved, gy, *parameters)`` stands in place of the slope. The faces are made of these here.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from numseg import faces
from numseg.typing import Array

if TYPE_CHECKING:
    from numseg.operator import Operator

LOOPS = {"cpu": "numseg.kernels.pointwise.elementwise", "cuda": "numseg.cuda.elementwise"}
"""Where kernels are made, for each device."""


class Geometry(NamedTuple):
    """What kernels know of a call."""

    size: int
    parameters: tuple[float, ...] = ()


def face(package: str, name: str) -> ModuleType | None:
    """The face of a pointwise operator, made of what its folder states; None for an unknown one."""
    if name == "reference":
        stated, make = importlib.import_module(f"{package}.reference"), _definition
    elif name in LOOPS:
        stated = importlib.import_module(f"{package}.rules")
        make = importlib.import_module(LOOPS[name]).face
    else:
        return None
    module = ModuleType(f"{package}.{name}")
    vars(module).update(make(stated), __file__=stated.__file__)
    return module


def _definition(stated: ModuleType) -> dict[str, Callable[..., Array]]:
    def forward(x: Array, g: Geometry) -> Array:
        return stated.value(x, *g.parameters)

    def backward(saved: Array, gy: Array, g: Geometry) -> Array:
        if hasattr(stated, "gradient"):
            return stated.gradient(saved, gy, *g.parameters)
        return gy * stated.slope(saved, *g.parameters)

    return {"forward": forward, "backward": backward}


def jvp(op: Operator[..., Any], saved: Any, along: Mapping[str, Any]) -> Any:
    """The derivative is a diagonal, so it is the same in both directions."""
    return op.backward(saved, along["x"])[0]


def double_backward(
    op: Operator[..., Any], saved: Any, grad_y: Array, along: Mapping[str, Any]
) -> dict[str, Array]:
    """The gradients of ``<grad_y, jvp>``."""
    curvature = faces.optional(op, "derivatives", "curvature")
    if curvature is None or along["x"] is None:
        return {}
    return {"x": grad_y * along["x"] * curvature(saved[0], *saved.plan.geometry.parameters)}
