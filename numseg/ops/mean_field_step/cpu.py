"""mean_field_step on the CPU: dense_crf of one iteration."""

from __future__ import annotations

from typing import Any

from numseg.ops.dense_crf import cpu
from numseg.ops.dense_crf.geometry import Geometry
from numseg.typing import Array


def forward(
    q: Array,
    unary: Array,
    features: tuple[Array, ...],
    compat: tuple[Array, ...],
    y: Array,
    iterates: Array,
    steps: Array,
    g: Geometry,
) -> None:
    cpu.forward(unary, features, compat, q, y, iterates, steps, g)


def backward(
    features: tuple[Array, ...],
    compat: tuple[Array, ...],
    iterates: Array,
    steps: Array,
    gy: Array,
    gq: Array | None,
    gu: Array | None,
    gf: Any,
    gc: Any,
    g: Geometry,
) -> None:
    cpu.backward(features, compat, iterates, steps, gy, gu, gf, gc, gq, g)
