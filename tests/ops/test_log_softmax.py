"""log_softmax against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

import numseg as ns

FACES = pytest.mark.parametrize(
    "op", [ns.log_softmax, ns.log_softmax.reference], ids=["cpu", "ref"]
)
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
LOGS = [0.0, math.log(2), math.log(5)]  # exp: 1, 2, 5, sum 8
TRAILING = pytest.mark.parametrize("trailing", [(), (2,)], ids=["last axis", "columns"])


@FACES
@DTYPES
@pytest.mark.parametrize("dim", [0, 1, 2, -1, -2, -3])
def test_values_along_every_axis(op, dtype, dim):
    x = np.zeros((3, 3, 3), dtype)
    along = np.moveaxis(x, dim, -1)
    along[...] = LOGS
    along[0, 0] = [7, 7, 7]
    y = op(x, dim=dim)
    assert y.dtype == dtype
    expected = np.broadcast_to(np.array(LOGS) - math.log(8), along.shape).copy()
    expected[0, 0] = -math.log(3)
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(np.moveaxis(y, dim, -1), expected, rtol=3 * eps, atol=3 * eps)


@FACES
@TRAILING
def test_unlikely_classes_keep_their_digits(op, trailing):
    # softmax is 0 there in float32, and its logarithm -inf
    column = np.array([0.0, -1000.0, -np.inf, -1e30], np.float32)
    x = np.broadcast_to(column.reshape(1, 4, *(1 for _ in trailing)), (1, 4, *trailing)).copy()
    np.testing.assert_array_equal(op(x), x)
    np.testing.assert_array_equal(op(x + np.float32(4096))[:, :2], x[:, :2])


@FACES
@DTYPES
@TRAILING
def test_large_numbers_cost_no_digits(op, dtype, trailing):
    # log(1 + e**-1) below the larger of two neighbours, wherever they are
    x = np.zeros((1, 2, *trailing), dtype)
    x[:, 0], x[:, 1] = 2.0**20, 2.0**20 - 1
    y, below = op(x), math.log1p(math.exp(-1))
    np.testing.assert_allclose(y[:, 0], -below, rtol=4 * np.finfo(dtype).eps)
    np.testing.assert_allclose(y[:, 1], -below - 1, rtol=4 * np.finfo(dtype).eps)


@FACES
@pytest.mark.parametrize("bad", [[np.nan, 1.0], [1.0, np.nan], [np.inf, 1.0], [-np.inf, -np.inf]])
def test_what_has_no_softmax_is_nan_and_stays_in_its_column(op, bad):
    x, half = np.array([[bad[0], 0.0], [bad[1], 0.0]]), -math.log(2)
    np.testing.assert_allclose(op(x, dim=0), [[np.nan, half], [np.nan, half]], rtol=1e-15)
    np.testing.assert_allclose(op(x.T, dim=1), [[np.nan, np.nan], [half, half]], rtol=1e-15)


@FACES
@pytest.mark.parametrize("dim", [0, 1])
def test_gradient(op, dim):
    # gx = gy - p sum(gy) with p = 1/8 2/8 5/8 and gy = 8 0 8: 8 - 2, 0 - 4, 8 - 10
    x, gy = np.array([LOGS]), np.array([[8.0, 0.0, 8.0]])
    x, gy = (x, gy) if dim == 1 else (np.repeat(x, 2, 0).T, np.repeat(gy, 2, 0).T)
    _, saved = op.forward(x, dim=dim)
    (gx,) = op.backward(saved, gy)
    gx = gx if dim == 1 else gx.T[:1]
    np.testing.assert_allclose(gx, [[6, -4, -2]], rtol=1e-14)


@FACES
@pytest.mark.parametrize("shape", [(0, 3, 2), (2, 0, 2), (2, 3, 0), (2, 0)])
def test_empty_axes(op, shape):
    y, saved = op.forward(np.zeros(shape))
    assert y.shape == shape
    assert op.backward(saved, y)[0].shape == shape


@pytest.mark.parametrize("shape", [(2, 5, 37, 41), (700, 130)], ids=["columns", "last axis"])
def test_blocks_and_threads_change_no_bit(shape):
    x = np.random.default_rng(0).normal(0, 5, shape).astype(np.float32)
    results = []
    for threads in (1, 2, 3):
        with ns.num_threads(threads):
            y, saved = ns.log_softmax.forward(x)
            results.append((y, *ns.log_softmax.backward(saved, x)))
    for other in results[1:]:
        np.testing.assert_array_equal(results[0][0], other[0])
        np.testing.assert_array_equal(results[0][1], other[1])
    exact = ns.log_softmax.reference(x.astype(float))
    bound = 2 * np.finfo(np.float32).eps * np.maximum(1, np.abs(exact))
    assert (np.abs(results[0][0] - exact) <= bound).all()
