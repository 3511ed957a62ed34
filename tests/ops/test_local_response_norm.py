"""local_response_norm: values by hand."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

both = pytest.mark.parametrize("op", [ns.local_response_norm, ns.local_response_norm.reference])


@both
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_three_channels(op, dtype):
    # alpha / size = 1: s = 1 + 4, 1 + 4 + 9, 4 + 9
    y = op(np.array([[1, 2, 3]], dtype), 3, alpha=3.0, beta=1.0, k=0.0)
    assert y.dtype == dtype
    np.testing.assert_allclose(y, [[1 / 5, 2 / 14, 3 / 13]], rtol=1e-7)


@both
def test_alpha_is_divided_by_size_at_the_borders_too(op):
    # windows of 5: s = 1 + 2 (1 + 4), whatever channels there are
    y = op(np.array([[[1.0], [2.0]]]), 5, alpha=10.0, beta=1.0)
    np.testing.assert_allclose(y.ravel(), [1 / 11, 2 / 11])


@both
@pytest.mark.parametrize(
    ("extra", "sums"), [("before", [1, 1 + 4, 4 + 9]), ("after", [1 + 4, 4 + 9, 9])]
)
def test_a_window_of_two_channels(op, extra, sums):
    y = op(np.array([[1.0, 2.0, 3.0]]), 2, alpha=2.0, beta=1.0, k=0.0, extra=extra)
    np.testing.assert_allclose(y, np.array([[1, 2, 3]]) / sums)


@both
@pytest.mark.parametrize(
    ("beta", "divisor"), [(0.75, 8), (0.5, 4), (2, 256), (0, 1), (-0.5, 0.25), (0.25, 2)]
)
def test_powers_of_16(op, beta, divisor):
    # s = 12 + 4
    y = op(np.array([[2.0]]), 1, alpha=1.0, beta=beta, k=12.0)
    np.testing.assert_allclose(y, [[2 / divisor]], rtol=1e-15)


@both
def test_pixels_do_not_mix(op):
    x = np.zeros((1, 2, 1, 3))
    x[0, :, 0, 1] = 3, 4
    y = op(x, 3, alpha=3.0, beta=0.5, k=0.0)
    np.testing.assert_allclose(y[0, :, 0, 1], [0.6, 0.8])
    assert np.isnan(y[0, :, 0, [0, 2]]).all()  # 0 / 0


@both
def test_alexnets(op):
    # one channel of 10 among zeros, k = 2, alpha = 1e-4 not divided by 5: s = 2.01
    x = np.zeros((1, 7, 1, 1))
    x[0, 3] = 10
    y = op(x, 5, alpha=5e-4, beta=0.75, k=2.0)
    assert y.ravel()[3] == pytest.approx(10 / 2.01**0.75, rel=1e-14)
    assert np.count_nonzero(y) == 1


@both
def test_gradient_by_hand(op):
    # y0 = x0 / (x0^2 + x1^2) and y1 = x1 / (x0^2 + x1^2) at (1, 2): s = 5
    _, saved = op.forward(np.array([[1.0, 2.0]]), 3, alpha=3.0, beta=1.0, k=0.0)
    (gx,) = op.backward(saved, np.array([[1.0, 0.0]]))
    np.testing.assert_allclose(gx, [[1 / 5 - 2 / 25, -4 / 25]])
    (gx,) = op.backward(saved, np.array([[0.0, 1.0]]))
    np.testing.assert_allclose(gx, [[-4 / 25, 1 / 5 - 8 / 25]])


@both
def test_the_gradient_of_an_even_window_goes_the_other_way(op):
    # a window is a channel and the one before: only x0 moves y1, x1 does not move y0
    _, saved = op.forward(np.array([[1.0, 1.0]]), 2, alpha=2.0, beta=1.0, k=0.0)
    assert op.backward(saved, np.array([[1.0, 0.0]]))[0][0, 1] == 0
    np.testing.assert_allclose(op.backward(saved, np.array([[0.0, 1.0]]))[0], [[-0.5, 0.0]])


@both
def test_infinity_is_nan_in_its_place_and_0_beside_it(op):
    y = op(np.array([[1.0, np.inf, 1.0, 1.0, 1.0]]), 3, alpha=3.0, k=1.0)
    np.testing.assert_allclose(y, [[0, np.nan, 0, 4**-0.75, 3**-0.75]])


@pytest.mark.parametrize("op", [ns.local_response_norm, ns.local_response_norm.reference])
def test_beside_infinity_a_power_that_grows_is_infinite_in_the_gradient_too(op):
    # s = inf beside it: y = x s**0.5, of which the first term is infinite and the other one 0
    x = np.array([[[1.0], [-np.inf], [3.0]]])
    _, saved = op.forward(x, 2, beta=-0.5)
    (grad,) = op.backward(saved, np.ones_like(x))
    assert grad[0, 2, 0] == np.inf
