"""dense_crf and mean_field_step against values worked out by hand, and what they refuse or stop."""

from __future__ import annotations

import math

import numpy as np
import pytest

import numseg as ns
from numseg.kernels.lattice import build
from numseg.kernels.machine import threads

OP = ns.dense_crf
both = pytest.mark.parametrize("op", [OP, OP.reference], ids=["cpu", "ref"])
methods = pytest.mark.parametrize("method", ["exact", "permutohedral"])


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def points(*values):
    return np.array(values, float).reshape(1, 1, -1)


def energies(*scores):
    """Two labels, at points where the first is better by so much."""
    scores = np.array(scores, float)
    return np.stack([np.zeros_like(scores), scores])[None]


# -- by hand ---------------------------------------------------------------------------------------


@both
@methods
def test_a_pixel_alone_is_its_own_neighbour(op, method):
    """softmax(0, -1) is 0.731; of 1 + 5 (0.731 - 0.269) it is 0.965, and then of more."""
    how = {"method": method, "features": [points(0)], "compat": [np.array(5.0)]}
    first = sigmoid(1)
    assert round(first, 3) == 0.731
    expected = [first]
    for _ in range(3):
        expected.append(sigmoid(1 + 5 * (2 * expected[-1] - 1)))
    assert round(expected[1], 3) == 0.965
    for iterations, value in enumerate(expected):
        y = op(energies(1), iterations=iterations, **how)
        np.testing.assert_allclose(y, [[[value], [1 - value]]], rtol=1e-13)


@both
@methods
def test_without_itself_a_pixel_alone_has_no_neighbour(op, method):
    for normalization in ("symmetric", "before", "after", "none"):
        y = op(energies(1), [points(0)], [np.array(5.0)], method="exact",
               normalization=normalization, include_self=False)  # fmt: skip
        np.testing.assert_allclose(y[0, 0], sigmoid(1), rtol=1e-14)


TWO = energies(1, -3)  # 0.731 and 0.047
Q = [sigmoid(1), sigmoid(-3)]


@both
@pytest.mark.parametrize("include_self", [True, False])
@pytest.mark.parametrize("normalization", ["symmetric", "before", "after", "none"])
def test_two_pixels_by_hand(op, normalization, include_self):
    """At a distance d their kernel is k = exp(-d^2 / 2): the matrix (1 k; k 1), rows that sum to
    1 + k, so that all three normalisations divide by it; (0 k; k 0) without themselves."""
    k = math.exp(-0.5)
    s = float(include_self)
    n = 1 if normalization == "none" else s + k
    z = [1 + 3 * (s * (2 * a - 1) + k * (2 * b - 1)) / n for a, b in (Q, Q[::-1])]
    z[1] -= 4  # its own energies are -3
    how = {"normalization": normalization, "include_self": include_self, "method": "exact"}
    y = op(TWO, [points(2, 3)], [np.array(3.0)], iterations=1, **how)
    np.testing.assert_allclose(y[0, 0], [sigmoid(z[0]), sigmoid(z[1])], rtol=1e-13)
    logits = op(TWO, [points(2, 3)], [np.array(3.0)], iterations=1, output="logits", **how)
    np.testing.assert_allclose(logits[0, 0] - logits[0, 1], z, rtol=1e-13)


@both
def test_normalisations_differ_where_rows_of_the_kernel_do(op):
    """Two points together, one at a distance: n is 2 + k twice, and 1 + 2 k."""
    k, q = math.exp(-0.5), [sigmoid(1), sigmoid(0), sigmoid(-2)]
    K = np.array([[1, 1, k], [1, 1, k], [k, k, 1]])
    n = np.array([2 + k, 2 + k, 1 + 2 * k])
    both_sides = {
        "none": (1, 1),
        "before": (1, 1 / n),
        "after": (1 / n, 1),
        "symmetric": (n**-0.5, n**-0.5),
    }
    for normalization, (after, before) in both_sides.items():
        f = after * (K @ (before * np.array([q, [1 - a for a in q]])).T).T
        how = {"method": "exact", "normalization": normalization, "output": "logits"}
        mu = np.array([[0, 0.7], [0.2, 0]])
        y = op(energies(1, 0, -2), [points(0, 0, 1)], [mu], iterations=1, **how)
        # the first label pays 0.7 for the second, which pays 0.2 for the first
        np.testing.assert_allclose(y[0, 0], -0.7 * f[1], rtol=1e-13)
        np.testing.assert_allclose(y[0, 1], [-1, 0, 2] - 0.2 * f[0], rtol=1e-13)


@both
def test_compatibilities_of_a_number_and_by_label_attract(op):
    rng = np.random.default_rng(0)
    unary, f = rng.normal(size=(2, 3, 2, 2)), [rng.normal(size=(2, 2, 2, 2))]
    how = {"iterations": 2, "method": "exact"}
    w, v = np.array(1.5), np.array([1.0, 2.0, -0.5])
    np.testing.assert_allclose(op(unary, f, [w], **how), op(unary, f, [-w * np.eye(3)], **how))
    np.testing.assert_allclose(op(unary, f, [v], **how), op(unary, f, [-np.diag(v)], **how))
    # Potts: to pay 1 for every other label is to gain 1 for the same, but for what all labels pay
    potts = 1.5 * (1 - np.eye(3))
    np.testing.assert_allclose(op(unary, f, [w], **how), op(unary, f, [potts], **how))


@both
def test_terms_add_up(op):
    rng = np.random.default_rng(1)
    unary, f = rng.normal(size=(1, 2, 5)), rng.normal(size=(1, 3, 5))
    how = {"iterations": 3, "method": "exact"}
    once = op(unary, [f], [np.array(2.0)], **how)
    parts = op(unary, [f, f, f], [np.array(0.5), np.array(2.5), np.eye(2)], **how)
    np.testing.assert_allclose(parts, once, rtol=1e-12)


@both
@methods
def test_damping_keeps_a_part_of_what_was(op, method):
    how = {"method": method, "features": [points(0)], "compat": [np.array(5.0)]}
    q = sigmoid(1)
    for _ in range(2):
        q = 0.75 * sigmoid(1 + 5 * (2 * q - 1)) + 0.25 * q
    y = op(energies(1), iterations=2, damping=0.25, **how)
    np.testing.assert_allclose(y[0, 0], q, rtol=1e-13)


@both
def test_from_what_it_begins_with(op):
    start = np.array([[[0.2], [0.8]]])
    how = {"features": [points(0)], "compat": [np.array(5.0)]}
    np.testing.assert_array_equal(op(energies(1), q0=start, iterations=0, **how), start)
    y = op(energies(1), q0=start, iterations=1, **how)
    np.testing.assert_allclose(y[0, 0], sigmoid(1 - 3), rtol=1e-13)
    step = ns.mean_field_step(start, energies(1), **how)
    np.testing.assert_array_equal(step, OP(energies(1), q0=start, iterations=1, **how))


@both
def test_each_image_stops_by_itself(op):
    """One image that is settled at once, and one that is not."""
    unary = np.concatenate([energies(0, 0), energies(1, -0.5)])
    how = {"features": [points(0, 1)], "compat": [np.array(3.0)], "method": "exact"}
    y, saved = op.forward(unary, tolerance=1e-4, iterations=50, **how)
    first, second = saved.steps
    assert first == 1
    assert 2 < second < 50
    for n, steps in enumerate(saved.steps):
        np.testing.assert_array_equal(y[n], op(unary[n : n + 1], iterations=int(steps), **how)[0])
    before = op(unary[1:], iterations=int(second) - 1, **how)
    assert 0 < abs(y[1] - before[0]).max() <= 1e-4
    earlier = op(unary[1:], iterations=int(second) - 2, **how)
    assert abs(before - earlier).max() > 1e-4
    # and backward goes through those alone
    _, alone = op.forward(unary[1:], iterations=int(second), **how)
    wanted = op.backward(alone, np.ones((1, 2, 2)) * [[[1], [2]]])
    got = op.backward(saved, np.ones((2, 2, 2)) * [[[1], [2]]])
    np.testing.assert_array_equal(got[0][1:], wanted[0])


# -- gradients by hand -----------------------------------------------------------------------------


@both
@methods
def test_the_gradient_of_a_pixel_alone(op, method):
    """q1 = s(u + w (2 q0 - 1)), q0 = s(u): dq1/dw = q1 (1 - q1) (2 q0 - 1)."""
    unary, w, u = energies(1), 5.0, 1.0
    _, saved = op.forward(unary, [points(0)], [np.array(w)], iterations=1, method=method)
    grad_y = np.array([[[1.0], [0.0]]])
    gu, gf, gw, gq = op.backward(saved, grad_y)
    q0 = sigmoid(u)
    q1 = sigmoid(u + w * (2 * q0 - 1))
    slope = q1 * (1 - q1)
    np.testing.assert_allclose(gw, slope * (2 * q0 - 1), rtol=1e-12)
    # the second label's energy is u
    np.testing.assert_allclose(gu[0, 1], slope * (1 + 2 * w * q0 * (1 - q0)), rtol=1e-12)
    np.testing.assert_allclose(gu[0, 0], -gu[0, 1], rtol=1e-12)
    np.testing.assert_allclose(gf, 0, atol=1e-15)
    assert gq is None


@both
def test_gradients_of_features_go_through_n_too(op):
    """Two pixels a distance d apart, divided by their n = 1 + k: dn/dd = -d k. What they mix is
    (a + k b) / (1 + k), whose slope is (b - a) / (1 + k)^2 by k."""
    d, w = 0.8, 3.0
    k = math.exp(-0.5 * d * d)
    a, b = (2 * q - 1 for q in Q)
    for normalization in ("symmetric", "before", "after"):
        _, saved = op.forward(TWO, [points(0, d)], [np.array(w)], iterations=1, method="exact",
                              normalization=normalization, output="logits")  # fmt: skip
        grad_y = np.zeros((1, 2, 2))
        grad_y[0, :, 0] = 1, -1  # of the first pixel's z
        gf = op.backward(saved, grad_y)[1]
        along = w * (b - a) / (1 + k) ** 2 * (-d * k)
        np.testing.assert_allclose(gf, [[[-along, along]]], rtol=1e-12)


@pytest.mark.parametrize("method", ["exact", "permutohedral"])
@pytest.mark.parametrize("normalization", ["symmetric", "before", "after", "none"])
def test_gradients_through_all_iterations_are_the_derivative(method, normalization):
    """Terms of all three kinds, features that images share and of their own, in float64; on the
    lattice within a simplex."""
    rng = np.random.default_rng(3)
    n, labels, size = 2, 3, (3, 4)
    scale = 0.2 if normalization == "none" else 1.0
    arguments = {
        "unary": rng.normal(size=(n, labels, *size)),
        "features": [rng.normal(size=(1, 2, *size)), rng.normal(size=(n, 3, *size)),
                     rng.normal(size=(n, 1, *size))],
        "compat": [scale * rng.normal(size=(labels,) * axes) for axes in (0, 1, 2)],
        "q0": rng.uniform(size=(n, labels, *size)),
    }  # fmt: skip
    how = {"method": method, "normalization": normalization, "iterations": 4, "damping": 0.2}
    report = ns.gradcheck(OP, {**arguments, **how}, seed=0)
    assert report.status == "pass", str(report)


def test_gradients_of_widths_and_of_the_image():
    """Through the feature operators: kernel widths are learned, images have a gradient."""
    rng = np.random.default_rng(4)
    image = rng.uniform(0, 50, size=(1, 3, 4, 3))
    unary = rng.normal(size=(1, 2, 4, 3))
    # off the lattice, on which a column 3 rows apart would lie with widths of 2 and 3
    sxy, widths = np.array([2.1, 2.9]), np.array([4.1, 5.3, 13.0, 14.0, 15.0])
    grad_y = rng.normal(size=unary.shape)

    def loss(image, sxy, widths):
        features = [ns.spatial_features(image, sxy), ns.bilateral_features(image, widths)]
        compat = [np.array(1.0), np.array([2.0, 1.0])]
        return (ns.dense_crf(unary, features, compat, iterations=3) * grad_y).sum()

    spatial, by_sxy = ns.spatial_features.forward(image, sxy)
    bilateral, by_widths = ns.bilateral_features.forward(image, widths)
    _, saved = OP.forward(unary, [spatial, bilateral], [np.array(1.0), np.array([2.0, 1.0])],
                          iterations=3)  # fmt: skip
    _, g_spatial, g_bilateral, *_ = OP.backward(saved, grad_y)
    (g_sxy,) = ns.spatial_features.backward(by_sxy, g_spatial)
    g_image, g_widths = ns.bilateral_features.backward(by_widths, g_bilateral)
    at = [image, sxy, widths]
    for place, gradient in ((0, g_image), (1, g_sxy), (2, g_widths)):
        direction = rng.normal(size=gradient.shape)
        h = 1e-6
        ends = [[a + s * h * direction if j == place else a for j, a in enumerate(at)]
                for s in (1, -1)]  # fmt: skip
        slope = (loss(*ends[0]) - loss(*ends[1])) / (2 * h)
        np.testing.assert_allclose((gradient * direction).sum(), slope, rtol=1e-5)


# -- infinities, NaN, sizes ------------------------------------------------------------------------


@both
@methods
def test_an_infinite_energy_forbids_a_label(op, method):
    rng = np.random.default_rng(5)
    unary = rng.normal(size=(1, 3, 3, 3))
    unary[0, 1, 1, 1] = np.inf
    y, saved = op.forward(unary, [rng.normal(size=(1, 2, 3, 3))], [np.array(2.0)], method=method)
    assert np.isfinite(y).all()
    assert y[0, 1, 1, 1] == 0
    gradients = op.backward(saved, np.ones_like(y) * [[[[1]], [[2]], [[3]]]])
    assert all(np.isfinite(g).all() for g in gradients if g is not None)
    assert gradients[0][0, 1, 1, 1] == 0


@both
def test_a_nan_reaches_all_that_filters_mix_it_with(op):
    unary = energies(1.0, 2.0, 3.0)
    unary[0, 0, 1] = np.nan
    near, far = np.array([[[0.0, 0, 0]]]), np.array([[[0.0, 0, 1000]]])
    assert np.isnan(op(unary, [near], [np.array(1.0)])).all()
    y = op(unary, [far], [np.array(1.0)])  # the third has a simplex of its own
    assert np.isnan(y[..., :2]).all()
    assert np.isfinite(y[..., 2]).all()


@methods
def test_one_label_and_many(method):
    how = {"method": method, "iterations": 2}
    f = np.random.default_rng(0).normal(size=(1, 2, 4))
    y, saved = OP.forward(
        np.random.default_rng(1).normal(size=(1, 1, 4)), [f], [np.ones(())], **how
    )
    np.testing.assert_array_equal(y, 1)
    np.testing.assert_array_equal(OP.backward(saved, y)[0], 0)
    labels = 100_000
    unary = np.zeros((1, labels, 4), np.float32)
    unary[0, 7] = -30
    y, saved = OP.forward(unary, [f.astype(np.float32)], [np.ones((), np.float32)], **how)
    assert (y[0, 7] > 0.99).all()
    np.testing.assert_allclose(y.sum(1, dtype=np.float64), 1, rtol=1e-5)
    assert all(np.isfinite(g).all() for g in OP.backward(saved, y) if g is not None)


def test_no_matrix_of_compatibilities_is_made_of_a_number():
    """A million labels squared would be 4 TB."""
    unary = np.zeros((1, 1_000_000, 1), np.float32)
    features = [np.zeros((1, 1, 1), np.float32)]
    y = OP(unary, features, [np.ones((), np.float32)], iterations=1)
    np.testing.assert_allclose(y, 1e-6, rtol=1e-3)
    with pytest.raises(ns.ArgumentError, match=r"compat\[0\] has shape \(2, 2\), expected"):
        OP(unary, features, [np.ones((2, 2), np.float32)])


def test_more_points_than_a_tile_and_labels_than_a_vector():
    """Against the definition, at sizes that are no multiple of anything."""
    rng = np.random.default_rng(6)
    for labels, size in ((2, 300), (21, 4500), (37, 150)):
        unary = rng.normal(size=(1, labels, size)).astype(np.float32)
        f = rng.normal(size=(1, 2, size)).astype(np.float32) * 3
        compat = [np.float32(0.1) * rng.normal(size=(labels, labels)).astype(np.float32),
                  np.full(labels, 2, np.float32)]  # fmt: skip
        how = {"iterations": 2}
        y, saved = OP.forward(unary, [f, f], compat, **how)
        wide = [unary.astype(float), [f.astype(float)] * 2, [c.astype(float) for c in compat]]
        exact, exact_saved = OP.reference.forward(*wide, **how)
        np.testing.assert_allclose(y, exact, atol=3e-6)
        grad_y = rng.normal(size=unary.shape).astype(np.float32)
        got = OP.backward(saved, grad_y)
        wanted = OP.reference.backward(exact_saved, grad_y.astype(float))
        for a, b in zip(got, wanted, strict=True):
            if a is not None:
                assert abs(a - b).max() <= 2e-5 * max(1, abs(b).max())


def test_runs_of_points_and_one_agree(monkeypatch):
    """On any number of threads, to the bit."""
    rng = np.random.default_rng(8)
    unary = rng.normal(size=(1, 2, 300)).astype(np.float32)
    f = rng.normal(size=(1, 2, 300)).astype(np.float32) * 3
    grad_y = rng.normal(size=unary.shape).astype(np.float32)
    compat = [rng.normal(size=(2, 2)).astype(np.float32), np.full(2, 2, np.float32)]

    def bits(count):
        with threads.num_threads(count):
            y, saved = OP.forward(unary, [f, f], compat, iterations=2)
            return [y, *(a for a in OP.backward(saved, grad_y) if a is not None)]

    one = bits(1)
    monkeypatch.setattr(threads, "SERIAL_WORK", 0)
    monkeypatch.setattr(build, "RUN", 64)
    several = bits(1)
    for a, b in zip(several, one, strict=True):
        assert abs(a - b).max() <= 2e-5 * max(1, abs(b).max())
    for a, b in zip(bits(2), several, strict=True):
        assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("labels", [2, 5])
def test_a_batch_is_its_images(shared, labels):
    rng = np.random.default_rng(7)
    unary = rng.normal(size=(3, labels, 4, 5))
    f = rng.normal(size=(1 if shared else 3, 2, 4, 5))
    w = [rng.normal(size=(labels, labels))]
    y, saved = OP.forward(unary, [f], w, iterations=2)
    grad_y = rng.normal(size=y.shape)
    gu, gf, gw, _ = OP.backward(saved, grad_y)
    each = []
    for n in range(3):
        one = f if shared else f[n : n + 1]
        part, kept = OP.forward(unary[n : n + 1], [one], w, iterations=2)
        np.testing.assert_array_equal(part[0], y[n])
        each.append(OP.backward(kept, grad_y[n : n + 1]))
    np.testing.assert_array_equal(gu, np.concatenate([e[0] for e in each]))
    np.testing.assert_allclose(gw, sum(e[2] for e in each), rtol=1e-12, atol=1e-14)
    gfs = sum(e[1] for e in each) if shared else np.concatenate([e[1] for e in each])
    np.testing.assert_allclose(gf, gfs, rtol=1e-12, atol=1e-14)
