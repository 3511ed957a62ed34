"""What operators of two arrays share: shapes, axes, sums, errors."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns
from numseg.broadcasting import Axis, Geometry
from numseg.kernels.machine import threads

OPERATORS = [ns.add, ns.subtract, ns.multiply, ns.divide, ns.maximum, ns.minimum]
each = pytest.mark.parametrize("op", OPERATORS, ids=lambda op: op.__name__)


@pytest.mark.parametrize(
    ("x", "other", "axes"),
    [
        ((), (), [(1, 0, 0, 0)]),
        ((1, 1), (1,), [(1, 0, 0, 0)]),
        ((2, 3, 4), (2, 3, 4), [(24, 1, 1, 1)]),
        ((2, 3, 4), (4,), [(6, 4, 0, 4), (4, 1, 1, 1)]),
        ((2, 3, 4), (1,), [(24, 1, 0, 1)]),
        ((2, 3, 4, 5), (3, 1, 1), [(2, 60, 0, 60), (3, 20, 1, 20), (20, 1, 0, 1)]),
        ((2, 3, 4, 5), (2, 3, 1, 1), [(6, 20, 1, 20), (20, 1, 0, 1)]),
        ((5, 1), (3,), [(5, 1, 0, 3), (3, 0, 1, 1)]),
        ((5, 1, 1), (1, 2, 3), [(5, 1, 0, 6), (6, 0, 1, 1)]),
        ((2, 1, 3, 1), (2, 4, 3, 1), [(2, 3, 12, 12), (4, 0, 3, 3), (3, 1, 1, 1)]),
    ],
)
def test_axes_that_are_walked_through_alike_are_one(x, other, axes):
    assert list(Geometry(x, other).axes) == [Axis(*axis) for axis in axes]


@each
def test_one_number_and_no_axes(op):
    y, saved = op.forward(np.array(6.0), np.array(2.0))
    assert y.shape == ()
    assert [grad.shape for grad in op.backward(saved, y)] == [(), ()]


@each
def test_a_gradient_of_no_numbers_is_0(op):
    for x, other in (((3, 1), (0,)), ((1,), (2, 0)), ((0, 1), (1, 3))):
        y, saved = op.forward(np.ones(x), np.ones(other))
        assert y.size == 0
        for shape, grad in zip((x, other), op.backward(saved, y), strict=True):
            assert grad.shape == shape
            assert not grad.any()


SIZES = [
    ((1, 9000), (3, 9000)), ((3, 9000), (3, 1)), ((20_000,), (1,)), ((1,), ()), ((39, 56), (56,)),
    ((2, 3), (2, 3)), ((2, 1, 700), (1, 9, 1)), ((5, 4, 6), (5, 1, 6)), ((7, 1, 600), (7, 11, 600)),
    ((3, 2, 7), (2, 1)), ((2, 1, 3, 1, 2, 1), (1, 3, 1, 2, 1, 3)),
]  # fmt: skip


@each
@pytest.mark.parametrize(("x", "other"), [*SIZES, *(pair[::-1] for pair in SIZES)])
def test_rows_of_every_size_on_any_number_of_threads(op, x, other, monkeypatch):
    """Of powers of two all sums are exact: what they should be, says the definition."""
    monkeypatch.setattr(threads, "SERIAL_WORK", 0)
    rng = np.random.default_rng(3)
    full = np.broadcast_shapes(x, other)
    x, other, grad = (
        np.asarray(2.0 ** rng.integers(0, 3, shape) * rng.choice([-1, 1], shape), np.float32)
        for shape in (x, other, full)
    )
    y, saved = op.reference.forward(x, other)
    wanted = [y, *op.reference.backward(saved, grad)]
    for count in (1, 2, 3, 5):
        with ns.num_threads(count):
            y, saved = op.forward(x, other)
            for a, b in zip([y, *op.backward(saved, grad)], wanted, strict=True):
                np.testing.assert_array_equal(a, b)


@each
@pytest.mark.parametrize(("x", "other"), SIZES)
def test_the_same_bits_on_any_number_of_threads(op, x, other, monkeypatch):
    monkeypatch.setattr(threads, "SERIAL_WORK", 0)
    rng = np.random.default_rng(3)
    x, other = (np.asarray(rng.uniform(1, 2, shape)) for shape in (x, other))
    seen = []
    for count in (1, 2, 3, 5):
        with ns.num_threads(count):
            y, saved = op.forward(x, other)
            seen.append([y, *op.backward(saved, np.sin(y))])
    for again in seen[1:]:
        for a, b in zip(seen[0], again, strict=True):
            np.testing.assert_array_equal(a, b)


@each
def test_a_float32_gradient_of_many_numbers_is_rounded_once(op):
    rng = np.random.default_rng(4)
    x, other = rng.uniform(1, 2, (300, 500)), rng.uniform(2, 3, (300, 1))
    narrow = x.astype(np.float32), other.astype(np.float32)
    _, saved = op.forward(*narrow)
    _, exact = op.reference.forward(*(a.astype(np.float64) for a in narrow))
    grad = rng.standard_normal(x.shape).astype(np.float32)
    ours, wanted = op.backward(saved, grad)[1], op.reference.backward(exact, grad.astype(float))[1]
    np.testing.assert_array_equal(ours, wanted.astype(np.float32))


@each
def test_reach_is_that_of_x(op):
    assert op.plan((1, 2, 5, 5), (2, 1, 1)).reach is not None
    assert op.plan((1, 2, 5, 1), (2, 5, 5)).reach is None
    assert op.plan((1, 2, 1, 5), (2, 5, 5)).reach is None
    assert op.plan((2,), (2, 5, 1)).reach is None


def test_both_shapes_are_named():
    with pytest.raises(ns.ArgumentError) as caught:
        ns.multiply(np.zeros((2, 3)), np.zeros((3, 2)))
    said = "multiply: x has shape (2, 3) and other (3, 2): they do not broadcast"
    assert str(caught.value) == said
