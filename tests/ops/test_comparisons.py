"""eq, lt, gt and where: values by hand."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns
from numseg.kernels.machine import threads

inf, nan = np.inf, np.nan
NUMBERS = np.array([-inf, -1.0, -0.0, 0.0, 1.0, inf, nan])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("face", ["fast", "reference"])
def test_every_pair_of_numbers(dtype, face):
    """By order: -inf, -1, the zeros, which are equal, 1, inf; NaN has no place among them."""
    place = [0, 1, 2, 2, 3, 4]
    x = NUMBERS.astype(dtype)
    with ns.use(face):
        equal, smaller, larger = (op(x[:, None], x) for op in (ns.eq, ns.lt, ns.gt))
    assert equal.dtype == smaller.dtype == larger.dtype == dtype
    for i in range(7):
        for j in range(7):
            known = i < 6 and j < 6
            assert equal[i, j] == (known and place[i] == place[j])
            assert smaller[i, j] == (known and place[i] < place[j])
            assert larger[i, j] == (known and place[i] > place[j])


def test_logic_is_arithmetic_of_truth_values():
    a, b = np.array([0.0, 0, 1, 1]), np.array([0.0, 1, 0, 1])
    zero = np.array(0.0)
    assert ns.minimum(a, b).tolist() == [0, 0, 0, 1]
    assert ns.maximum(a, b).tolist() == [0, 1, 1, 1]
    assert ns.eq(a, zero).tolist() == [1, 1, 0, 0]
    assert ns.eq(ns.eq(a, b), zero).tolist() == [0, 1, 1, 0]


@pytest.mark.parametrize(
    "op", [ns.eq, ns.lt, ns.gt, ns.eq.reference, ns.lt.reference, ns.gt.reference]
)
def test_the_gradient_of_a_comparison_is_0(op):
    x, other = np.array([[1.0, nan], [3, 4]]), np.array([1.0, inf])
    y, saved = op.forward(x, other)
    for grad, array in zip(op.backward(saved, np.full_like(y, nan)), (x, other), strict=True):
        assert grad.shape == array.shape
        assert not grad.any()


@pytest.mark.parametrize("op", [ns.where, ns.where.reference])
def test_where(op):
    condition = np.array([[1.0, 0.0, nan], [-0.0, -2.0, inf]])
    x, other = np.array([[10.0], [nan]]), np.array([1.0, 2, nan])
    y, saved = op.forward(condition, x, other)
    np.testing.assert_array_equal(y, [[10, 2, 10], [1, nan, nan]])
    grad = np.array([[1.0, 2, 4], [8, 16, 32]])
    of_x, of_other = op.backward(saved, grad)
    assert of_x.tolist() == [[1 + 4], [16 + 32]]
    assert of_other.tolist() == [8, 2, 0]


@pytest.mark.parametrize("op", [ns.where, ns.where.reference])
def test_where_of_one_number_and_of_none(op):
    one = np.array(1.0)
    assert op(one, 3 * one, 2 * one) == 3
    y, saved = op.forward(np.ones((0, 1)), np.ones((1, 2)), one)
    assert y.shape == (0, 2)
    assert [g.tolist() for g in op.backward(saved, y)] == [[[0, 0]], 0]


def test_where_keeps_the_sign_of_zeros_and_sees_nothing_of_the_other_one():
    y = ns.where(np.array([1.0, 0.0]), np.array([-0.0, inf]), np.array([nan, -0.0]))
    assert np.signbit(y).all()
    assert not y.any()


SHAPES = [
    ((3, 1, 5), (4, 5), (3, 4, 1)), ((), (2, 3), (3,)), ((2, 3, 4), (2, 1, 4), (1,)),
    ((1, 3, 1, 5), (2, 1, 4, 1), (5,)), ((700,), (9, 700), (9, 1)), ((9, 700), (), (9, 700)),
]  # fmt: skip


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_rows_on_any_number_of_threads(shapes, monkeypatch):
    monkeypatch.setattr(threads, "SERIAL_WORK", 0)
    rng = np.random.default_rng(0)
    condition, x, other = (rng.integers(-1, 2, shape).astype(np.float32) for shape in shapes)
    grad = rng.integers(-9, 9, np.broadcast_shapes(*shapes)).astype(np.float32)
    y, saved = ns.where.reference.forward(condition, x, other)
    wanted = [np.where(condition != 0, x, other), *ns.where.reference.backward(saved, grad)]
    np.testing.assert_array_equal(y, wanted[0])
    for count in (1, 2, 3):
        with ns.num_threads(count):
            y, saved = ns.where.forward(condition, x, other)
            for a, b in zip([y, *ns.where.backward(saved, grad)], wanted, strict=True):
                np.testing.assert_array_equal(a, b)
