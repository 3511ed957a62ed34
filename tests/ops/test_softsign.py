"""softsign against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

FACES = pytest.mark.parametrize("op", [ns.softsign, ns.softsign.reference], ids=["cpu", "ref"])
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@FACES
@DTYPES
def test_values(op, dtype):
    y = op(np.array([-3.0, -0.0, 0.0, 1.0, np.nan, np.inf, -np.inf], dtype))
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, [-0.75, 0, 0, 0.5, np.nan, np.nan, np.nan])
    assert list(np.signbit(y[1:3])) == [True, False]


@FACES
@DTYPES
def test_gradient(op, dtype):
    # 1 / (1 + |x|)**2
    _, saved = op.forward(np.array([-3.0, 0.0, 1.0, np.inf, np.nan], dtype))
    (gx,) = op.backward(saved, np.array([32, 5, -4, 1, 1], dtype))
    np.testing.assert_array_equal(gx, [2, 5, -1, 0, np.nan])


@FACES
def test_the_gradient_of_large_numbers_is_not_lost(op):
    # (1 + x)**2 = 1e40 is no float32; grad_y / 1e40 is one
    _, saved = op.forward(np.float32([1e20]))
    (gx,) = op.backward(saved, np.float32([1e30]))
    np.testing.assert_allclose(gx, 1e-10, rtol=1e-2)  # 1e-40 is subnormal: few digits


@FACES
def test_second_derivative(op):
    # -2 sign(x) / (1 + |x|)**3: -1/4 at 1
    _, saved = op.forward(np.array([1.0, -1.0, 0.0]))
    gx, _ = op.double_backward(saved, np.full(3, 2.0), {"x": np.full(3, 4.0)})
    np.testing.assert_array_equal(gx, [-2, 2, 0])
