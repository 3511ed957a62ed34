"""gaussian_filter against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns
from numseg.errors import ArgumentError
from numseg.testing import adjointcheck, gradcheck

FACES = pytest.mark.parametrize(
    "op", [ns.gaussian_filter, ns.gaussian_filter.reference], ids=["cpu", "ref"]
)
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
METHODS = pytest.mark.parametrize("method", ["exact", "permutohedral"])
NORMALIZATIONS = pytest.mark.parametrize("kind", ["none", "before", "after", "symmetric"])

STEP = np.sqrt(3) / 2
"""Of the one-dimensional lattice: vertices lie so far apart."""


def _line(places, dtype=np.float64):
    return np.array(places, dtype).reshape(1, 1, -1)


# -- the exact sum --------------------------------------------------------------------------------


@FACES
@DTYPES
def test_exact_weights_are_gaussians_of_distances(op, dtype):
    # of points at 0 and 2: exp(-2) between them
    y = op(_line([3, 5], dtype), _line([0, 2], dtype), method="exact")
    assert y.dtype == dtype
    w = np.exp(-2.0)
    np.testing.assert_allclose(y[0, 0], [3 + 5 * w, 5 + 3 * w], rtol=np.finfo(dtype).eps)


@FACES
def test_distances_are_over_all_features_and_points_have_any_axes(op):
    x = np.arange(4.0).reshape(1, 1, 2, 2)
    features = np.array([[[0, 1], [0, 1]], [[0, 0], [1, 1]]], float)[None]  # column, row
    y = op(x, features, method="exact")
    a, b = np.exp(-0.5), np.exp(-1.0)  # beside, and across
    np.testing.assert_allclose(y[0, 0], [[3 * a + 3 * b, 1 + 3 * a + 2 * b],
                                         [2 + 3 * a + b, 3 + 3 * a]])  # fmt: skip


@FACES
def test_exact_normalizations(op):
    x, f, w = _line([3, 5]), _line([0, 2]), np.exp(-2.0)
    n = 1 + w  # of both
    for kind in ("before", "after", "symmetric"):
        y = op(x, f, method="exact", normalization=kind)
        np.testing.assert_allclose(y[0, 0], [(3 + 5 * w) / n, (5 + 3 * w) / n])
    # three points, of which the middle one has two neighbours
    x, f = _line([1, 0, 0]), _line([0, 2, 4])
    v = np.exp(-8.0)
    n0, n1 = 1 + w + v, 1 + 2 * w
    for kind, wanted in {
        "before": np.array([1, w, v]) / n0,
        "after": np.array([1 / n0, w / n1, v / n0]),
        "symmetric": np.array([1 / n0, w / np.sqrt(n0 * n1), v / n0]),
    }.items():
        np.testing.assert_allclose(op(x, f, method="exact", normalization=kind)[0, 0], wanted)
    for one, other in (("before", "after"), ("after", "before"), ("symmetric", "symmetric")):
        y = op(x, f, method="exact", normalization=one, adjoint=True)
        np.testing.assert_array_equal(y, op(x, f, method="exact", normalization=other))


@FACES
def test_exact_without_the_point_itself(op):
    x, f, w, v = _line([3, 5, 7]), _line([0, 2, 4]), np.exp(-2.0), np.exp(-8.0)
    y = op(x, f, method="exact", include_self=False)
    np.testing.assert_allclose(y[0, 0], [5 * w + 7 * v, 10 * w, 5 * w + 3 * v])
    y = op(x, f, method="exact", include_self=False, normalization="after")
    n = w + v
    np.testing.assert_allclose(y[0, 0], [(5 * w + 7 * v) / n, 5, (5 * w + 3 * v) / n])


@FACES
@METHODS
@pytest.mark.parametrize("kind", ["before", "after", "symmetric"])
def test_a_point_without_others_has_no_mean_of_others(op, method, kind):
    how = {"method": method, "normalization": kind, "include_self": False}
    y, saved = op.forward(_line([3, 5]), _line([0.3, 1000.3]), **how)
    np.testing.assert_array_equal(y, [[[0, 0]]])
    for grad in op.backward(saved, np.ones_like(y)):
        np.testing.assert_array_equal(grad, [[[0, 0]]])


@FACES
@METHODS
@pytest.mark.parametrize("kind", ["before", "after", "symmetric"])
def test_a_point_alone_is_its_own_mean(op, method, kind):
    y, saved = op.forward(_line([3]), _line([0.3]), method=method, normalization=kind)
    np.testing.assert_allclose(y, [[[3]]], rtol=1e-15)
    gx, gf = op.backward(saved, np.ones_like(y))
    np.testing.assert_allclose(gx, [[[1]]], rtol=1e-15)
    np.testing.assert_allclose(gf, [[[0]]], atol=1e-14)


# -- the lattice ----------------------------------------------------------------------------------


@FACES
@DTYPES
def test_a_point_between_two_vertices_of_a_line(op, dtype):
    # halfway: each vertex gets 1/2. Along the first axis 1/2 + 1/4 each, along the second half more
    # again: 9/8. Back: 9/8, by 1 + 1/2
    y = op(_line([1], dtype), _line([STEP / 2], dtype))
    assert y.dtype == dtype
    np.testing.assert_allclose(y, [[[0.75]]], rtol=4 * np.finfo(dtype).eps)


@FACES
def test_a_point_on_a_vertex_brings_the_rest_of_its_simplex(op):
    # at 0, of equal differences the first is first: the vertices 0 and 1, with weights 1 and 0.
    # 1, 0 > 1, 1/2 > 5/4, 1 > 5/4 by 3/2
    np.testing.assert_allclose(op(_line([1]), _line([0])), [[[5 / 6]]], rtol=1e-15)


@FACES
def test_three_points_on_a_line(op):
    # places in steps 0.25, 1.5, 4.25: vertices 0, 1, 2 and 4, 5. Values 4, 2, 8:
    # splat   3, 1 + 1, 1 | 6, 2
    # axis 0  4, 4, 2     | 7, 5         (3 has no vertex)
    # axis 1  6, 7, 4     | 9.5, 8.5
    # slice   .75 * 6 + .25 * 7, .5 * 7 + .5 * 4, .75 * 9.5 + .25 * 8.5, by 3/2
    y = op(_line([4, 2, 8]), _line(np.array([0.25, 1.5, 4.25]) * STEP))
    np.testing.assert_allclose(y[0, 0], np.array([6.25, 5.5, 9.25]) / 1.5, rtol=1e-14)


@FACES
def test_the_order_of_axes_matters_and_is_turned_round_in_the_adjoint(op):
    # in two dimensions, two points in simplices that share one vertex alone
    f = np.array([[0.1, -0.1], [0.2, -0.25]])[None]
    a, b = (op(np.eye(2)[None, None, k], f) for k in range(2))
    m = np.stack([a[0, 0], b[0, 0]], 1)
    assert abs(m[0, 1] - m[1, 0]) > 1e-3
    back = [op(np.eye(2)[None, None, k], f, adjoint=True)[0, 0] for k in range(2)]
    np.testing.assert_allclose(np.stack(back, 1), m.T, rtol=1e-14)


@FACES
def test_a_triangle_of_the_plane_by_hand(op):
    # in two dimensions 3 sqrt(2/3) / sqrt(2) = sqrt(3), / sqrt(6) = 1. (sqrt(3) a, b) is at
    # b + 3 a, b - 3 a, -2 b. At a = 0.1, b = 0.5 that is 0.8, 0.2, -1: in the simplex of 0, ranks
    # 0, 1, 2. Weights: 1 + (-1 - 0.8) / 3, (0.2 + 1) / 3, (0.8 - 0.2) / 3 = 0.4, 0.4, 0.2. Vertices
    # v0 = (0, 0, 0), v1 = (1, 1, -2), v2 = (2, -1, -1). A step back along axis 0 is (2, -1, -1),
    # along 1 (-1, 2, -1), along 2 (-1, -1, 2)
    f = np.array([0.1 * np.sqrt(3), 0.5]).reshape(1, 2, 1)
    z = np.array([0.4, 0.4, 0.2])
    for first, second in ((0, 2), (1, 2), (0, 1)):  # v0 and v2, v2 and v1, v1 and v0
        z[first], z[second] = z[first] + z[second] / 2, z[second] + z[first] / 2
    wanted = (z * [0.4, 0.4, 0.2]).sum() / (1 + 1 / 4)
    np.testing.assert_allclose(op(np.ones((1, 1, 1)), f), [[[wanted]]], rtol=1e-14)


@FACES
@NORMALIZATIONS
def test_normalizations_of_the_lattice_are_made_of_its_own_sums(op, kind):
    rng = np.random.default_rng(0)
    x, f = rng.standard_normal((1, 2, 30)), rng.standard_normal((1, 3, 30))
    n = op(np.ones((1, 1, 30)), f)
    before = {"before": 1 / n, "symmetric": n**-0.5}.get(kind, 1.0)
    after = {"after": 1 / n, "symmetric": n**-0.5}.get(kind, 1.0)
    for adjoint in (False, True):
        y = op(x, f, normalization=kind, adjoint=adjoint)
        a, b = (after, before) if adjoint else (before, after)
        np.testing.assert_allclose(y, b * op(a * x, f, adjoint=adjoint), rtol=1e-12, atol=1e-14)


@FACES
def test_without_the_point_itself_the_lattice_takes_off_one(op):
    rng = np.random.default_rng(1)
    x, f = rng.standard_normal((1, 2, 30)), 0.5 * rng.standard_normal((1, 2, 30))
    y = op(x, f, include_self=False)
    np.testing.assert_allclose(y, op(x, f) - x, atol=1e-14)
    n = op(np.ones((1, 1, 30)), f) - 1
    y = op(x, f, include_self=False, normalization="after")
    np.testing.assert_allclose(y, (op(x, f) - x) / n, rtol=1e-11)


# -- both -----------------------------------------------------------------------------------------


@METHODS
@NORMALIZATIONS
@pytest.mark.parametrize("include_self", [True, False])
@pytest.mark.parametrize("d", [1, 2, 5])
def test_the_adjoint_is_the_transpose(method, kind, include_self, d):
    rng = np.random.default_rng(d)
    points = 200
    features = rng.standard_normal((1, d, points)) * (0.3 if d == 5 else 1)
    x, y = rng.standard_normal((2, 1, 3, points))
    how = {"method": method, "normalization": kind, "include_self": include_self}
    ahead = ns.gaussian_filter(x, features, **how)
    back = ns.gaussian_filter(y, features, adjoint=True, **how)
    scale = np.abs(ahead * y).sum() + np.abs(x * back).sum()
    assert abs((ahead * y).sum() - (x * back).sum()) <= 1e-14 * scale
    _, saved = ns.gaussian_filter.forward(x, features, **how)
    gx, _ = ns.gaussian_filter.backward(saved, y, needs=["x"])
    np.testing.assert_array_equal(gx, back)
    assert adjointcheck(ns.gaussian_filter, {"x": x, "features": features, **how}).passed


@METHODS
def test_one_set_of_features_for_all_images_is_as_good_as_one_for_each(method):
    rng = np.random.default_rng(3)
    x, f = rng.standard_normal((3, 2, 5, 6)), rng.standard_normal((1, 2, 5, 6))
    how = {"method": method, "normalization": "symmetric"}
    shared, saved = ns.gaussian_filter.forward(x, f, **how)
    own, saved_own = ns.gaussian_filter.forward(x, np.repeat(f, 3, 0), **how)
    np.testing.assert_allclose(shared, own, rtol=1e-13, atol=1e-15)
    gy = rng.standard_normal(x.shape)
    one = ns.gaussian_filter.backward(saved, gy)
    each = ns.gaussian_filter.backward(saved_own, gy)
    np.testing.assert_allclose(one[0], each[0], rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(one[1], each[1].sum(0, keepdims=True), rtol=1e-11, atol=1e-13)


@FACES
def test_gradient_of_the_exact_kernel_by_hand(op):
    # y = (3 + 5 w, 5 + 3 w), w = exp(-d^2 / 2), d = 2: of y0 alone dw/df0 = d w, dw/df1 = -d w
    _, saved = op.forward(_line([3, 5]), _line([0, 2]), method="exact")
    gx, gf = op.backward(saved, _line([1, 0]))
    w = np.exp(-2.0)
    np.testing.assert_allclose(gx[0, 0], [1, w])
    np.testing.assert_allclose(gf[0, 0], [10 * w, -10 * w])


@FACES
def test_gradient_of_the_lattice_by_hand(op):
    # a point at p in (0, 1) steps from vertex 0 has weights 1 - p, p. B is ((5/4, 1), (1, 5/4)):
    # y = (5/4 ((1 - p)^2 + p^2) + 2 p (1 - p)) / (3/2), dy/dp = (p - 1/2) / (3/2) ...
    p = 0.25
    _, saved = op.forward(_line([1]), _line([p * STEP]))
    _, gf = op.backward(saved, _line([1]))
    np.testing.assert_allclose(gf, _line([(2 * p - 1) * 0.5 / 1.5 / STEP]), rtol=1e-13)


@FACES
def test_both_gradients_of_the_lattice_have_their_names(op):
    rng = np.random.default_rng(4)
    x, f = rng.standard_normal((1, 2, 400)), rng.standard_normal((1, 2, 400)) * 2
    gy = rng.standard_normal(x.shape)
    grads = {}
    for name in ("lattice", "exact"):
        _, saved = op.forward(x, f, features_gradient=name)
        grads[name] = op.backward(saved, gy)[1]
    _, saved = op.forward(x, f, method="exact")
    grads["of the exact kernel"] = op.backward(saved, gy)[1]
    true = grads["of the exact kernel"]
    apart = {name: np.linalg.norm(g - true) / np.linalg.norm(true) for name, g in grads.items()}
    assert 0.01 < apart["exact"] < 0.2 < apart["lattice"] < 0.5


@pytest.mark.parametrize("kind", ["none", "after", "symmetric"])
def test_the_faces_agree_on_the_gradient_of_the_exact_kernel_by_the_lattice(kind):
    rng = np.random.default_rng(5)
    x, f = rng.standard_normal((2, 2, 60)), rng.standard_normal((1, 3, 60))
    gy = rng.standard_normal(x.shape)
    for adjoint in (False, True):
        how = {"normalization": kind, "features_gradient": "exact", "adjoint": adjoint}
        _, saved = ns.gaussian_filter.forward(x, f, **how)
        fast = ns.gaussian_filter.backward(saved, gy)[1]
        defined = ns.gaussian_filter.reference.backward(saved, gy)[1]
        np.testing.assert_allclose(fast, defined, rtol=1e-10, atol=1e-12)
        df = rng.standard_normal(f.shape)
        _, tangent = ns.gaussian_filter.jvp(x, f, **how, tangents={"features": df})
        np.testing.assert_allclose((tangent * gy).sum(), (fast * df).sum(), rtol=1e-10)


def test_the_lattices_gradient_holds_within_a_simplex():
    from numseg.ops.gaussian_filter.cases import inside

    rng = np.random.default_rng(6)
    features = inside((1, 5, 40), 1)(rng, np.float64)
    arguments = {"x": rng.standard_normal((1, 2, 40)), "features": features}
    for how in ({}, {"normalization": "symmetric"}, {"adjoint": True, "normalization": "after"}):
        report = gradcheck(ns.gaussian_filter, {**arguments, **how})
        assert report.status == "pass", report


# -- what features can be -------------------------------------------------------------------------


@pytest.mark.parametrize("d", range(1, 17))
def test_any_number_of_features(d):
    rng = np.random.default_rng(d)
    x = rng.standard_normal((1, 3, 50))
    f = rng.standard_normal((1, d, 50)).round(1)  # so that some are equal
    f[0, :, 10:20] = f[0, :, :10]
    y = ns.gaussian_filter(x, f)
    np.testing.assert_allclose(y, ns.gaussian_filter.reference(x, f), rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(
        ns.gaussian_filter(x, f, method="exact"),
        ns.gaussian_filter.reference(x, f, method="exact"), rtol=1e-12,
    )  # fmt: skip


@pytest.mark.parametrize("size", [1e-30, 1e-6, 1e6, 1e9])
def test_features_of_any_size(size):
    rng = np.random.default_rng(7)
    f = (rng.standard_normal((1, 1, 40)) * size).astype(np.float32)
    x = rng.standard_normal((1, 1, 40), dtype=np.float32)
    if size > 1e7:
        f = f.round() * np.float32(2.0**-8)
    got, wanted = ns.gaussian_filter(x, f), ns.gaussian_filter.reference(x, f)
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)


def test_keys_of_two_words_and_too_far_for_any():
    rng = np.random.default_rng(8)
    x, f = rng.standard_normal((1, 1, 60)), rng.standard_normal((1, 8, 60)) * 40
    f[..., 30:] = f[..., :30] + 0.1
    np.testing.assert_allclose(
        ns.gaussian_filter(x, f), ns.gaussian_filter.reference(x, f), rtol=1e-9
    )
    far = np.zeros_like(f)
    far[0, 5, 0] = 1e30
    with pytest.raises(ArgumentError, match=r"features\[0, 5\] reach from 0 to 1e\+30, too far"):
        ns.gaussian_filter(x, far)
    assert ns.gaussian_filter(x, far, method="exact").shape == x.shape


def test_equal_points_add_up():
    x = np.arange(1.0, 5.0).reshape(1, 1, 4)
    for method, own in (("exact", 1.0), ("permutohedral", 0.75)):
        y = ns.gaussian_filter(x, np.full((1, 1, 4), STEP / 2), method=method)
        np.testing.assert_allclose(y, np.full((1, 1, 4), 10 * own), rtol=1e-14)
