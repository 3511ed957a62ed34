"""What float32 kernels would lose if they summed in float32: sums by hand."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns
from numseg.cuda import runtime

if not runtime.cuda_available():
    pytest.skip("no GPU: NUMBA_ENABLE_CUDASIM=1 pytest tests/cuda", allow_module_level=True)

from numseg.cuda import pairs
from numseg.cuda.arrays import Cuda
from numseg.typing import Array

EPS = float(np.finfo(np.float32).eps)


def on_gpu(values: object) -> Array:
    return Cuda.from_host(np.array(values, np.float32))


@pytest.mark.parametrize("order", [1, -1])
def test_a_small_term_between_large_ones_stays(order: int) -> None:
    """2**25 + 1 - 2**25 is 0 in float32; more parts than a thread adds up at once,
    and more terms than parts."""
    grad = np.zeros((2, 1, 5 * pairs.FAN // 2), np.float32)
    grad.reshape(-1)[[0, 3, 4, -1]] = [2**25, 1, 2**-3, -(2**25)]
    x = on_gpu(np.arange(grad.size).reshape(grad.shape) % 7)
    _, saved = ns.batch_norm.forward(x, None, None, on_gpu([1]), on_gpu([0]), training=True)
    *_, of_bias = ns.batch_norm.backward(saved, on_gpu(grad[::order, :, ::order]), needs={"bias"})
    assert Cuda.to_host(of_bias).tolist() == [1.125]


def test_a_mean_far_from_zero_costs_no_digits() -> None:
    """1000 is 1000 standard deviations here, and an error of its last digit 256 roundings."""
    x = (1000 + np.random.default_rng(0).standard_normal((2, 2, 30))).astype(np.float32)
    expected = ns.group_norm.reference(x.astype(np.float64), 1)
    actual = Cuda.to_host(ns.group_norm(Cuda.from_host(x), 1))
    assert np.abs(actual - expected).max() <= 2 * EPS * np.abs(expected).max()


@pytest.mark.parametrize("order", [1, -1])
def test_a_score_far_above_the_others_has_a_small_loss(order: int) -> None:
    """The sum of exponentials is 1 in float32, and its logarithm 0."""
    scores = on_gpu([0, -20, -21, -40][::order])
    largest = Cuda.to_host(ns.log_softmax(scores, 0)).max()
    expected = -np.log1p(np.exp(-20.0) + np.exp(-21.0) + np.exp(-40.0))
    assert abs(largest / expected - 1) <= 4 * EPS
