"""sum, mean, amax and amin: values by hand."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

inf, nan = np.inf, np.nan
X = np.array([[[1.0, 2], [3, 4], [5, 9]], [[0, -1], [7, 7], [2, 2]]])
EXPECTED = [
    (ns.sum, None, 41.0),
    (ns.sum, 0, [[1, 1], [10, 11], [7, 11]]),
    (ns.sum, -2, [[9, 15], [9, 8]]),
    (ns.sum, (0, 2), [2, 21, 18]),
    (ns.sum, (-1, 1), [24, 17]),
    (ns.mean, None, 41 / 12),
    (ns.mean, 2, [[1.5, 3.5, 7], [-0.5, 7, 2]]),
    (ns.mean, (0, 1), [3, 23 / 6]),
    (ns.amax, None, 9.0),
    (ns.amax, 0, [[1, 2], [7, 7], [5, 9]]),
    (ns.amax, (0, 2), [2, 7, 9]),
    (ns.amax, (1, 2), [9, 7]),
    (ns.amin, None, -1.0),
    (ns.amin, 1, [[1, 2], [0, -1]]),
    (ns.amin, -1, [[1, 3, 5], [-1, 7, 2]]),
]
FAMILY = ns.sum, ns.mean, ns.amax, ns.amin
each = pytest.mark.parametrize("op", [*FAMILY, *(op.reference for op in FAMILY)])
extremes = pytest.mark.parametrize(
    ("op", "sign"),
    [(ns.amax, 1), (ns.amin, -1), (ns.amax.reference, 1), (ns.amin.reference, -1)],
)


@pytest.mark.parametrize(("op", "dim", "expected"), EXPECTED)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values(op, dim, expected, dtype):
    for face in (op, op.reference):
        y = face(X.astype(dtype), dim)
        assert y.dtype == dtype
        np.testing.assert_array_equal(y, np.array(expected, dtype))


@each
def test_axes_are_kept_on_request(op):
    for dim, shape in ((None, (1, 1, 1)), (1, (2, 1, 2)), ((-1, 0), (1, 3, 1))):
        kept = op(X, dim, keepdim=True)
        assert kept.shape == shape
        np.testing.assert_array_equal(kept.ravel(), np.ravel(op(X, dim)))


@each
def test_a_number_without_axes_and_an_axis_of_one(op):
    assert op(np.array(-3.0)).tolist() == -3.0
    assert op(np.array([[-3.0], [nan]]), 1).tolist()[0] == -3.0
    np.testing.assert_array_equal(op(np.array([[-inf, nan]]), 0), [-inf, nan])


@pytest.mark.parametrize(("op", "of_nothing"), [(ns.sum, 0.0), (ns.mean, nan)])
def test_of_nothing(op, of_nothing):
    for face in (op, op.reference):
        np.testing.assert_array_equal(face(np.zeros((2, 0)), 1), [of_nothing] * 2)
        np.testing.assert_array_equal(face(np.zeros((0,))), of_nothing)
        assert face(np.zeros((2, 0)), 0).shape == (0,)
    with pytest.raises(ns.ArgumentError, match="x has no numbers along axis 1"):
        ns.amax(np.zeros((2, 0)), 1)
    assert ns.amax(np.zeros((2, 0)), 0).shape == (0,)


def test_a_mean_is_finite_where_its_sum_is_not():
    largest = np.finfo(np.float32).max
    assert ns.mean(np.full(4, largest)) == largest
    assert ns.sum(np.full(4, largest)) == inf


@pytest.mark.parametrize("shape", [(3, 1300), (1300, 3), (40, 7, 50)])
@pytest.mark.parametrize("op", FAMILY)
def test_rows_of_several_blocks(op, shape):
    x = np.random.default_rng(0).integers(-1000, 1000, shape).astype(np.float32)
    x[0, 0], x[-1, -1] = 5000, -5000
    for dim in (None, 0, 1):
        y, saved = op.forward(x, dim)
        exact, kept = op.reference.forward(x, dim)
        np.testing.assert_allclose(y, exact, rtol=1e-7)
        grad = np.ones_like(y)
        np.testing.assert_allclose(
            op.backward(saved, grad)[0], op.reference.backward(kept, grad)[0], rtol=1e-6
        )


# -- gradients ------------------------------------------------------------------------------------


@pytest.mark.parametrize("op", [ns.sum, ns.sum.reference])
def test_the_gradient_of_a_sum_is_repeated(op):
    _, saved = op.forward(X, (0, 2))
    (gx,) = op.backward(saved, np.array([1.0, -0.0, nan]))
    np.testing.assert_array_equal(gx, np.broadcast_to([[1.0], [0], [nan]], X.shape))
    assert np.signbit(gx[0, 1, 0])


@pytest.mark.parametrize("op", [ns.mean, ns.mean.reference])
def test_the_gradient_of_a_mean_is_shared(op):
    _, saved = op.forward(X, (0, 2))
    (gx,) = op.backward(saved, np.array([4.0, 2.0, 0.0]))
    np.testing.assert_array_equal(gx, np.broadcast_to([[1.0], [0.5], [0]], X.shape))


@extremes
@pytest.mark.parametrize("dim", [1, -1])
def test_the_largest_share_the_gradient(op, sign, dim):
    x = sign * np.array([[3.0, 1, 3, 3], [5, 7, 6, 0], [-inf, -inf, -inf, -inf]])
    _, saved = op.forward(x, dim)
    (gx,) = op.backward(saved, np.array([6.0, 1.0, 8.0]))
    assert gx.tolist() == [[2, 0, 2, 2], [0, 1, 0, 0], [2, 2, 2, 2]]


@extremes
def test_across_rows_too(op, sign):
    x = sign * np.array([[3.0, 1.0], [3.0, 2.0], [0.0, 2.0], [0.0, 2.0]])
    _, saved = op.forward(x, 0)
    (gx,) = op.backward(saved, np.array([1.0, 3.0]))
    assert gx.tolist() == [[0.5, 0], [0.5, 1], [0, 1], [0, 1]]


@extremes
def test_nan_wins_and_has_the_gradient(op, sign):
    x = np.array([[sign * inf, nan, 2.0, nan], [1.0, 1.0, 2.0, 2.0]])
    y, saved = op.forward(x, 1)
    np.testing.assert_array_equal(y, [nan, 2 if sign > 0 else 1])
    (gx,) = op.backward(saved, np.array([4.0, 2.0]))
    np.testing.assert_array_equal(gx, [[0, 2, 0, 2], [0, 0, 1, 1] if sign > 0 else [1, 1, 0, 0]])


def test_squeeze_and_excite_by_means():
    x = np.arange(16.0).reshape(1, 2, 2, 4)
    scale = ns.mean(x, (2, 3), keepdim=True)
    assert scale.shape == (1, 2, 1, 1)
    assert ns.multiply(x, scale)[0, 1, 0, 0] == 8 * 11.5
    assert (scale == ns.global_avg_pool2d(x)).all()


def test_the_reach_of_a_mean_over_an_image_is_the_image():
    net = ns.Graph.build()
    h = net.add(ns.mean, net.input("x"), (2, 3), True, name="mean")
    graph = net.output(h)
    assert graph.receptive_field("mean", (1, 2, 5, 7)).size == (5, 7)
    net = ns.Graph.build()
    graph = net.output(net.add(ns.amax, net.input("x"), 1, True, name="top"))
    assert graph.receptive_field("top", (1, 2, 5, 7)).size == (1, 1)
