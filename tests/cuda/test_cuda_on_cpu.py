"""Kernels compiled for the CPU: what they compute, at full size, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numseg as ns
from numseg.cuda import runtime

if not runtime.cuda_available():
    pytest.skip(
        "no GPU: NUMBA_ENABLE_CUDASIM=1 pytest tests/cuda, after pip install '.[cuda-test]'",
        allow_module_level=True,
    )

from numseg.cuda.launch import LIMIT
from numseg.cuda.runtime import cuda
from numseg.ops.max_pool2d.cuda import _forward
from numseg.testing.cuda_on_cpu import on_cpu


@cuda.jit(device=True)
def place() -> Any:
    return cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x


@cuda.jit
def write_places(out: Any, visits: Any) -> None:
    column, row = cuda.grid(2)
    width, height = cuda.gridsize(2)
    if place() == column:
        out[row, column] = row * width + column
    cuda.atomic.add(visits, 0, 1)
    cuda.atomic.max(visits, 1, height)


def test_threads_have_cudas_places() -> None:
    out, visits = np.full((6, 8), -1), np.zeros(2, np.int64)
    on_cpu(write_places)[(2, 3), (4, 2)](out, visits)
    np.testing.assert_array_equal(out, np.arange(48).reshape(6, 8))
    assert visits.tolist() == [48, 6]


def beyond(x: Any) -> None:
    x[cuda.grid(1) + 1] = 0


def test_an_index_beyond_the_array_is_an_error() -> None:
    with pytest.raises(IndexError):
        on_cpu(beyond)[1, 4](np.zeros(4))


def waits(x: Any) -> None:
    cuda.syncthreads()


def shares(x: Any) -> None:
    row = cuda.shared.array(4, np.float32)
    row[0] = x[0]


@pytest.mark.parametrize(("kernel", "what"), [(waits, "syncthreads"), (shares, "shared.array")])
def test_what_needs_the_block_is_refused(kernel: Any, what: str) -> None:
    with pytest.raises(ns.ArgumentError, match=rf"uses cuda\.{what}, which threads that run one"):
        on_cpu(kernel)


def test_what_is_no_kernel_is_refused() -> None:
    with pytest.raises(ns.ArgumentTypeError, match=r"^kernel must be a function, got int$"):
        on_cpu(3)


def test_a_kernel_of_numsegs_on_a_whole_image_and_at_the_end_of_a_large_one() -> None:
    """As on the CPU; and a plane that begins beyond 2**31 elements, without memory for the rest."""
    x = np.random.default_rng(0).standard_normal((2, 3, 200, 300), np.float32)
    y, saved = ns.max_pool2d.reference.forward(x, 3, 2, 1)
    pool, g = on_cpu(_forward), _packed(saved.plan.geometry)
    found, switches = np.empty(y.size, np.float32), np.empty(y.size, np.int64)
    pool[(60, 2), (256, 1)](x.reshape(-1), found, switches, g)
    np.testing.assert_array_equal(found, y.reshape(-1))
    np.testing.assert_array_equal(switches, saved.indices.reshape(-1))

    h = w = 2**15  # 3 planes: 3 * 2**30 elements, of which one number is repeated
    assert h * w - 1 <= LIMIT
    large = np.lib.stride_tricks.as_strided(np.ones(1, np.float32), (3 * h * w,), (0,))
    plan = ns.max_pool2d.plan((1, 3, h, w), 2**13)
    geometry = _packed(plan.geometry)
    found, switches = np.zeros(48, np.float32), np.zeros(48, np.int64)
    pool[1, 1](large, found, switches, geometry._replace(kh=1, kw=1))
    assert found[[0, 16, 32]].tolist() == [1, 1, 1]


def _packed(geometry: Any) -> Any:
    return next(
        value
        for value in _forward.arguments(
            (np.zeros(1, np.float32), np.zeros(1, np.float32), np.zeros(1, np.int64), geometry)
        )
        if isinstance(value, tuple)
    )
