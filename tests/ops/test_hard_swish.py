"""hard_swish against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

FACES = pytest.mark.parametrize("op", [ns.hard_swish, ns.hard_swish.reference], ids=["cpu", "ref"])
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@FACES
@DTYPES
def test_values(op, dtype):
    # -1.5 * 1.5 / 6 = -3/8; 1.5 * 4.5 / 6 = 9/8
    x = np.array([-4.0, -3.0, -1.5, 0.0, 1.5, 3.0, 4.0, np.inf, -np.inf, np.nan], dtype)
    y = op(x)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, [0, 0, -0.375, 0, 1.125, 3, 4, np.inf, np.nan, np.nan])


@FACES
@DTYPES
def test_gradient_and_both_kinks(op, dtype):
    # x / 3 + 1/2 between the kinks
    x = np.array([-np.inf, -4.0, -3.0, -1.5, 0.0, 1.5, 3.0, 4.0, np.inf, np.nan], dtype)
    _, saved = op.forward(x)
    (gx,) = op.backward(saved, np.full(10, 2, dtype))
    np.testing.assert_array_equal(gx, [0, 0, 0, 0, 1, 2, 2, 2, 2, np.nan])
