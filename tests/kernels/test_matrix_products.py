"""matmul: exact on integers whatever the sizes and layouts, and the same bits for any number of
rows and threads."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns
from numseg.kernels.conv import matmul as module
from numseg.kernels.conv.matmul import matmul

LONG = module.DEPTHS[0] + 3
SIZES = [
    (1, 1, 1),
    (3, 5, 7),
    (0, 3, 3),
    (3, 3, 0),
    (5, 0, 3),
    (17, LONG, 49),  # two panels, tails everywhere
    (module.FEWEST_ROWS + 1, 3, 500),  # units down and across
    (1, 300, 5),
    (2, module.DEPTHS[1] + 5, 40),  # few rows: the transposed product, narrow tiles, two panels
    (50, 7, 2),
]


def _laid_out(array, transposed):
    array = np.ascontiguousarray(array.T).T if transposed else np.ascontiguousarray(array)
    array.flags.writeable = False
    return array


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_integers_are_exact(size, dtype):
    m, k, n = size
    rng = np.random.default_rng(0)
    a, b = rng.integers(-4, 5, (m, k)).astype(dtype), rng.integers(-4, 5, (k, n)).astype(dtype)
    for a_transposed in (False, True):
        for b_transposed in (False, True):
            for out_transposed in (False, True):
                out = np.full((n, m) if out_transposed else (m, n), 77, dtype)
                out = out.T if out_transposed else out
                matmul(_laid_out(a, a_transposed), _laid_out(b, b_transposed), out)
                np.testing.assert_array_equal(out, a @ b)


def test_a_row_has_the_same_bits_alone_and_among_others_and_on_any_thread():
    rng = np.random.default_rng(1)
    a, w = rng.normal(size=(150, LONG)), rng.normal(size=(70, LONG))
    results = []
    for threads in (1, 2, 3):
        with ns.num_threads(threads):
            together = np.empty((150, 70))
            matmul(a, _laid_out(w.T, True), together)
            results.append(together)
    alone = np.empty((150, 70))
    for row in range(150):
        matmul(a[row : row + 1], _laid_out(w.T, True), alone[row : row + 1])
    for other in (*results[1:], alone):
        np.testing.assert_array_equal(other, results[0])
    np.testing.assert_allclose(together, a @ w.T, rtol=1e-12, atol=1e-12)
