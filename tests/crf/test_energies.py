"""Energies and divergences of dense CRFs: by hand, and against all labellings one by one."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import numseg as ns
from numseg import crf

EXACT = {"method": "exact", "normalization": "none", "include_self": False}


def small(seed=0, points=4, labels=3):
    """A CRF of so few points that all of its labellings can be written down."""
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(labels, labels))
    return {
        "unary": rng.normal(size=(1, labels, points)),
        "features": [rng.normal(size=(1, 2, points)), rng.normal(size=(1, 1, points))],
        "compat": [np.array(0.7), matrix + matrix.T],
    }


def by_definition(labels, unary, features, compat):
    """The sum over pairs i < j, each once."""
    total = sum(unary[0, l, i] for i, l in enumerate(labels))
    for f, c in zip(features, compat, strict=True):
        mu = c if c.ndim == 2 else -c * np.eye(unary.shape[1])
        for i, j in itertools.combinations(range(len(labels)), 2):
            kernel = math.exp(-0.5 * ((f[0, :, i] - f[0, :, j]) ** 2).sum())
            total += mu[labels[i], labels[j]] * kernel
    return total


def test_a_pair_counts_once():
    field = small()
    for labels in ((0, 1, 2, 0), (1, 1, 1, 1), (2, 0, 2, 1)):
        found = crf.energy(np.array([labels]), **field, **EXACT)
        np.testing.assert_allclose(found.total, by_definition(labels, **field), rtol=1e-12)
        assert found.pairwise.shape == (1, 2)


def test_the_divergence_is_that_of_the_distribution_over_all_labellings():
    """KL(Q, P) = sum over labellings of Q log (Q / P), P = exp(-E) / Z; total is less log Z."""
    field = small()
    rng = np.random.default_rng(1)
    q = rng.uniform(0.1, 1, size=(1, 3, 4))
    q /= q.sum(1)
    everything = list(itertools.product(range(3), repeat=4))
    energies = np.array([by_definition(labels, **field) for labels in everything])
    log_z = np.log(np.exp(-energies).sum())
    weights = np.array([np.prod(q[0, labels, range(4)]) for labels in map(list, everything)])
    kl = (weights * (np.log(weights) + energies + log_z)).sum()
    assert kl > 0
    found = crf.kl_divergence(q, **field, **EXACT)
    np.testing.assert_allclose(found.total + log_z, kl, rtol=1e-10)
    whole = crf.kl_divergence(q, **field, **EXACT, form="pydensecrf")
    np.testing.assert_allclose(whole.pairwise, 2 * found.pairwise, rtol=1e-14)
    np.testing.assert_array_equal(whole.entropy, found.entropy)


def test_inference_comes_to_rest_where_the_divergence_is_smallest():
    """At a fixed point the divergence has no slope along distributions."""
    field = small()
    how = {"iterations": 500, "damping": 0.5}
    q = ns.dense_crf(**field, **EXACT, **how)
    least = crf.kl_divergence(q, **field, **EXACT).total
    rng = np.random.default_rng(2)
    for _ in range(20):
        step = 1e-4 * rng.normal(size=q.shape)
        other = q * np.exp(step)
        other /= other.sum(1, keepdims=True)
        assert crf.kl_divergence(other, **field, **EXACT).total >= least - 1e-12
    start = ns.softmax(-field["unary"])
    assert least < crf.kl_divergence(start, **field, **EXACT).total


def test_what_has_probability_zero_counts_for_nothing():
    field = small()
    field["unary"][0, 1, 2] = np.inf
    q = ns.dense_crf(**field, **EXACT, iterations=3)
    assert q[0, 1, 2] == 0
    assert np.isfinite(crf.kl_divergence(q, **field, **EXACT).total).all()
    assert np.isfinite(crf.energy(np.array([[0, 0, 0, 1]]), **field, **EXACT).total).all()
    assert crf.energy(np.array([[0, 0, 1, 1]]), **field, **EXACT).total == np.inf


def test_images_one_by_one():
    rng = np.random.default_rng(3)
    unary, f = rng.normal(size=(3, 2, 4, 5)), rng.normal(size=(1, 2, 4, 5))
    labels = rng.integers(0, 2, (3, 4, 5))
    all_three = crf.energy(labels, unary, [f], [np.ones(2)]).total
    for n in range(3):
        one = crf.energy(labels[n : n + 1], unary[n : n + 1], [f], [np.ones(2)]).total
        np.testing.assert_allclose(one, all_three[n], rtol=1e-13)


def test_refusals():
    field = small()
    labels = np.zeros((1, 4), int)
    for labels_, words in (
        (labels[:, :3], r"labels has shape \(1, 3\), expected \(1, 4\)"),
        (labels + 3, "labels has the label 3 in 4 places"),
        (labels + 0.5, "labels has dtype float64"),
    ):
        with pytest.raises(ns.ArgumentError, match=words):
            crf.energy(labels_, **field)
    q = np.full((1, 3, 4), 1 / 3)
    with pytest.raises(ns.ArgumentError, match="q has the probability -1"):
        crf.kl_divergence(q - 4 / 3, **field)
    with pytest.raises(ns.ArgumentError, match="form must be one of 'kl', 'pydensecrf'"):
        crf.kl_divergence(q, **field, form="both")
    with pytest.raises(ns.ArgumentError, match=r"q0 has shape \(1, 2, 4\)"):
        crf.kl_divergence(q[:, :2], **field)
    with pytest.raises(ns.ArgumentError, match="features has 1 arrays, but compat has 2"):
        crf.energy(labels, field["unary"], field["features"][:1], field["compat"])
