"""The loops of pointwise operators (:mod:`numseg.pointwise`) on the CPU. A unit is one number."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from numseg.kernels.machine.jit import kernel, rule
from numseg.kernels.machine.threads import launch
from numseg.typing import Array


def face(rules: ModuleType) -> dict[str, Any]:
    """``forward`` and ``backward`` with the formulas of an operator's ``rules.py``."""
    value = inlined(rules.value.py_func)
    stated = hasattr(rules, "gradient")
    gradient = inlined(rules.gradient.py_func) if stated else _times(rules.slope.py_func)

    def _forward(start, stop, x, y, *parameters):
        x, y = x[start:stop], y[start:stop]  # a loop from 0 has no negative index: it vectorises
        for i in range(len(x)):
            y[i] = value(x[i], *parameters)

    def _backward(start, stop, saved, gy, gx, *parameters):
        saved, gy, gx = saved[start:stop], gy[start:stop], gx[start:stop]
        for i in range(len(gx)):
            gx[i] = gradient(saved[i], gy[i], *parameters)

    fill, fill_gradient = kernel_of(_forward, rules), kernel_of(_backward, rules)

    def forward(x: Array, y: Array, g: Any) -> None:
        launch(fill, g.size, g.size, x.reshape(-1), y.reshape(-1), *g.parameters)

    def backward(saved: Array, gy: Array, gx: Array | None, g: Any) -> None:
        if gx is not None:
            flat = saved.reshape(-1), gy.reshape(-1), gx.reshape(-1)
            launch(fill_gradient, g.size, g.size, *flat, *g.parameters)

    faces = {"forward": forward, "backward": backward}
    return faces | {"_forward": fill, "_backward": fill_gradient}


def _times(function: Callable[..., Any]) -> Any:
    """The gradient that is a product with the slope."""
    slope = inlined(function)

    def gradient(saved, gy, *parameters):
        return gy * slope(saved, *parameters)

    return inlined(gradient)


def inlined(function: Callable[..., Any]) -> Any:
    """A rule as a part of the loop that calls it: LLVM leaves a long one a call, and a loop that
    calls has no vectors."""
    return rule(function, {"contract"}, inline=True)


def kernel_of(loop: Callable[..., None], rules: ModuleType, name: str = "") -> Any:
    """The rules' module and the loop's name determine it, so its machine code can be kept."""
    loop.__name__ = name or loop.__name__
    loop.__module__, loop.__qualname__ = rules.__name__, loop.__name__
    return kernel({"contract"})(loop)
