"""Every operator that runs on CUDA, held to its definition by its own cases."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st

import numseg as ns
from numseg import faces
from numseg.cuda import runtime
from numseg.cuda.arrays import Cuda
from numseg.operator import Operator
from numseg.ops import registry
from numseg.testing import cases, contract
from numseg.testing.cases import Case, Invalid
from numseg.typing import Array

if not runtime.cuda_available():
    pytest.skip(
        "no GPU: NUMBA_ENABLE_CUDASIM=1 pytest tests/cuda, after pip install '.[cuda-test]'",
        allow_module_level=True,
    )

from numseg.cuda import launch as kernels

Op = Operator[..., Any]


def runs(op: Op) -> bool:
    """By kernels of its own, or as a composite of operators that do."""
    try:
        members = vars(faces.module(op, "cuda")).values()
    except ns.DeviceError:
        return False
    return all(runs(part) for part in members if isinstance(part, Operator) and part is not op)


# NUMSEG_SHARD=2/6: every sixth from the third on, for several processes at once
SHARD, SHARDS = map(int, os.environ.get("NUMSEG_SHARD", "0/1").split("/"))
OPERATORS: list[Op] = [op for op in registry.OPERATORS.values() if runs(op)][SHARD::SHARDS]
SEEDS = st.integers(0, 2**32 - 1)
MANY = max(12, settings.default.max_examples)
FEW = max(3, settings.default.max_examples // 6)

each_operator = pytest.mark.parametrize("op", OPERATORS, ids=lambda op: op.__name__)


@pytest.fixture(autouse=True, scope="module")
def _poison() -> Iterator[None]:
    """Outputs and workspaces are allocated full of NaN or large integers, between fences."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Cuda, "empty", staticmethod(poisoned))
        yield


def poisoned(shape: tuple[int, ...], dtype: Any) -> Any:
    size = int(np.prod(shape, dtype=np.int64))
    poison = np.nan if np.dtype(dtype).kind == "f" else np.iinfo(dtype).max // 3
    memory = Cuda.from_host(np.full(size + 2, poison, dtype))
    return memory[1 : 1 + size].reshape(shape)


def _empty(case: Case) -> bool:
    return any(a.size == 0 for a in contract.arrays(case.arguments("integers", np.float32)))


def _full(op: Op) -> st.SearchStrategy[Case]:
    return cases.strategy(op).filter(lambda case: not _empty(case))


def _moved(op: Op, move: Callable[[Array], Any], arguments: dict[str, Any]) -> dict[str, Any]:
    return contract._map_arrays(op, move, arguments)


def _grad(op: Op, arguments: dict[str, Any], seed: int) -> Array:
    shape = op.plan(**arguments).outputs[0].shape
    dtype = op.plan(**arguments).outputs[0].dtype
    return cases.reals(shape, dtype, np.random.default_rng([seed, 1]))


def _flat(seen: contract.Observed) -> list[Array | None]:
    return [*seen.results, *seen.gradients]


def _assert_same(actual: list[Any], expected: list[Any]) -> None:
    for got, wanted in zip(actual, expected, strict=True):
        assert (got is None) == (wanted is None)
        if got is not None:
            assert got.dtype == wanted.dtype
            np.testing.assert_array_equal(got, wanted)


def _down(array: Any) -> Any:
    return None if array is None else Cuda.to_host(array)


def _observed(op: Op, arguments: dict[str, Any], seed: int) -> contract.Observed:
    return contract.observe(op, arguments, _grad(op, arguments, seed), Cuda)


@each_operator
@settings(max_examples=MANY)
@given(data=st.data(), seed=SEEDS)
def test_value_and_gradient_are_those_of_the_definition(
    op: Op, data: st.DataObject, seed: int
) -> None:
    contract.check_values(op, data.draw(_full(op)), np.float32, seed, Cuda)


@each_operator
@settings(max_examples=FEW)
@given(data=st.data(), seed=SEEDS)
def test_they_are_in_float64(op: Op, data: st.DataObject, seed: int) -> None:
    """The text of the kernels is the same: fewer cases."""
    contract.check_values(op, data.draw(_full(op)), np.float64, seed, Cuda)


def test_every_operator_runs() -> None:
    """By a twin, or made of operators that have one."""
    assert [name for name, op in registry.OPERATORS.items() if not runs(op)] == []


@each_operator
def test_takes_empty_arrays(op: Op) -> None:
    case = find(cases.strategy(op), _empty, settings=settings(max_examples=200))
    contract.check_values(op, case, np.float32, 0, Cuda)


@each_operator
@settings(max_examples=FEW)
@given(data=st.data(), seed=SEEDS)
def test_bits_do_not_depend_on_the_launch(op: Op, data: st.DataObject, seed: int) -> None:
    """Blocks of one plane or of many, and threads that stride over planes or do not."""
    arguments = data.draw(_full(op)).arguments("reals", np.float32, seed)
    once = _observed(op, arguments, seed)
    for threads, warp, rows in ((8, 8, 1), (64, 1, 65_535)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(kernels, "THREADS", threads)
            patch.setattr(kernels, "WARP", warp)
            patch.setattr(kernels, "MAX_ROWS", rows)
            again = _observed(op, arguments, seed)
        _assert_same(_flat(again), _flat(once))


def _every_second(array: Array) -> Any:
    wide = np.repeat(array[..., None], 2, axis=-1)
    return Cuda.from_host(wide)[..., 0]


def _columns_first(array: Array) -> Any:
    return Cuda.from_host(array.copy(order="F"))  # asfortranarray gives 0 axes one


@each_operator
@settings(max_examples=FEW)
@given(data=st.data(), seed=SEEDS)
def test_inputs_in_any_layout_give_the_same_and_stay_as_they_are(
    op: Op, data: st.DataObject, seed: int
) -> None:
    arguments = data.draw(_full(op)).arguments("reals", np.float32, seed)
    grad = _grad(op, arguments, seed)
    plain = _observed(op, arguments, seed)
    for lay in (_every_second, _columns_first):
        laid = _moved(op, lay, arguments)
        value, saved = op.forward(**laid)
        grads = op.backward(saved, lay(grad)) if op.differentiable else ()
        _assert_same([_down(a) for a in (*_parts(value), *grads)], _flat(plain))
        for name in op.inputs:
            after = [a if a is None else kernels.dense(a) for a in _parts(laid[name])]
            _assert_same([_down(a) for a in after], _parts(arguments[name]))


def _parts(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


@each_operator
@settings(max_examples=FEW)
@given(data=st.data(), seed=SEEDS)
def test_gradients_that_are_not_wanted_are_none(op: Op, data: st.DataObject, seed: int) -> None:
    arguments = data.draw(_full(op)).arguments("reals", np.float32, seed)
    grad = Cuda.from_host(_grad(op, arguments, seed))
    _, saved = op.forward(**_moved(op, Cuda.from_host, arguments))
    every = op.backward(saved, grad) if op.differentiable else ()
    names = [n for n in op.differentiable for _ in _parts(arguments[n])]
    for wanted in op.differentiable:
        some = op.backward(saved, grad, needs={wanted})
        expected = [g if n == wanted else None for n, g in zip(names, every, strict=True)]
        _assert_same([_down(a) for a in some], [_down(a) for a in expected])


INVALID = [(op, bad) for op in OPERATORS for bad in cases.of(op).invalid]


@pytest.mark.parametrize(
    ("op", "bad"), INVALID, ids=[f"{op.__name__}-{bad.message}" for op, bad in INVALID]
)
def test_refuses(op: Op, bad: Invalid) -> None:
    arguments = bad.case.arguments("reals", np.float32)
    with pytest.raises(ns.ArgumentError) as caught:
        op(**_moved(op, lambda array: Cuda.from_host(array.copy()), arguments))
    assert str(caught.value).startswith(f"{op.__name__}: ")
    assert bad.message in str(caught.value)


@each_operator
@settings(max_examples=FEW)
@given(data=st.data(), seed=SEEDS)
def test_the_definition_takes_arrays_on_the_gpu(op: Op, data: st.DataObject, seed: int) -> None:
    arguments = data.draw(_full(op)).arguments("integers", np.float32, seed)
    grad = _grad(op, arguments, seed)
    expected = contract.observe(op.reference, arguments, grad)
    with ns.use("reference"):
        actual = contract.observe(op, arguments, grad, Cuda)
        value = op(**_moved(op, Cuda.from_host, arguments))
    _assert_same(_flat(actual), _flat(expected))
    assert all(hasattr(part, "copy_to_host") for part in _parts(value))
