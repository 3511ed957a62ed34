"""lp_pool2d: values by hand."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

both = pytest.mark.parametrize("op", [ns.lp_pool2d, ns.lp_pool2d.reference])


def image(rows, dtype=np.float64):
    return np.array(rows, dtype)[None, None]


@both
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_euclidean_norms(op, dtype):
    y = op(image([[3, 4, 0, -5], [0, 0, 12, 0]], dtype), 2, 2)
    assert y.dtype == dtype
    assert y.tolist() == [[[[5, 13]]]]


@both
@pytest.mark.parametrize(
    ("p", "absolute", "expected"),
    [(1, False, -1), (1, True, 7), (3, True, 91 ** (1 / 3)), (4, False, 337**0.25)],
)
def test_powers(op, p, absolute, expected):
    y = op(image([[3, -4]]), p, (1, 2), absolute=absolute)
    np.testing.assert_allclose(y, [[[[expected]]]], rtol=1e-15)


@both
def test_an_odd_power_has_signs(op):
    # 27 - 8 = 19; 8 - 27 < 0 has no root; -8 alone neither; cancelled it is 0
    y = op(image([[3, -2, 2, -3, 1, -1]]), 3, (1, 2))
    np.testing.assert_allclose(y.ravel(), [19 ** (1 / 3), np.nan, 0], rtol=1e-15)
    assert np.isnan(op(image([[-1.0]]), 1.5, 1)).all()


@both
@pytest.mark.parametrize(("scaled", "last"), [(True, 4 * np.sqrt(2)), (False, 4.0)])
def test_a_window_beyond_the_image(op, scaled, last):
    # the last window has one of its two pixels; scaled it counts twice
    y = op(image([[3, 4, 4]]), 2, (1, 2), ceil_mode=True, scaled=scaled)
    np.testing.assert_allclose(y.ravel(), [5, last])


@both
@pytest.mark.parametrize(
    ("scaled", "expected"), [(True, np.sqrt(9 / 4 * 30)), (False, np.sqrt(30))]
)
def test_a_window_larger_than_the_image(op, scaled, expected):
    # 1, 2, 3, 4 in a window of nine: PyTorch 2.13 gives 8.2158, too
    y = op(image([[1, 2], [3, 4]]), 2, 3, 2, ceil_mode=True, scaled=scaled)
    np.testing.assert_allclose(y, [[[[expected]]]], rtol=1e-15)


@both
def test_padding_is_zeros_and_counts(op):
    y = op(image([[3, 4, 12]]), 2, (1, 2), 2, padding=(0, 0, 1, 0))
    np.testing.assert_allclose(y.ravel(), [3, np.sqrt(160)])


@both
def test_powers_that_float32_cannot_hold(op):
    y = op(image([[3e30, 4e30]], np.float32), 2, (1, 2))
    np.testing.assert_allclose(y, [[[[5e30]]]], rtol=1e-7)


@both
def test_gradients_by_hand(op):
    # y = 5: x / y. At a window of zeros 0
    _, saved = op.forward(image([[3, -4, 0, 0]]), 2, (1, 2))
    (gx,) = op.backward(saved, image([[10, 7]]))
    np.testing.assert_allclose(gx.ravel(), [6, -8, 0, 0])
    # sums: 1 for each, whatever the signs; of absolute values the sign, which 0 has not
    for absolute, expected in (False, [2, 2, 3, 3]), (True, [2, -2, 3, 0]):
        _, saved = op.forward(image([[1, -1, 5, 0]]), 1, (1, 2), absolute=absolute)
        assert op.backward(saved, image([[2, 3]]))[0].ravel().tolist() == expected
    # windows that overlap: 3 / 5 + 0, 4 / 5 + 4 / 5, 3 / 5
    _, saved = op.forward(image([[3, 4, 3]]), 2, (1, 2), 1)
    np.testing.assert_allclose(op.backward(saved, image([[1, 1]]))[0].ravel(), [0.6, 1.6, 0.6])


@both
def test_the_gradient_of_a_scaled_window(op):
    # y = sqrt(2 * 16): 2 x / y
    _, saved = op.forward(image([[3, 4, 4]]), 2, (1, 2), ceil_mode=True)
    (gx,) = op.backward(saved, image([[0, 1]]))
    np.testing.assert_allclose(gx.ravel(), [0, 0, np.sqrt(2)])


def test_a_large_power_is_nearly_the_maximum():
    x = np.abs(np.random.default_rng(0).normal(size=(1, 2, 6, 6)))
    y = ns.lp_pool2d(x, 200, 3)
    np.testing.assert_allclose(y, ns.max_pool2d(x, 3), rtol=0.02)
