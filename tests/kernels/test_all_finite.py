"""all_finite against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from numseg.kernels.reductions.all_finite import BLOCK, all_finite


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [0, 1, 7, BLOCK, BLOCK + 1, 3 * BLOCK + 5])
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, -np.nan])
def test_one_number_among_others_of_either_sign(dtype, size, value):
    x = np.random.default_rng(0).normal(size=size).astype(dtype)
    if size:
        x[0], x[-1] = np.finfo(dtype).max, -np.finfo(dtype).max
    assert all_finite(x)
    for place in {0, size // 2, size - 1} if size else ():
        y = x.copy()
        y[place] = value
        assert not all_finite(y)
