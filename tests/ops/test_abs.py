"""abs against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

FACES = pytest.mark.parametrize("op", [ns.abs, ns.abs.reference], ids=["cpu", "ref"])
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@FACES
@DTYPES
def test_values(op, dtype):
    y = op(np.array([-2.0, 3.5, -np.inf, np.nan, -0.0, 0.0], dtype))
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, [2, 3.5, np.inf, np.nan, 0, 0])
    assert not np.signbit(y[4:]).any()


@FACES
@DTYPES
def test_gradient_with_the_kink_at_zero_and_nan(op, dtype):
    tiny = np.finfo(dtype).smallest_subnormal
    _, saved = op.forward(np.array([-2.0, -tiny, -0.0, 0.0, tiny, 3.0, np.nan], dtype))
    (gx,) = op.backward(saved, np.array([5, 5, 5, 5, 5, -5, 5], dtype))
    np.testing.assert_array_equal(gx, [-5, -5, 0, 0, 5, -5, 0])
