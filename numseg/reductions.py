"""How losses become one number: what their sum is divided by, and its derivative."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from numseg import checks
from numseg.typing import Array

REDUCTIONS = ("mean", "sum", "none")
EMPTY = ("zero", "nan")


def divisor(
    reduction: str, empty: str, count: int, images: int = 0, also: Sequence[str] = ()
) -> float:
    """Of the sum over ``count`` elements of ``images`` images.

    "mean" and "full" divide by the elements, "batch_size" by the images, the others by nothing. The
    mean over no element is 0 or NaN, as ``empty`` says; the sum by name is never divided by 0.
    """
    checks.choice("reduction", reduction, (*REDUCTIONS, *also))
    nothing = 1.0 if checks.choice("empty", empty, EMPTY) == "zero" else math.nan
    if reduction == "mean":
        return float(count) if count else nothing
    return float(max({"full": count, "batch_size": images}.get(reduction, 1), 1))


def jvp(op: Any, saved: Any, along: Mapping[str, Any]) -> Array:
    """The derivative along tangents where each element moves one result: ``backward`` knows it."""
    spec = saved.plan.outputs[0]
    moved = [name for name, tangent in along.items() if tangent is not None]
    ones = np.ones_like(along[moved[0]], shape=spec.shape)
    gradients = op.backward(saved, ones, needs=moved)
    total: Any = 0.0
    for name, gradient in zip(op.differentiable, gradients, strict=True):
        if gradient is not None:
            product = np.multiply(gradient, along[name], dtype=np.float64)
            classes = product.ndim > len(spec.shape)
            total += product.sum(axis=(1 if spec.shape else None)) if classes else product
    return total
