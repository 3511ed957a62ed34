"""mean_field_step on CUDA: dense_crf of one iteration."""

from __future__ import annotations

from typing import Any

from numseg.ops.dense_crf import cuda
from numseg.ops.dense_crf.geometry import Geometry


def check(
    q: Any, unary: Any, features: tuple[Any, ...], compat: tuple[Any, ...], g: Geometry
) -> None:
    cuda.check_on_gpu(features, compat, g)


def forward(
    q: Any,
    unary: Any,
    features: tuple[Any, ...],
    compat: tuple[Any, ...],
    y: Any,
    iterates: Any,
    steps: Any,
    g: Geometry,
) -> None:
    cuda.forward(unary, features, compat, q, y, iterates, steps, g)


def backward(
    features: tuple[Any, ...],
    compat: tuple[Any, ...],
    iterates: Any,
    steps: Any,
    gy: Any,
    gq: Any,
    gu: Any,
    gf: Any,
    gc: Any,
    g: Geometry,
) -> None:
    cuda.backward(features, compat, iterates, steps, gy, gu, gf, gc, gq, g)
