"""hard_sigmoid against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

FACES = pytest.mark.parametrize(
    "op", [ns.hard_sigmoid, ns.hard_sigmoid.reference], ids=["cpu", "ref"]
)
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@FACES
@DTYPES
def test_values(op, dtype):
    x = np.array([-np.inf, -4.0, -3.0, -1.5, 0.0, 1.5, 3.0, 4.0, np.inf, np.nan], dtype)
    y = op(x)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, [0, 0, 0, 0.25, 0.5, 0.75, 1, 1, 1, np.nan])


@FACES
@DTYPES
def test_the_line_of_onnx(op, dtype):
    # 0.2 x + 0.5 reaches 0 and 1 at -2.5 and 2.5
    x = np.array([-2.5, -1.25, 1.25, 2.5, 3.0], dtype)
    np.testing.assert_array_equal(op(x, 0.2), [0, 0.25, 0.75, 1, 1])
    np.testing.assert_array_equal(op(x, alpha=0.2, beta=0.75), np.clip(0.2 * x + 0.75, 0, 1))


@FACES
@DTYPES
def test_gradient_and_both_kinks(op, dtype):
    x = np.array([-4.0, -3.0, -2.999, 0.0, 2.999, 3.0, 4.0, np.nan], dtype)
    _, saved = op.forward(x)
    (gx,) = op.backward(saved, np.full(8, 6, dtype))
    np.testing.assert_array_equal(gx, [0, 0, 1, 1, 1, 0, 0, 0])


@FACES
def test_a_falling_line_and_a_level_one(op):
    x = np.array([-1.0, 0.0, 1.0, 2.0])
    np.testing.assert_array_equal(op(x, -0.5, 0.5), [1, 0.5, 0, 0])
    y, saved = op.forward(x, 0.0, 0.5)
    np.testing.assert_array_equal(y, 0.5)
    np.testing.assert_array_equal(op.backward(saved, x)[0], 0)
