"""nll_loss: values by hand."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

both = pytest.mark.parametrize("op", [ns.nll_loss, ns.nll_loss.reference], ids=["cpu", "ref"])
dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])

X = np.array([[[-1.0, -8.0, np.nan], [-2.0, -4.0, np.inf]]])  # two classes, three pixels
T = np.array([[0, 1, 255]])
W = np.array([3.0, 0.5])


@both
@dtypes
def test_values_by_reduction(op, dtype):
    x, w = X.astype(dtype), W.astype(dtype)
    for reduction, expected in (("none", [[1, 4, 0]]), ("sum", 5), ("mean", 2.5)):
        y = op(x, T, ignore_index=255, reduction=reduction)
        assert y.dtype == dtype
        assert y.tolist() == expected
    for reduction, expected in (("none", [[3, 2, 0]]), ("sum", 5), ("mean", dtype(5 / 3.5))):
        assert op(x, T, w, 255, reduction).tolist() == expected


@both
@dtypes
def test_gradients_by_reduction(op, dtype):
    x, w = X.astype(dtype), W.astype(dtype)
    for weight, by in ((None, [-1, -1]), (w, [-3, -0.5])):
        _, saved = op.forward(x, T, weight, 255, "sum")
        (gx,) = op.backward(saved, dtype(2))
        assert gx.tolist() == [[[2 * by[0], 0, 0], [0, 2 * by[1], 0]]]
        _, saved = op.forward(x, T, weight, 255, "none")
        (gx,) = op.backward(saved, np.array([[2, 10, np.nan]], dtype))
        assert gx.tolist() == [[[2 * by[0], 0, 0], [0, 10 * by[1], 0]]]
    _, saved = op.forward(x, T, w, 255)
    (gx,) = op.backward(saved, dtype(7))
    assert gx.tolist() == [[[-6, 0, 0], [0, -1, 0]]]


@both
def test_the_mean_over_nothing(op):
    nothing = np.full((1, 3), 255)
    for empty, expected in (("zero", 0.0), ("nan", np.nan)):
        y, saved = op.forward(X, nothing, ignore_index=255, empty=empty)
        np.testing.assert_array_equal(y, expected)
        assert op.backward(saved, np.ones(()))[0].tolist() == np.zeros((1, 2, 3)).tolist()
        np.testing.assert_array_equal(op(np.zeros((0, 2)), np.zeros(0, int), empty=empty), expected)


@both
def test_the_tangent(op):
    v = np.array([[[1.0, 2, 3], [4, 5, 6]]])
    for reduction, expected in (("none", [[-1, -5, 0]]), ("sum", -6), ("mean", -3)):
        _, t = op.jvp(X, T, None, 255, reduction, tangents={"x": v})
        assert t.tolist() == expected


def test_of_log_softmax_it_is_cross_entropy():
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(2, 4, 30, 50)), rng.integers(0, 4, (2, 30, 50))
    w = rng.uniform(0.5, 2, 4)
    loss = ns.nll_loss(ns.log_softmax(x, 1), t, w, ignore_index=3)
    np.testing.assert_allclose(loss, ns.cross_entropy(x, t, w, ignore_index=3), rtol=1e-12)


@both
def test_labels_are_checked_unless_they_are_ignored(op):
    x = np.zeros((3, 2))
    assert op(x, np.array([0, -100, 1]), ignore_index=-100) == 0
    with pytest.raises(ns.ArgumentError, match=r"label 2 in 1 place, expected labels in \[0, 2\)"):
        op(x, np.array([0, 2, 1]))
