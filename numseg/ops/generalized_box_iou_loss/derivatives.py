"""Derivatives of the losses of box overlaps."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.operator import Operator
from numseg.ops.generalized_box_iou_loss import generalized_box_iou_loss
from numseg.plan import Saved
from numseg.typing import Array


def jvp(saved: Saved, along: dict[str, Any]) -> Array:
    return of_family(generalized_box_iou_loss, saved, along)


def of_family(op: Operator[..., Any], saved: Saved, along: dict[str, Any]) -> Array:
    """Each box moves one loss: ``backward`` knows how much."""
    spec = saved.plan.outputs[0]
    moved = [name for name, tangent in along.items() if tangent is not None]
    ones = np.ones_like(along[moved[0]], shape=spec.shape)
    gradients = op.backward(saved, ones, needs=moved)
    products = (
        np.multiply(gradient, along[name], dtype=np.float64).sum(-1 if spec.shape else None)
        for name, gradient in zip(op.differentiable, gradients, strict=True)
        if gradient is not None
    )
    return sum(products, start=np.zeros_like(ones))
