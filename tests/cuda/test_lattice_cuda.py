"""The lattice, sorting and filters of CUDA: what operators' own cases are too small to reach."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numseg as ns
from numseg.cuda import memory, runtime
from numseg.cuda.arrays import Cuda
from numseg.typing import Array

if not runtime.cuda_available():
    pytest.skip(
        "no GPU: NUMBA_ENABLE_CUDASIM=1 pytest tests/cuda, after pip install '.[cuda-test]'",
        allow_module_level=True,
    )

from numseg.cuda import lattice as on_gpu
from numseg.cuda import launch as kernels
from numseg.cuda import sorting
from numseg.kernels.lattice import simplex
from numseg.kernels.lattice.build import build
from numseg.kernels.lattice.filter import filtered


def down(array: Any) -> Array:
    return Cuda.to_host(array)


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 64, 65, 600])
def test_running_sums(count: int) -> None:
    counts = np.random.default_rng(count).integers(0, 5, count).astype(np.int32)
    sums = down(sorting.running_sums(Cuda.from_host(counts)))
    np.testing.assert_array_equal(sums, np.concatenate([[0], np.cumsum(counts)]))


@pytest.mark.parametrize(("count", "bound"), [(1, 1), (9, 2), (70, 64), (70, 65), (120, 70_000)])
def test_sorting_is_stable(count: int, bound: int) -> None:
    keys = np.random.default_rng(count).integers(0, bound, count).astype(np.int32)
    keys[count // 2 :] = keys[: count - count // 2]  # some are equal
    found, places = sorting.sorted_places(Cuda.from_host(keys), bound)
    np.testing.assert_array_equal(down(places), np.argsort(keys, kind="stable"))
    np.testing.assert_array_equal(down(found), np.sort(keys))


def _normal(d: int, points: int, width: float) -> Array:
    return np.random.default_rng(d).standard_normal((d, points)) * width


FEATURES = {
    "a line": _normal(1, 30, 2),
    "an image's positions": np.indices((5, 4)).reshape(2, -1) / 3.0,
    "on the borders of simplices": np.round(_normal(3, 12, 2)),
    "one place": np.ones((2, 40)),
    "far from it": _normal(5, 5, 1) + 1000,
    "keys of two words": _normal(16, 4, 3),
}


@pytest.fixture(params=["as they are", "short pieces", "one at a time"])
def _launches(request: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param != "as they are":
        monkeypatch.setattr(on_gpu, "PIECE", 2)
        monkeypatch.setattr(sorting, "SUMMED", 3)
        monkeypatch.setattr(sorting, "SORTED", 5)
    if request.param == "one at a time":
        monkeypatch.setattr(kernels, "THREADS", 1)
        monkeypatch.setattr(kernels, "WARP", 1)


@pytest.mark.usefixtures("_launches")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", FEATURES)
def test_the_lattice_is_the_cpu_s(name: str, dtype: Any) -> None:
    """Weights to the bit, vertices, neighbours, the order of points; numbers have their own."""
    features = FEATURES[name].astype(dtype)
    wanted = build(np.ascontiguousarray(features.T))
    moved = Cuda.from_host(features)
    ((low, high),) = on_gpu.ranges(moved)
    np.testing.assert_array_equal([low, high], [features.min(1), features.max(1)])
    keys = simplex.keys(low, high)
    assert keys is not None
    assert keys.words == (2 if name == "keys of two words" else 1)
    found = on_gpu.build(moved)
    weights, vertices = wanted.weights.reshape(-1), down(found.vertices)
    np.testing.assert_array_equal(down(found.weights), weights)
    count, firsts = wanted.number, np.unique(vertices, return_index=True)[1]
    assert firsts.size == count
    np.testing.assert_array_equal(firsts, np.sort(firsts))  # numbered in the order of corners
    theirs = np.append(wanted.vertices.reshape(-1)[firsts], count)  # the CPU's numbers of ours
    np.testing.assert_array_equal(np.sort(theirs), np.arange(count + 1))
    np.testing.assert_array_equal(theirs[vertices], wanted.vertices.reshape(-1))
    beside = theirs[down(found.neighbours)]
    np.testing.assert_array_equal(beside, wanted.neighbours[:, theirs[:-1]])
    order = np.argsort(vertices, kind="stable")
    np.testing.assert_array_equal(down(found.points), order // (len(features) + 1))
    np.testing.assert_array_equal(down(found.shares), weights[order])
    starts = np.concatenate([[0], np.cumsum(np.bincount(vertices))])
    np.testing.assert_array_equal(down(found.starts), starts)


@pytest.mark.usefixtures("_launches")
@pytest.mark.parametrize("reverse", [False, True])
def test_filtering_and_its_transpose(reverse: bool) -> None:
    features = FEATURES["an image's positions"]
    wanted = build(np.ascontiguousarray(features.T))
    lattice = on_gpu.build(Cuda.from_host(features))
    values = np.random.default_rng(0).standard_normal((features.shape[1], 3))
    theirs, ours = np.empty_like(values), Cuda.empty(values.shape, values.dtype)
    filtered(wanted, values, theirs, reverse)
    on_gpu.filtered(lattice, Cuda.from_host(values), ours, reverse)
    np.testing.assert_allclose(down(ours), theirs, rtol=0, atol=1e-14)


def test_ranges_of_several_arrays() -> None:
    """NaN where there is one, and nothing of what is empty."""
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape) for shape in ((2, 30), (1, 1), (3, 0), (0, 4), (1, 9))]
    arrays[-1][0, 5] = np.nan
    found = on_gpu.ranges(*map(Cuda.from_host, arrays))
    for (low, high), array in zip(found, arrays, strict=True):
        wanted = [array.min(1), array.max(1)] if array.size else np.zeros((2, len(array)))
        np.testing.assert_array_equal([low, high], wanted)


@pytest.mark.parametrize("value", [np.nan, 1e30])
def test_features_that_changed_after_they_were_checked(value: float) -> None:
    features = np.full((2, 5), value)
    with pytest.raises(OverflowError, match="no numbers for vertices so far apart"):
        on_gpu.build(Cuda.from_host(features))


@pytest.mark.parametrize("method", ["exact", "permutohedral"])
def test_integers_that_one_place_sums_are_exact(method: str) -> None:
    """All points lie on one vertex: weights are 1 and 0, every sum is of integers."""
    x = np.random.default_rng(0).integers(-9, 10, (1, 2, 50)).astype(np.float32)
    features = np.zeros((1, 3, 50), np.float32)
    here = ns.gaussian_filter(x, features, method=method)
    there = ns.gaussian_filter(Cuda.from_host(x), Cuda.from_host(features), method=method)
    np.testing.assert_array_equal(down(there), here)
    if method == "exact":
        np.testing.assert_array_equal(here, np.broadcast_to(x.sum(2, keepdims=True), x.shape))


def _crf(labels: int = 3) -> dict[str, Any]:
    """A small photograph with noise, positions and colours."""
    rng = np.random.default_rng(0)
    image = np.repeat(np.repeat(rng.uniform(0, 9, (1, 3, 2, 2)), 3, 2), 2, 3)
    return {
        "unary": rng.standard_normal((1, labels, 6, 4)),
        "features": [
            ns.spatial_features(image, np.full(2, 2.0)),
            ns.bilateral_features(image, np.array([3.0, 3.0, 4.0, 4.0, 4.0])),
        ],
        "compat": [np.array(1.0), rng.standard_normal((labels, labels))],
    }


def _moved(arguments: dict[str, Any]) -> dict[str, Any]:
    return {
        name: list(map(Cuda.from_host, value)) if isinstance(value, list) else Cuda.from_host(value)
        for name, value in arguments.items()
    }


def test_a_small_photograph() -> None:
    arguments = _crf()
    here = ns.dense_crf(**arguments, iterations=4)
    there = ns.dense_crf(**_moved(arguments), iterations=4)
    np.testing.assert_allclose(down(there), here, rtol=0, atol=1e-13)


@np.errstate(all="ignore")
@pytest.mark.filterwarnings("ignore:.*encountered:RuntimeWarning")
@pytest.mark.parametrize("spoiled", [(0, 0), (slice(None), 0)], ids=["a label", "all labels"])
def test_infinite_energies(spoiled: Any) -> None:
    """One that a point never has, and a point that has none."""
    arguments = _crf()
    arguments["unary"].reshape(3, 24)[spoiled] = np.inf
    here = ns.dense_crf(**arguments, iterations=2)
    there = down(ns.dense_crf(**_moved(arguments), iterations=2))
    np.testing.assert_allclose(there, here, rtol=0, atol=1e-13)
    assert np.isnan(here).any() == (spoiled != (0, 0))


@pytest.mark.skipif(not runtime.simulated(), reason="counts the simulator's copies")
@pytest.mark.parametrize(("tolerance", "more"), [(None, 0), (0.0, 1)])
def test_iterations_do_not_wait(
    tolerance: float | None, more: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing comes back to the host but what each lattice takes, unless there is a tolerance."""
    waited = []
    array = type(Cuda.empty((1,), np.float32))
    copy = array.copy_to_host

    def counting(self: Any, *args: Any, **kwargs: Any) -> Any:
        waited.append(self.shape)
        return copy(self, *args, **kwargs)

    monkeypatch.setattr(array, "copy_to_host", counting)
    arguments, counts, made = _moved(_crf()), [], []
    allocate = memory.empty
    counted = lambda *args: allocated.append(args) or allocate(*args)  # noqa: E731
    allocated: list[Any] = []
    monkeypatch.setattr(memory, "empty", counted)
    for iterations in (1, 3):
        waited.clear()
        allocated.clear()
        y, saved = ns.dense_crf.forward(**arguments, iterations=iterations, tolerance=tolerance)
        forward = len(waited)
        ns.dense_crf.backward(saved, y)
        counts.append((forward, len(waited) - forward))
        made.append(len(allocated))
    assert made[0] + 2 * more == made[1]  # where it waits anyway, what it waits for is new
    first, then = counts
    # the ranges to check; of two terms, those to build by and the number of vertices
    assert first == (5 + more, 4 + more)
    assert then == (5 + 3 * more, 4 + more)
