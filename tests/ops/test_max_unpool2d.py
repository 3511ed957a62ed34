"""max_unpool2d: values by hand."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

Y = np.array([[[[1.0, 2.0], [3.0, 4.0]]]])

both = pytest.mark.parametrize("op", [ns.max_unpool2d, ns.max_unpool2d.reference])


def _indices(values, dtype=np.int64):
    return np.array(values, dtype).reshape(1, 1, 2, 2)


@both
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_each_value_goes_to_its_index(op, dtype):
    x = op(Y.astype(dtype), _indices([5, 3, 8, 10]), 2)  # 5 is row 1, column 1 of 4 x 4
    assert x.dtype == dtype
    assert x[0, 0].tolist() == [
        [0, 0, 0, 2],
        [0, 1, 0, 0],
        [3, 0, 4, 0],
        [0, 0, 0, 0],
    ]


@both
def test_each_plane_has_its_own_indices(op):
    y = np.array([[[[7.0]], [[8.0]]], [[[9.0]], [[np.nan]]]])  # (2, 2, 1, 1)
    x = op(y, np.array([0, 1, 2, 3]).reshape(y.shape), 2)
    np.testing.assert_array_equal(
        x.reshape(4, 4), [[7, 0, 0, 0], [0, 8, 0, 0], [0, 0, 9, 0], [0, 0, 0, np.nan]]
    )


@both
def test_of_repeated_indices_the_last_stays_and_alone_gets_the_gradient(op):
    # 1 and 3 go to pixel 4, 2 to pixel 0, 4 to pixel 8 of 3 x 3
    x, saved = op.forward(Y, _indices([4, 0, 4, 8]), 2, stride=1)
    assert x[0, 0].tolist() == [[2, 0, 0], [0, 3, 0], [0, 0, 4]]
    grad = 10.0 + np.arange(9.0).reshape(1, 1, 3, 3)
    (gy,) = op.backward(saved, grad)
    assert gy[0, 0].tolist() == [[0, 10], [14, 18]]  # PyTorch: [[14, 10], [14, 18]]


@both
def test_all_to_one_pixel(op):
    x, saved = op.forward(Y, _indices([2, 2, 2, 2]), 1)
    assert x[0, 0].tolist() == [[0, 0], [4, 0]]
    assert op.backward(saved, np.full_like(x, 5))[0][0, 0].tolist() == [[0, 0], [0, 5]]


@both
@pytest.mark.parametrize("dtype", [np.int32, np.uint64])
def test_any_integer_dtype(op, dtype):
    x, saved = op.forward(Y, _indices([3, 0, 1, 0], dtype), 1)
    assert x[0, 0].tolist() == [[4, 3], [0, 1]]
    assert op.backward(saved, x)[0][0, 0].tolist() == [[1, 0], [3, 4]]


@pytest.mark.parametrize(
    ("arguments", "size"),
    [
        ({"kernel_size": 2}, (6, 8)),  # (3 - 1) * 2 + 2, (4 - 1) * 2 + 2
        ({"kernel_size": (3, 2), "stride": (1, 3)}, (5, 11)),  # 2 * 1 + 3, 3 * 3 + 2
        ({"kernel_size": 3, "stride": 2, "padding": 1}, (5, 7)),  # 2 * 2 + 3 - 2, 3 * 2 + 3 - 2
        ({"kernel_size": 3, "stride": 2, "padding": (1, 0, 0, 1)}, (6, 8)),
        ({"kernel_size": 2, "output_size": (7, 9)}, (7, 9)),
        ({"kernel_size": 2, "output_size": (5, 7)}, (5, 7)),
    ],
)
def test_output_size(arguments, size):
    assert ns.max_unpool2d.output_shape((1, 1, 3, 4), (1, 1, 3, 4), **arguments) == (1, 1, *size)


@pytest.mark.parametrize("size", [(4, 8), (8, 8), (6, 6), (6, 10)])
def test_an_output_size_a_whole_stride_away_is_refused(size):
    with pytest.raises(ns.ArgumentError, match=r"^max_unpool2d: output_size has \d+ "):
        ns.max_unpool2d.output_shape((1, 1, 3, 4), (1, 1, 3, 4), 2, output_size=size)


@pytest.mark.parametrize("kernel", [1, 2, 3])
def test_undoes_pooling_where_windows_do_not_overlap(kernel):
    x = np.random.default_rng(kernel).normal(size=(2, 3, 6, 12))
    y, indices = ns.max_pool2d(x, kernel, return_indices=True)
    back = ns.max_unpool2d(y, indices, kernel)
    assert ((back == x) | (back == 0)).all()
    assert np.count_nonzero(back) == y.size
    np.testing.assert_array_equal(ns.max_pool2d(np.where(back == 0, -np.inf, back), kernel), y)


@both
def test_indices_off_the_plane_are_found_before_anything_is_written(op):
    y = np.zeros((2, 1, 2, 2))
    indices = np.zeros((2, 1, 2, 2), np.int64)
    indices[1, 0, 0, 1] = 16
    with pytest.raises(
        ns.ArgumentError, match=r"^max_unpool2d: indices\[1, 0, 0, 1\] is 16, .* 0 to 15$"
    ):
        op(y, indices, 2)
    with pytest.raises(ns.ArgumentError, match=r"^max_unpool2d: indices\[1, 0, 0, 1\] is 16"):
        ns.max_unpool2d.matrix(y.shape, indices, 2)


def test_indices_changed_after_forward_read_nothing_outside():
    indices = _indices([0, 1, 2, 3])
    x, saved = ns.max_unpool2d.forward(Y, indices, 1)
    indices[...] = [[10**12, -1], [-(10**12), 3]]
    assert ns.max_unpool2d.backward(saved, x + 1)[0][0, 0].tolist() == [[0, 0], [0, 5]]


def test_the_matrix_has_a_one_for_each_value_that_stays():
    m = ns.max_unpool2d.matrix((1, 1, 2, 2), _indices([4, 0, 4, 8]), 2, stride=1)
    assert m.shape == (9, 4)
    assert sorted(zip(*m.nonzero(), strict=True)) == [(0, 1), (4, 2), (8, 3)]
    assert (m.data == 1).all()


def test_empty_planes():
    for shape in [(0, 2, 3, 3), (2, 0, 3, 3), (1, 1, 0, 3)]:
        y = np.zeros(shape)
        x, saved = ns.max_unpool2d.forward(y, y.astype(int), 2)
        assert x.shape == (*shape[:2], 2 * shape[2], 6)
        assert ns.max_unpool2d.backward(saved, x)[0].shape == shape


# -- conventions ----------------------------------------------------------------------------------


@both
@pytest.mark.parametrize(
    ("duplicates", "image", "gradient"),
    [
        ("last", [[2, 0, 0], [0, 3, 0], [0, 0, 4]], [[0, 10], [14, 18]]),
        ("torch", [[2, 0, 0], [0, 3, 0], [0, 0, 4]], [[14, 10], [14, 18]]),
        ("sum", [[2, 0, 0], [0, 4, 0], [0, 0, 4]], [[14, 10], [14, 18]]),
    ],
)
def test_duplicates(op, duplicates, image, gradient):
    # 1 and 3 go to pixel 4, 2 to pixel 0, 4 to pixel 8 of 3 x 3
    x, saved = op.forward(Y, _indices([4, 0, 4, 8]), 2, stride=1, duplicates=duplicates)
    assert x[0, 0].tolist() == image
    grad = 10.0 + np.arange(9.0).reshape(1, 1, 3, 3)
    assert op.backward(saved, grad)[0][0, 0].tolist() == gradient


def test_the_sum_is_the_gradient_of_an_overlapping_pooling():
    x = np.random.default_rng(0).normal(size=(2, 3, 7, 7))
    y, saved = ns.max_pool2d.forward(x, 3, 1)
    gy = np.random.default_rng(1).integers(-9, 9, y.shape).astype(float)
    summed = ns.max_unpool2d(gy, saved.indices, 3, 1, duplicates="sum")
    np.testing.assert_array_equal(summed, ns.max_pool2d.backward(saved, gy)[0])
    assert (ns.max_unpool2d(gy, saved.indices, 3, 1) != summed).any()


@both
def test_output_rules(op):
    y, indices = Y, _indices([0, 3, 8, 15])
    # PyTorch takes 5 x 5 and lets indices speak of it; ONNX Runtime takes any size
    five = np.zeros((5, 5))
    five.ravel()[[0, 3, 8, 15]] = [1, 2, 3, 4]
    for rule in ("torch", "any"):
        assert op(y, indices, 2, output_size=5, output_rule=rule)[0, 0].tolist() == five.tolist()
    wide = np.zeros((2, 9))
    wide.ravel()[[0, 3, 8, 15]] = [1, 2, 3, 4]
    found = op(y, indices, 2, output_size=(2, 9), output_rule="any")
    assert found[0, 0].tolist() == wide.tolist()
    # the ONNX reference: they speak of the default, 4 x 4
    x, saved = op.forward(y, indices, 2, output_size=(5, 6), output_rule="corner")
    corner = np.zeros((5, 6))
    corner[0, 0], corner[0, 3], corner[2, 0], corner[3, 3] = 1, 2, 3, 4
    assert x[0, 0].tolist() == corner.tolist()
    gy = op.backward(saved, np.arange(30.0).reshape(1, 1, 5, 6))[0]
    assert gy[0, 0].tolist() == [[0, 3], [12, 21]]


@both
@pytest.mark.parametrize("layout", ["hw", "nchw", "ncwh", "hwc", "nhwc"])
def test_undoes_pooling_in_every_layout(op, layout):
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 6))
    y, indices = ns.max_pool2d(x, 2, return_indices=True, index_layout=layout)
    expected = ns.max_unpool2d(y, ns.max_pool2d(x, 2, return_indices=True)[1], 2)
    back, saved = op.forward(y, indices, 2, index_layout=layout)
    np.testing.assert_array_equal(back, expected)
    np.testing.assert_array_equal(op.backward(saved, x)[0], y)
    m = ns.max_unpool2d.matrix(y.shape, indices, 2, index_layout=layout)
    np.testing.assert_array_equal(m @ y.ravel(), back.ravel())
    narrow = indices.astype(np.uint16)
    np.testing.assert_array_equal(op(y, narrow, 2, index_layout=layout), expected)


@both
@pytest.mark.parametrize("wrong", [-1, 3, 48, 2**40])
def test_an_index_of_another_plane_is_refused(op, wrong):
    indices = np.array([0, 16], np.int64).reshape(1, 2, 1, 1)
    y = np.ones((1, 2, 1, 1))
    assert op(y, indices, 4, index_layout="nchw").sum() == 2
    indices[0, 1] = wrong
    with pytest.raises(ns.ArgumentError, match=rf"indices\[0, 1, 0, 0\] is {wrong}, which is no"):
        op(y, indices, 4, index_layout="nchw")


def test_indices_of_any_layout_changed_after_forward_read_nothing_outside():
    for duplicates in ("last", "sum"):
        indices = _indices([0, 1, 2, 3])
        how = {"index_layout": "nchw", "duplicates": duplicates}
        x, saved = ns.max_unpool2d.forward(Y, indices, 1, **how)
        indices[...] = [[10**12, -1], [-(10**12), 3]]
        for op in (ns.max_unpool2d, ns.max_unpool2d.reference):
            assert op.backward(saved, x + 1)[0][0, 0].tolist() == [[0, 0], [0, 5]]


def _planes_of_indices(rows, columns):
    """Planes of 18 x 20 values: each with its own 2 x 2 cell; the same but for one that strays, to
    where another is or beyond its cell; in any order; with repeats, also in the first row only."""
    rng = np.random.default_rng(0)
    p, q = np.mgrid[:18, :20]
    cells = (2 * p + rng.integers(0, 2, p.shape)) * columns + 2 * q + rng.integers(0, 2, p.shape)
    planes = [cells] + [cells.copy() for _ in range(4)]
    planes[1][9, 7] = cells[9, 8]
    planes[2][17, 19] = cells[0, 0]
    planes[3][4, 19] += 2 - (cells[4, 19] - 8 * columns) % columns % 2  # the next cell's column
    planes[4][11] = planes[4][11, ::-1]
    planes.append(rng.permutation(rows * columns)[:360].reshape(18, 20))
    planes.append(rng.integers(0, rows * columns, (18, 20)))
    planes.append(rng.integers(0, columns, (18, 20)))
    return np.stack(planes)[None]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [(36, 40), (37, 41), (35, 40), (36, 39)])
@pytest.mark.parametrize("duplicates", ["last", "sum", "torch"])
def test_indices_in_cells_of_their_own_and_elsewhere(dtype, size, duplicates, monkeypatch):
    dirty = staticmethod(lambda shape, dtype: np.full(shape, 7, dtype))
    monkeypatch.setattr("numseg.device.Host.empty", dirty)
    indices = _planes_of_indices(*size) % (size[0] * size[1])
    rng = np.random.default_rng(1)
    y = rng.integers(1, 9, indices.shape).astype(dtype)
    results = []
    for op in (ns.max_unpool2d, ns.max_unpool2d.reference):
        x, saved = op.forward(y, indices, 2, output_size=size, duplicates=duplicates)
        gradient = 1 + np.arange(x.size, dtype=dtype).reshape(x.shape)
        results.append((x, op.backward(saved, gradient)[0]))
    for ours, defined in zip(*results, strict=True):
        np.testing.assert_array_equal(ours, defined)


def test_indices_of_a_large_plane_changed_after_forward_read_nothing_outside():
    indices = _planes_of_indices(36, 40)[:, :1]
    y = np.ones(indices.shape, np.float32)
    x, saved = ns.max_unpool2d.forward(y, indices, 2)
    for wrong in (-1, 36 * 40, 2**40, -(2**40)):
        indices[0, 0, 12, 3] = wrong
        gradient = ns.max_unpool2d.backward(saved, x + 1)[0]
        assert gradient[0, 0, 12, 3] == 0
        assert gradient.sum() == 2 * 359
