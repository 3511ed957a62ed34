"""mean_field_step by its definition: dense_crf of one iteration."""

from __future__ import annotations

from typing import Any

from numseg.ops.dense_crf import reference
from numseg.ops.dense_crf.geometry import Geometry
from numseg.typing import Array


def forward(
    q: Array, unary: Array, features: tuple[Array, ...], compat: tuple[Array, ...], g: Geometry
) -> tuple[Array, Array, Array]:
    return reference.forward(unary, features, compat, q, g)


def backward(
    features: tuple[Array, ...],
    compat: tuple[Array, ...],
    iterates: Array,
    steps: Array,
    gy: Array,
    g: Geometry,
) -> tuple[Any, ...]:
    gu, gf, gc, gq = reference.backward(features, compat, iterates, steps, gy, g)
    return gq, gu, gf, gc
