"""concat: values by hand."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

A = np.array([[[1.0, 2.0], [3.0, 4.0]]], np.float32)  # (1, 2, 2)
B = np.array([[[5.0, 6.0], [7.0, 8.0]]], np.float32)

both = pytest.mark.parametrize("op", [ns.concat, ns.concat.reference])


@both
@pytest.mark.parametrize(
    ("axis", "expected"),
    [
        (0, [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]),
        (1, [[[1, 2], [3, 4], [5, 6], [7, 8]]]),
        (2, [[[1, 2, 5, 6], [3, 4, 7, 8]]]),
        (-1, [[[1, 2, 5, 6], [3, 4, 7, 8]]]),
    ],
)
def test_along_every_axis(op, axis, expected):
    y = op([A, B], axis)
    assert y.dtype == np.float32
    assert y.tolist() == expected


@both
def test_parts_of_different_and_no_size(op):
    y = op((A, A[:, :0], B[:, :1]))
    assert y.tolist() == [[[1, 2], [3, 4], [5, 6]]]


@both
def test_the_gradient_is_cut_into_one_part_per_input(op):
    y, saved = op.forward([A, B[:, :1], A[:, :0]])
    grads = op.backward(saved, 10 * y)
    assert [grad.tolist() for grad in grads] == [[[[10, 20], [30, 40]]], [[[50, 60]]], [[]]]


@both
def test_nan_passes(op):
    assert np.isnan(op([A, np.full_like(B, np.nan)])[:, 2:]).all()


def test_the_matrix_is_that_of_the_inputs_end_to_end():
    a, b = np.arange(4.0).reshape(2, 2), 4 + np.arange(6.0).reshape(2, 3)
    m = ns.concat.matrix([a.shape, b.shape])
    # rows of y: 0 1 | 4 5 6 and 2 3 | 7 8 9
    assert m.indices.tolist() == [0, 1, 4, 5, 6, 2, 3, 7, 8, 9]
    assert (m @ np.arange(10.0) == ns.concat([a, b]).ravel()).all()


def test_output_shape_takes_shapes():
    assert ns.concat.output_shape([(1, 2, 4, 4), (1, 3, 4, 4)]) == (1, 5, 4, 4)


def test_runs_longer_than_a_thread_s_share():
    """Rows are split between threads wherever the shares end."""
    parts = [np.random.default_rng(i).normal(size=(3, c, 50, 51)) for i, c in enumerate((5, 1, 7))]
    for axis in (1, 3):
        xs = parts if axis == 1 else [p[:, :1] for p in parts]
        for threads in (1, 2, 3):
            with ns.num_threads(threads):
                y, saved = ns.concat.forward(xs, axis)
                grads = ns.concat.backward(saved, y)
            assert (y == np.concatenate(xs, axis)).all()
            assert all((g == x).all() for g, x in zip(grads, xs, strict=True))
