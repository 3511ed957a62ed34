"""floor, ceil, round and sign: values by hand."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

inf, nan = np.inf, np.nan
X = [-2.5, -1.5, -1.2, -0.5, -0.2, -0.0, 0.0, 0.2, 0.5, 1.5, 2.5, 2.7, -inf, inf, nan]
EXPECTED = [
    (ns.floor, [-3, -2, -2, -1, -1, -0.0, 0, 0, 0, 1, 2, 2, -inf, inf, nan]),
    (ns.ceil, [-2, -1, -1, -0.0, -0.0, -0.0, 0, 1, 1, 2, 3, 3, -inf, inf, nan]),
    (ns.round, [-2, -2, -1, -0.0, -0.0, -0.0, 0, 0, 0, 2, 2, 3, -inf, inf, nan]),
    (ns.sign, [-1, -1, -1, -1, -1, 0, 0, 1, 1, 1, 1, 1, -1, 1, nan]),
]
each = pytest.mark.parametrize(("op", "expected"), EXPECTED)
dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@each
@dtypes
def test_rounded_values(op, expected, dtype):
    for face in (op, op.reference):
        y = face(np.array(X, dtype))
        assert y.dtype == dtype
        np.testing.assert_array_equal(y, np.array(expected, dtype))
        if op is not ns.sign:
            finite = np.isfinite(y)
            assert np.signbit(y[finite]).tolist() == np.signbit(np.array(expected)[finite]).tolist()


@each
@dtypes
def test_numbers_next_to_the_jumps(op, expected, dtype):
    x = np.array([1, -1, 0.5, -0.5, 2.0**23 - 0.5, 2.0**53, 1e30, 0], dtype)
    x = np.concatenate([x, np.nextafter(x, dtype(inf)), np.nextafter(x, dtype(-inf))])
    np.testing.assert_array_equal(op(x), op.reference(x))


@each
@dtypes
def test_there_is_nothing_to_learn(op, expected, dtype):
    for face in (op, op.reference):
        _, saved = face.forward(np.array(X, dtype))
        (gx,) = face.backward(saved, np.array([1, inf, nan] * 5, dtype))
        assert gx.tolist() == [0] * 15
