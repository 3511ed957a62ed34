"""argmax and argmin: values by hand."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

inf, nan = np.inf, np.nan
X = np.array([[[1.0, 2], [5, 2], [5, 9]], [[0, -1], [7, 7], [7, 2]]])
EXPECTED = [
    (None, 5, 7),  # of 12 in a row: 9 and -1
    (0, [[0, 0], [1, 1], [1, 0]], [[1, 1], [0, 0], [0, 1]]),
    (1, [[1, 2], [1, 1]], [[0, 0], [0, 0]]),
    (-1, [[1, 0, 1], [0, 0, 0]], [[0, 1, 0], [1, 0, 1]]),
]
searches = pytest.mark.parametrize(
    ("op", "sign"),
    [(ns.argmax, 1), (ns.argmin, -1), (ns.argmax.reference, 1), (ns.argmin.reference, -1)],
)


@pytest.mark.parametrize(("dim", "largest", "smallest"), EXPECTED)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_places(dim, largest, smallest, dtype):
    x = X.astype(dtype)
    for op, expected in ((ns.argmax, largest), (ns.argmin, smallest)):
        for face in (op, op.reference):
            found = face(x, dim)
            assert found.dtype == np.int64
            assert found.tolist() == expected


@searches
@pytest.mark.parametrize("dim", [0, -1])
def test_the_last_of_equal_numbers_on_request(op, sign, dim):
    x = sign * np.array([2.0, 3.0, 0.0, 3.0, -0.0, 1.0])
    for row in (x, np.stack([x, x], 1 if dim == 0 else 0)):
        assert np.all(op(row, dim) == 1)
        assert np.all(op(row, dim, select_last_index=True) == 3)
    zeros = np.array([0.0, -0.0, 0.0])
    assert (op(zeros, 0), op(zeros, 0, select_last_index=True)) == (0, 2)


@searches
def test_nan_wins(op, sign):
    x = np.array([[sign * inf, nan, 1, nan], [nan, 0, 0, sign * inf], [-sign * inf] * 4])
    assert op(x, 1).tolist() == [1, 0, 0]
    assert op(x, 1, select_last_index=True).tolist() == [3, 0, 3]
    assert op(x.T, 0).tolist() == [1, 0, 0]
    assert op(x.T, 0, select_last_index=True).tolist() == [3, 0, 3]


@searches
def test_axes_are_kept_on_request(op, sign):
    for dim, shape in ((None, (1, 1, 1)), (1, (2, 1, 2)), (-3, (1, 3, 2))):
        kept = op(X, dim, keepdim=True)
        assert kept.shape == shape
        np.testing.assert_array_equal(kept.ravel(), np.ravel(op(X, dim)))
    assert op(np.array(-3.0)).tolist() == 0


@pytest.mark.parametrize("shape", [(3, 1300), (1300, 3), (40, 7, 600)])
@pytest.mark.parametrize("op", [ns.argmax, ns.argmin])
def test_rows_of_several_blocks(op, shape):
    x = np.random.default_rng(0).integers(-1000, 1000, shape).astype(np.float32)
    numpy_s = getattr(np, op.__name__)
    for dim in (None, 0, 1):
        np.testing.assert_array_equal(op(x, dim), numpy_s(x, dim))


@searches
def test_there_is_no_gradient(op, sign):
    found, saved = op.forward(X, 1)
    with pytest.raises(ns.ArgumentError, match=f"^{op.__name__}.backward: {op.__name__} has no"):
        op.backward(saved, found)
    with pytest.raises(ns.ArgumentError, match="has no jvp"):
        op.jvp(X, 1, tangents={})


def test_the_classes_of_a_graph_s_scores_stop_its_gradients():
    net = ns.Graph.build()
    scores = net.add(ns.relu, net.input("x"), name="scores")
    graph = net.output(scores, net.add(ns.argmax, scores, 1, True, name="classes"))
    x = np.array([[[[-1.0, 2.0]], [[3.0, 1.0]]]])
    (y, classes), tape = graph.forward({}, x)
    assert classes.tolist() == [[[[1, 0]]]]
    grads = graph.backward(tape, (np.ones_like(y), None), needs=["x"])
    assert grads["x"].tolist() == [[[[0, 1]], [[1, 1]]]]
    assert graph.receptive_field("classes", (1, 2, 5, 7)).size == (1, 1)
