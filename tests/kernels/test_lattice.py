"""The lattice's kernels beside gaussian_filter's definition, and what they promise."""

from __future__ import annotations

from unittest import mock

import numpy as np
import pytest

from numseg.kernels.lattice import build as module
from numseg.kernels.lattice import exact, filter, simplex
from numseg.kernels.lattice.build import BLOCK, build
from numseg.kernels.lattice.vectors import lanes
from numseg.kernels.machine import threads
from numseg.ops.gaussian_filter import reference


def _features(points, d, seed=0, spread=2.0):
    return np.random.default_rng(seed).standard_normal((points, d)) * spread


@pytest.mark.parametrize("d", [1, 2, 5, 9])
def test_simplices_are_those_of_the_definition(d):
    f = _features(BLOCK + 5, d).round(1)
    lattice, defined = build(f), reference.Lattice(f, True, False)
    np.testing.assert_allclose(lattice.weights, defined.at.weights, atol=1e-14)
    pairs = set(
        zip(lattice.vertices.ravel().tolist(), defined.vertices.ravel().tolist(), strict=True)
    )
    assert len(pairs) == lattice.number == defined.vertices.max() + 1


@pytest.mark.parametrize("d", [1, 3, 6])
def test_neighbours_are_those_of_the_definition(d):
    f = _features(80, d, spread=1.0)
    lattice, defined = build(f), reference.Lattice(f, True, False)
    ours = np.empty(lattice.number, np.int64)
    ours[defined.vertices.ravel()] = lattice.vertices.ravel()
    for axis, (here, after) in enumerate(defined.beside):
        wanted = np.full((lattice.number, 2), lattice.number)
        wanted[ours[here], 0], wanted[ours[after], 1] = ours[after], ours[here]
        np.testing.assert_array_equal(lattice.neighbours[axis], wanted)


@pytest.mark.parametrize("labels", [1, 2, 3, 5, 8, 21, 33, 70])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_any_number_of_labels(labels, dtype):
    f = _features(150, 3).astype(dtype)
    x = np.random.default_rng(1).standard_normal((150, labels)).astype(dtype)
    defined = reference.Lattice(f.astype(np.float64), True, False)
    memory = np.full((152, labels), np.nan, dtype)  # a row before and a row behind
    out = memory[1:-1]
    for reverse in (False, True):
        filter.filtered(build(f), x, out, reverse)
        wanted = defined.apply(x.astype(np.float64), reverse)
        np.testing.assert_allclose(out, wanted, atol=300 * np.finfo(dtype).eps)
        assert np.isnan(memory[[0, -1]]).all()


def test_the_bits_do_not_depend_on_threads():
    f = _features(40_000, 3, spread=8.0)
    x = np.random.default_rng(2).standard_normal((40_000, 3))
    found = []
    with mock.patch.object(threads, "SERIAL_WORK", 0):
        for count in (1, 2, 3, 4):
            with threads.num_threads(count):
                lattice, out = build(f), np.empty_like(x)
                filter.filtered(lattice, x, out)
                found.append([a.tobytes() for a in (*lattice, out)])
    assert found[1:] == found[:1] * 3


def test_runs_of_points_and_one_agree(monkeypatch):
    f = _features(5000, 2, spread=3.0)
    x = np.random.default_rng(3).standard_normal((5000, 4))
    one = build(f)
    monkeypatch.setattr(module, "RUN", 1000)
    several = build(f)
    assert [len(one.ends), len(several.ends)] == [2, 7]
    assert len(several.owners) > several.number == one.number == len(one.owners)
    np.testing.assert_array_equal(several.vertices, one.vertices)
    np.testing.assert_array_equal(several.neighbours, one.neighbours)
    for v in range(several.number):  # its slots, in order
        slots, slot = [], several.first[v]
        while slot >= 0:
            slots.append(slot)
            slot = several.later[slot]
        assert slots == np.flatnonzero(several.owners == v).tolist()
    found, wanted = np.empty((2, *x.shape))
    filter.filtered(several, x, found)
    filter.filtered(one, x, wanted)
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


def test_rows_are_whole_vectors():
    for labels in range(1, 200):
        how = lanes(labels, 4)
        assert labels <= how.row == how.blocks * len(how.vectors) * len(how.lanes)
        assert how.row - labels <= labels  # a row written too long ends within the next one


def test_keys_are_different_numbers():
    f = _features(400, 10, spread=30.0)
    found = simplex.keys(*simplex.ranges(np.ascontiguousarray(f.T)))
    assert found is not None
    assert found.words == 2
    defined = reference.Lattice(f, True, False)
    assert build(f).number == defined.vertices.max() + 1
    assert simplex.keys(np.zeros(16), np.full(16, 1e5)) is None
    assert simplex.keys(np.zeros(1), np.full(1, 1e12)) is None


def test_no_points_and_one():
    empty = build(np.zeros((0, 3)))
    assert empty.number == 0
    assert empty.weights.shape == (0, 4)
    out = np.empty((0, 2))
    filter.filtered(empty, out, out)
    one = np.empty((1, 1))
    exact.filtered(np.zeros((1, 3)), np.full((1, 1), 3.0), one)
    assert one[0, 0] == 3
