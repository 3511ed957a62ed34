"""permute and transpose: values by hand, and every order of axes against the indices."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import numseg as ns

each_face = pytest.mark.parametrize("face", ["fast", "reference"])


@each_face
def test_a_matrix_is_transposed(face):
    x = np.array([[1.0, 2, 3], [4, 5, np.nan]], np.float32)
    with ns.use(face):
        for y in (ns.permute(x, (1, 0)), ns.permute(x, (-1, -2)), ns.transpose(x, 0, -1)):
            assert y.dtype == np.float32
            np.testing.assert_array_equal(y, [[1, 4], [2, 5], [3, np.nan]])


@each_face
def test_channels_last_and_back(face):
    # the number 100 c + 10 row + column
    x = np.array([[[0.0, 1], [10, 11]], [[100, 101], [110, 111]], [[200, 201], [210, 211]]])[None]
    last = [[[[0, 100, 200], [1, 101, 201]], [[10, 110, 210], [11, 111, 211]]]]
    with ns.use(face):
        assert ns.permute(x, (0, 2, 3, 1)).tolist() == last
        assert ns.permute(np.array(last, float), (0, 3, 1, 2)).tolist() == x.tolist()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_order_of_four_axes(dtype):
    x = np.arange(2 * 3 * 4 * 5, dtype=dtype).reshape(2, 3, 4, 5)
    for dims in itertools.permutations(range(4)):
        y, saved = ns.permute.forward(x, dims)
        for place in ((0, 0, 0, 0), (1, 2, 3, 4), (1, 0, 2, 3), (0, 2, 1, 4)):
            assert y[tuple(place[d] for d in dims)] == x[place]
        np.testing.assert_array_equal(ns.permute.backward(saved, y)[0], x)


def test_a_matrix_of_several_blocks():
    x = np.arange(1030.0 * 130).reshape(1030, 130)
    y = ns.permute(x, (1, 0))
    assert (y[:, 1029] == x[1029]).all()
    assert (y[129] == x[:, 129]).all()
    assert (y == x.T).all()


def test_channels_are_shuffled():
    # ShuffleNet: two groups of two channels, a b | c d, become a c | b d
    x = np.arange(4.0).reshape(1, 4, 1, 1)
    y = ns.reshape(ns.transpose(ns.reshape(x, (1, 2, 2, 1, 1)), 1, 2), (1, 4, 1, 1))
    assert y.ravel().tolist() == [0, 2, 1, 3]
    net = ns.Graph.build()
    h = net.add(ns.reshape, net.input("x"), (-1, 2, 2, 3, 3))
    h = net.add(ns.transpose, h, 1, 2)
    graph = net.output(net.add(ns.reshape, h, (-1, 4, 3, 3), name="y"))
    field = graph.receptive_field("y", (1, 4, 3, 3))
    assert field.size == (1, 1)  # each pixel is its own


def test_results_are_copies():
    x = np.zeros((2, 2))
    for y in (ns.permute(x, (0, 1)), ns.transpose(x, 0, 1), ns.transpose(x, 1, 1)):
        assert not np.shares_memory(x, y)
        assert y.flags.c_contiguous
        assert y.flags.writeable


def test_without_axes():
    assert ns.permute(np.array(3.0), ()).tolist() == 3.0


def test_the_matrix_is_a_permutation():
    m = ns.permute.matrix((2, 3), (1, 0)).toarray()
    assert np.argmax(m, axis=1).tolist() == [0, 3, 1, 4, 2, 5]
    assert (m @ m.T == np.eye(6)).all()
