"""adaptive_max_pool2d and global_max_pool2d: values by hand."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns
from numseg.kernels.pooling import bins

both = pytest.mark.parametrize("op", [ns.adaptive_max_pool2d, ns.adaptive_max_pool2d.reference])
both_global = pytest.mark.parametrize("op", [ns.global_max_pool2d, ns.global_max_pool2d.reference])
nan, inf = np.nan, np.inf


def _row(*values):
    return np.array(values, float).reshape(1, 1, 1, -1)


@both
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bins_share_a_winner(op, dtype):
    x = np.array([[[[1, 2, 9], [4, 5, 6], [7, 8, 3]]]], dtype)
    y, indices = op(x, 2, return_indices=True)  # rows 0..2 and 1..3, columns alike
    assert y.dtype == dtype
    assert y[0, 0].tolist() == [[5, 9], [8, 8]]
    assert indices[0, 0].tolist() == [[4, 2], [7, 7]]
    assert op(x, 2).tolist() == y.tolist()


@both
@pytest.mark.parametrize(
    ("window", "place"),
    [
        ([1, 1, 1], 0),
        ([0, 2, 2], 1),
        ([-0.0, 0.0, -1.0], 0),
        ([-inf, -inf, -inf], 0),
        ([-inf, -1, inf], 2),
        ([nan, 1, 2], 0),
        ([nan, 5, nan], 2),
        ([inf, nan, inf], 1),
    ],
)
def test_the_first_maximum_and_the_last_nan(op, window, place):
    for x in (_row(*window), _row(*window).reshape(1, 1, 3, 1)):
        y, indices = op(x, 1, return_indices=True)
        assert indices.item() == place
        assert y.tobytes() == x.ravel()[place].tobytes() or np.isnan(y.item())
        assert np.isnan(y.item()) == np.isnan(window[place])


@both
def test_ties_go_to_the_first_in_row_major_order(op):
    x = np.array([[[[0.0, 0, 3], [0, 3, 0], [3, 0, 0]]]])
    assert op(x, 1, return_indices=True)[1].item() == 2


@both
def test_more_bins_than_pixels_and_none(op):
    y, indices = op(_row(2, 4), (None, 3), return_indices=True)
    assert y.ravel().tolist() == [2, 4, 4]
    assert indices.ravel().tolist() == [0, 1, 1]


@both
def test_the_gradient_goes_to_the_winner_and_adds_up(op):
    _, saved = op.forward(np.array([[[[1.0, 2, 9, 4, 5]], [[9, 2, 1, 4, 5]]]]), (1, 2))
    gx = op.backward(saved, np.array([[[[1.0, 20]], [[3, 40]]]]))[0]
    assert gx.tolist() == [[[[0, 0, 21, 0, 0]], [[3, 0, 0, 0, 40]]]]


def test_indices_changed_after_forward_write_nothing_outside():
    _, saved = ns.adaptive_max_pool2d.forward(np.ones((1, 1, 2, 4)), (1, 2))
    saved.indices[...] = [[[[8, -(10**12)]]]]
    for op in (ns.adaptive_max_pool2d, ns.adaptive_max_pool2d.reference):
        assert not op.backward(saved, np.ones((1, 1, 1, 2)))[0].any()


def test_rows_longer_than_a_vector(monkeypatch):
    rng = np.random.default_rng(0)
    x = rng.choice([0, 1, 2, nan, -inf], (2, 2, 40, 67), p=[0.3, 0.3, 0.01, 0.01, 0.38])
    x = x.astype(np.float32)
    for narrow in (bins.NARROW, -1):  # -1: places as on planes of 2**31 pixels and more
        monkeypatch.setattr(bins, "NARROW", narrow)
        for size in (1, 2, 7, (40, 67), (5, 66)):
            expected = ns.adaptive_max_pool2d.reference(x, size, return_indices=True)
            found = ns.adaptive_max_pool2d(x, size, return_indices=True)
            np.testing.assert_array_equal(found[0], expected[0])
            np.testing.assert_array_equal(found[1], expected[1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1, 63, 64, 1024, 1025, 5000])
def test_planes_of_several_chunks(size, dtype):
    """The winner in the first, a middle and the last chunk; zeros of both signs; all negative."""
    rng = np.random.default_rng(size)
    negative = -1 - rng.random(size)
    ones = np.zeros(size)
    for place in {0, size // 2, size - 1}:
        for base, value in [
            (negative, -0.5), (negative, 0.0), (negative, nan), (negative, -nan), (ones, -0.0),
            (ones - inf, -1e30), (ones - inf, -0.0), (ones, 1e-300), (-ones, 0.0), (ones, inf),
        ]:  # fmt: skip
            x = base.astype(dtype).reshape(1, 1, 1, size)
            x[..., place] = value
            found = ns.global_max_pool2d(x, return_indices=True)
            expected = ns.global_max_pool2d.reference(x, return_indices=True)
            assert found[1] == expected[1]
            assert found[0].tobytes() == expected[0].tobytes()


@both_global
def test_the_maximum_of_a_plane(op):
    x = np.array([[[[1.0, 6], [3, 6]], [[-inf, -inf], [-inf, -inf]]]])
    y, saved = op.forward(x)
    assert y.tolist() == [[[[6]], [[-inf]]]]
    assert saved.indices.tolist() == [[[[1]], [[0]]]]
    gx = op.backward(saved, np.array([[[[4.0]], [[8]]]]))[0]
    assert gx.tolist() == [[[[0, 4], [0, 0]], [[8, 0], [0, 0]]]]
    x[0, 0, 0, 0] = x[0, 1, 1, 0] = nan
    assert op(x, return_indices=True)[1].tolist() == [[[[0]], [[2]]]]


def test_the_matrix_for_given_indices():
    x = np.random.default_rng(0).normal(size=(2, 3, 5, 4))
    for op, size in ((ns.adaptive_max_pool2d, ((3, 2),)), (ns.global_max_pool2d, ())):
        y, indices = op(x, *size, return_indices=True)
        m = op.matrix(x.shape, *size, indices=indices)
        assert m.sum() == y.size
        np.testing.assert_array_equal(m @ x.ravel(), y.ravel())
        a = op.linear_operator(x.shape, *size, indices=indices)
        np.testing.assert_array_equal(a @ x.ravel(), y.ravel())
        np.testing.assert_array_equal(a.T @ y.ravel(), m.T @ y.ravel())
