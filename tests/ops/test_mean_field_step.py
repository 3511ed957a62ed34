"""mean_field_step: dense_crf of one iteration, whose tests have the values by hand."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns


@pytest.mark.parametrize("method", ["exact", "permutohedral"])
def test_steps_one_after_the_other_are_dense_crf(method):
    rng = np.random.default_rng(0)
    unary, features = rng.normal(size=(2, 3, 4, 4)), [rng.normal(size=(1, 2, 4, 4))]
    compat = [rng.normal(size=(3, 3))]
    q = ns.softmax(-unary)
    for _ in range(3):
        q = ns.mean_field_step(q, unary, features, compat, method=method, damping=0.1)
    y = ns.dense_crf(unary, features, compat, iterations=3, method=method, damping=0.1)
    np.testing.assert_allclose(q, y, rtol=1e-13)


@pytest.mark.parametrize("op", [ns.mean_field_step, ns.mean_field_step.reference])
def test_gradients_by_hand(op):
    """A pixel alone: y = s(u + w (2 q - 1)), of slopes y (1 - y) times 2 w, 1 and 2 q - 1."""
    q, unary, w = np.array([[[0.7], [0.3]]]), np.array([[[0.0], [0.5]]]), np.array(1.5)
    y, saved = op.forward(q, unary, [np.zeros((1, 1, 1))], [w])
    expected = 1 / (1 + np.exp(-(0.5 + 1.5 * 0.4)))
    np.testing.assert_allclose(y[0, 0], expected, rtol=1e-14)
    gq, gu, gf, gw = op.backward(saved, np.array([[[1.0], [0.0]]]))
    slope = expected * (1 - expected)
    np.testing.assert_allclose(gq.ravel(), [1.5 * slope, -1.5 * slope], rtol=1e-12)
    np.testing.assert_allclose(gu.ravel(), [-slope, slope], rtol=1e-12)
    np.testing.assert_allclose(gw, 0.4 * slope, rtol=1e-12)
    np.testing.assert_allclose(gf, 0, atol=1e-15)
