"""No operator reads beyond the reach that its plan states: receptive fields stand on that."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given

import numseg as ns
from numseg.operator import Operator
from numseg.ops.registry import OPERATORS
from numseg.testing import cases
from numseg.testing.cases import Case

# a switch may point anywhere; only those of a pooling keep to their windows (below)
POOLED = [
    op
    for op in OPERATORS.values()
    if op is not ns.max_unpool2d and op.inputs[0] in op.differentiable
]


@pytest.mark.parametrize("op", POOLED, ids=lambda op: op.__name__)
def test_gradients_stay_within_the_reach(op: Operator[..., Any]) -> None:
    @given(cases.strategy(op))
    def check(case: Case) -> None:
        _check(op, case.arguments("reals", np.float64))

    check()


@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [(2, 2, 0), (3, 2, 1), (2, 3, 0), (3, 1, 1)]
)
def test_unpooling_by_the_indices_of_a_pooling(kernel: int, stride: int, padding: int) -> None:
    x = np.random.default_rng(0).normal(size=(2, 2, 8, 11))
    y, indices = ns.max_pool2d(x, kernel, stride, padding, return_indices=True)
    params = {"kernel_size": kernel, "stride": stride, "padding": padding}
    _check(ns.max_unpool2d, {"x": y, "indices": indices, "output_size": (8, 11), **params})


def _check(op: Operator[..., Any], arguments: dict[str, Any]) -> None:
    y, saved = op.forward(**arguments)
    y = y[0] if isinstance(y, tuple) else y
    first = arguments[op.inputs[0]]
    images = len(first) if isinstance(first, list) else 1
    if saved.plan.reach is None or y.ndim != 4:
        return
    for axis, reach in zip((2, 3), saved.plan.reach, strict=True):
        for pixel in range(y.shape[axis]):
            grad_y = np.zeros_like(y)
            grad_y[(slice(None),) * axis + (pixel,)] = 1
            here = reach.stride * pixel
            low, high = math.ceil(here + reach.first), math.floor(here + reach.last)
            for grad in op.backward(saved, grad_y)[:images]:
                aligned = grad.reshape((1,) * (4 - grad.ndim) + grad.shape)  # as it broadcast
                read = np.nonzero(aligned)[axis]
                assert all(low <= read), (axis, pixel, reach)
                assert all(read <= high), (axis, pixel, reach)
