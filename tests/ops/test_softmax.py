"""softmax against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

import numseg as ns

FACES = pytest.mark.parametrize("op", [ns.softmax, ns.softmax.reference], ids=["cpu", "ref"])
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
LOGS = [0.0, math.log(2), math.log(5)]  # exp: 1, 2, 5, sum 8
SHARES = [1 / 8, 2 / 8, 5 / 8]


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
    expected = np.broadcast_to(SHARES, along.shape).copy()
    expected[0, 0] = 1 / 3
    np.testing.assert_allclose(
        np.moveaxis(y, dim, -1), expected, rtol=4 * np.finfo(dtype).eps, strict=False
    )


@FACES
@pytest.mark.parametrize("trailing", [(), (2,)], ids=["last axis", "columns"])
def test_nothing_overflows(op, trailing):
    column = np.array([1e30, 1e30, -1e30, -np.inf], np.float32)
    x = np.broadcast_to(column.reshape(1, 4, *(1 for _ in trailing)), (1, 4, *trailing)).copy()
    y = op(x)
    for i in range(4):
        np.testing.assert_array_equal(y[:, i], [0.5, 0.5, 0, 0][i])


@FACES
@pytest.mark.parametrize("trailing", [(), (2,)], ids=["last axis", "columns"])
def test_nothing_underflows(op, trailing):
    x = np.full((1, 4, *trailing), -1e30, np.float32)
    np.testing.assert_array_equal(op(x), np.full_like(x, 0.25))


@FACES
@pytest.mark.parametrize("bad", [[np.nan, 1.0], [1.0, np.nan], [np.inf, 1.0], [-np.inf, -np.inf]])
def test_what_has_no_softmax_is_nan_and_stays_in_its_column(op, bad):
    x = np.array([[bad[0], 0.0], [bad[1], 0.0]])
    np.testing.assert_array_equal(op(x, dim=0), [[np.nan, 0.5], [np.nan, 0.5]])
    np.testing.assert_array_equal(op(x.T, dim=1), [[np.nan, np.nan], [0.5, 0.5]])


@FACES
@pytest.mark.parametrize("dim", [0, 1])
def test_gradient(op, dim):
    # y = 1/8 2/8 5/8, gy = 8 0 8: sum(gy y) = 6, gx = y * (2, -6, 2) = 1/4 -3/2 5/4
    x, gy = np.array([LOGS]), np.array([[8.0, 0.0, 8.0]])
    x, gy = (x, gy) if dim == 1 else (np.repeat(x, 2, 0).T, np.repeat(gy, 2, 0).T)
    _, saved = op.forward(x, dim=dim)
    (gx,) = op.backward(saved, gy)
    gx = gx if dim == 1 else gx.T[:1]
    np.testing.assert_allclose(gx, [[0.25, -1.5, 1.25]], rtol=1e-14)


@FACES
@pytest.mark.parametrize("shape", [(0, 3, 2), (2, 0, 2), (2, 3, 0), (2, 0)])
def test_empty_axes(op, shape):
    y, saved = op.forward(np.zeros(shape))
    assert y.shape == shape
    assert op.backward(saved, y)[0].shape == shape


def test_one_entry_is_certain():
    np.testing.assert_array_equal(ns.softmax(np.array([[-5.0], [700.0]])), [[1.0], [1.0]])


@pytest.mark.parametrize("shape", [(2, 5, 37, 41), (700, 130)], ids=["columns", "last axis"])
def test_blocks_and_threads_change_no_bit(shape):
    x = np.random.default_rng(0).normal(0, 5, shape).astype(np.float32)
    results = []
    for threads in (1, 2, 3):
        with ns.num_threads(threads):
            y, saved = ns.softmax.forward(x)
            results.append((y, *ns.softmax.backward(saved, x)))
    for other in results[1:]:
        np.testing.assert_array_equal(results[0][0], other[0])
        np.testing.assert_array_equal(results[0][1], other[1])
    exact = ns.softmax.reference(x.astype(float))
    assert np.abs(results[0][0] - exact).max() < 5 * np.finfo(np.float32).eps
