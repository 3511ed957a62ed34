"""gelu against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

FACES = pytest.mark.parametrize("op", [ns.gelu, ns.gelu.reference], ids=["cpu", "ref"])
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
inf, nan = np.inf, np.nan
KINDS = pytest.mark.parametrize("kind", ["none", "tanh"])

# Numbers without another source were computed with 50 digits.


@FACES
@DTYPES
def test_values(op, dtype):
    # Phi(1) = 0.84134474606854294859, Phi(-1) = 1 - Phi(1)
    x = np.array([0.0, 1.0, -1.0], dtype)
    y = op(x)
    assert y.dtype == dtype
    close = {"rtol": 3 * np.finfo(dtype).eps}
    np.testing.assert_allclose(y, [0, 0.84134474606854294859, -0.15865525393145705141], **close)
    y = op(x, approximate="tanh")
    np.testing.assert_allclose(y, [0, 0.84119199060827670478, -0.15880800939172329522], **close)


@KINDS
@FACES
@DTYPES
def test_the_ends(op, dtype, kind):
    y = op(np.array([inf, 1e30, -1e30, -0.0, nan, -inf], dtype), kind)
    np.testing.assert_array_equal(y, [inf, dtype(1e30), 0, 0, nan, nan])
    assert np.signbit(y[2:4]).all()


@DTYPES
def test_far_below_zero_it_keeps_its_digits(dtype):
    x = np.array([-6.0, -10.0, -12.0], dtype)
    expected = [-5.9195258702261888442e-9, -7.619853024160526066e-23, -2.1317785344932147972e-32]
    close = {"rtol": 5 * np.finfo(dtype).eps}
    np.testing.assert_allclose(ns.gelu(x), expected, **close)
    x = np.array([-3.0, -6.0, -9.0], dtype)
    expected = [-0.0036373920817730188378, -8.4396467007622970837e-11, -1.33645959473487255e-28]
    np.testing.assert_allclose(ns.gelu(x, "tanh"), expected, **close)


def test_nearly_as_far_as_float64_goes():
    x = np.array([-30.0, -36.0])
    expected = [-1.4720141781444561179e-196, -1.5057446636870219994e-282]
    np.testing.assert_allclose(ns.gelu(x), expected, rtol=1e-15)
    y = ns.gelu(np.array([-18.0]), "tanh")
    np.testing.assert_allclose(y, -1.1292762288213192851e-192, rtol=1e-15)


def test_the_definition_far_below_zero():
    """By its fraction, in float64: x**2 has rounded."""
    x = np.array([-6.0, -10.0, -36.0])
    expected = [-5.9195258702261888442e-9, -7.619853024160526066e-23, -1.5057446636870219994e-282]
    np.testing.assert_allclose(ns.gelu.reference(x), expected, rtol=1e-12)


@FACES
@DTYPES
def test_gradient(op, dtype):
    # Phi(x) + x exp(-x**2 / 2) / sqrt(2 pi)
    x = np.array([0.0, 1.0, -1.0, -5.0, -12.0, 1e30, -1e30, inf, -inf, nan], dtype)
    _, saved = op.forward(x)
    (gx,) = op.backward(saved, np.ones(10, dtype))
    expected = [0.5, 1.0833154705876862984, -0.083315470587686298383, -7.1469460017922946279e-6,
                -2.5578956616748956241e-31, 1, 0, nan, nan, nan]  # fmt: skip
    np.testing.assert_allclose(gx, expected, rtol=40 * np.finfo(dtype).eps)


@FACES
@DTYPES
def test_gradient_with_tanh(op, dtype):
    x = np.array([0.0, 1.0, -1.0, -6.0, -9.0, 1e30, -1e30, inf, -inf, nan], dtype)
    _, saved = op.forward(x, "tanh")
    (gx,) = op.backward(saved, np.ones(10, dtype))
    expected = [0.5, 1.0829640838457825551, -0.08296408384578255514, -7.7099739309536955117e-10,
                -2.5157352850674251543e-27, 1, 0, nan, nan, nan]  # fmt: skip
    np.testing.assert_allclose(gx, expected, rtol=40 * np.finfo(dtype).eps)


@FACES
def test_the_smallest_value(op):
    x = np.array([-0.75179152469356445746])
    y, saved = op.forward(x)
    np.testing.assert_allclose(y, -0.16997120747990366169, rtol=1e-15)
    assert abs(op.backward(saved, np.ones(1))[0][0]) < 1e-15


@FACES
def test_how_far_the_two_are_apart(op):
    x = np.linspace(-6, 6, 12_001)
    apart = np.abs(op(x) - op(x, "tanh"))
    assert 0.00047 < apart.max() < 0.00048
    assert abs(abs(x[apart.argmax()]) - 2.7) < 0.05
