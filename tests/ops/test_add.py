"""add: values by hand."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

both = pytest.mark.parametrize("op", [ns.add, ns.add.reference])


@both
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_adds(op, dtype):
    z = op(np.array([1, -2, np.inf], dtype), np.array([0.5, 2, -np.inf], dtype))
    assert z.dtype == dtype
    assert z[:2].tolist() == [1.5, 0.0]
    assert np.isnan(z[2])


@both
def test_both_gradients_are_arrays_of_their_own(op):
    x, grad = np.zeros((2, 1), np.float32), np.array([[3], [-4]], np.float32)
    _, saved = op.forward(x, x)
    gx, gy = op.backward(saved, grad)
    assert gx.tolist() == gy.tolist() == [[3], [-4]]
    assert not np.shares_memory(gx, gy)
    assert not np.shares_memory(gx, grad)
    assert op.backward(saved, grad, needs=["other"])[0] is None


def test_nothing_is_broadcast():
    with pytest.raises(ns.ArgumentError, match=r"^add: other has shape \(1,\), expected \(2,\)"):
        ns.add(np.zeros(2), np.zeros(1))
