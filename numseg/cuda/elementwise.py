"""The kernels of pointwise operators (:mod:`numseg.pointwise`) on CUDA: a thread owns a number."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

from numseg.cuda import elementary
from numseg.cuda.launch import Kernel, Reals, launch, next_plane, thread
from numseg.cuda.runtime import simulated
from numseg.kernels.machine.jit import rule

ROW = 16 if simulated() else 2**20
"""Numbers are counted in rows, a multiple of a block's width: arrays may have more than 2**30."""


class Parameters(NamedTuple):
    """Those of any operator; what it does not have is 0."""

    first: float = 0.0
    second: float = 0.0
    third: float = 0.0


def face(rules: ModuleType) -> dict[str, Any]:
    """``forward`` and ``backward`` with the formulas of an operator's ``rules.py``."""
    elementary.register()
    value, count = rules.value, rules.value.py_func.__code__.co_argcount - 1
    gradient = rules.gradient if hasattr(rules, "gradient") else _times(rules.slope)

    def _forward(x: Reals, y: Reals, p: Parameters) -> None:
        place, row = thread()
        i = row * ROW + place
        while i < y.size:
            y[i] = value(x[i], *p[:count])
            row = next_plane(row)
            i = row * ROW + place

    def _backward(saved: Reals, gy: Reals, gx: Reals, p: Parameters) -> None:
        place, row = thread()
        i = row * ROW + place
        while i < gx.size:
            gx[i] = gradient(saved[i], gy[i], *p[:count])
            row = next_plane(row)
            i = row * ROW + place

    fill, fill_gradient = kernel_of(_forward, rules), kernel_of(_backward, rules)

    def forward(x: Any, y: Any, g: Any) -> None:
        launch(fill, -(-g.size // ROW), min(g.size, ROW), x, y, Parameters(*g.parameters))

    def backward(saved: Any, gy: Any, gx: Any, g: Any) -> None:
        if gx is not None:
            arrays = saved, gy, gx, Parameters(*g.parameters)
            launch(fill_gradient, -(-g.size // ROW), min(g.size, ROW), *arrays)

    faces = {"forward": forward, "backward": backward}
    return faces | {"_forward": fill, "_backward": fill_gradient}


def _times(slope: Any) -> Any:
    """The gradient that is a product with the slope."""

    def gradient(saved, gy, *parameters):
        return gy * slope(saved, *parameters)

    return rule(gradient)


def kernel_of(loop: Callable[..., None], rules: ModuleType, name: str = "") -> Kernel:
    """The loop as a kernel of the operator whose rules it was made of."""
    loop.__name__ = name or loop.__name__
    loop.__module__ = f"{rules.__package__}.cuda"
    return Kernel(loop, sources=(loop.__globals__["__name__"], rules.__name__))
