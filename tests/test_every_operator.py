"""The contract, over every operator, dtype and memory layout. No operator is known by name."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

import numseg
from numseg import faces
from numseg.errors import ArgumentError
from numseg.operator import Operator
from numseg.ops import registry
from numseg.testing import cases, contract
from numseg.testing.cases import Case, Invalid

OPERATORS = list(registry.OPERATORS.values())
DTYPES = [np.float32, np.float64]
ONCE = {
    *("dense_crf", "dice_loss", "gaussian_filter", "grid_sample", "l2_norm", "mean_field_step"),
    *("sigmoid_focal_loss", "encode_boxes", "decode_boxes"),
    *(f"{name}_box_iou_loss" for name in ("generalized", "distance", "complete")),
}
"""Operators without second derivatives, as their pages say: functions of boxes,
rational functions and powers of sums over all pixels, and iterations of those, whose curvature no
training method here asks for. They refuse, in one line."""

FEW = max(2, settings.default.max_examples // 3)
SEEDS = st.integers(0, 2**32 - 1)

each_operator = pytest.mark.parametrize("op", OPERATORS, ids=lambda op: op.__name__)
each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)


def _full(op: Operator[..., Any]) -> st.SearchStrategy[Case]:
    """Cases without an empty array: those have a test of their own."""
    return cases.strategy(op).filter(lambda case: not cases.is_empty(case))


# -- the house ------------------------------------------------------------------------------------


def test_every_folder_is_an_operator_at_the_front_door() -> None:
    folders = {p.name for p in (Path(numseg.__file__).parent / "ops").iterdir() if p.is_dir()}
    folders -= {"__pycache__"}
    assert folders == {op.__name__ for op in OPERATORS}
    assert folders <= set(numseg.__all__)


@each_operator
def test_has_its_faces_and_cases(op: Operator[..., Any]) -> None:
    for face in ("reference", "cpu"):
        module = faces.module(op, face)
        assert callable(module.forward)
        assert not op.differentiable or callable(module.backward)
    text = inspect.getsource(faces.module(op, "reference"))
    assert not any(f"{op.__name__}.{face}" in text for face in ("rules", "cpu", "cuda"))
    stated = cases.of(op)
    assert stated.EXACT in (True, False, "value", "cpu") or callable(stated.EXACT)
    assert stated.invalid


@each_operator
def test_has_tests_of_its_own(op: Operator[..., Any]) -> None:
    tests = (Path(__file__).parent / "ops").glob("test_*.py")
    assert any(re.search(rf"ns\.{op.__name__}\b", file.read_text()) for file in tests)


# -- the contract ---------------------------------------------------------------------------------


@each_operator
def test_is_documented(op: Operator[..., Any]) -> None:
    contract.check_documented(op)


@each_operator
def test_takes_or_refuses_whatever_it_is_given(op: Operator[..., Any]) -> None:
    for case in cases.drawn(op, 3):
        contract.check_wrong_arguments(op, case)


INVALID = [(op, bad) for op in OPERATORS for bad in cases.of(op).invalid]


@pytest.mark.parametrize(
    ("op", "bad"), INVALID, ids=[f"{op.__name__}-{bad.message}" for op, bad in INVALID]
)
def test_refuses(op: Operator[..., Any], bad: Invalid) -> None:
    contract.check_invalid(op, bad)


@each_dtype
@each_operator
@settings(max_examples=FEW)
@given(data=st.data(), seed=SEEDS)
def test_value_and_gradient_are_those_of_the_definition(
    op: Operator[..., Any], dtype: Any, data: st.DataObject, seed: int
) -> None:
    case = data.draw(_full(op))
    contract.check_values(op, case, dtype, seed)
    contract.check_plan(op, case, dtype, seed)


@each_dtype
@each_operator
@settings(max_examples=FEW)
@given(data=st.data(), seed=SEEDS)
def test_infinities_and_nan_are_those_of_the_definition(
    op: Operator[..., Any], dtype: Any, data: st.DataObject, seed: int
) -> None:
    contract.check_not_finite(op, data.draw(_full(op)), dtype, seed)


@each_operator
@settings(max_examples=FEW)
@given(data=st.data(), seed=SEEDS)
def test_gradient_is_the_derivative(op: Operator[..., Any], data: st.DataObject, seed: int) -> None:
    case = data.draw(_full(op))
    contract.check_gradients(op, case, seed)
    contract.check_adjoint(op, case, seed)


@each_dtype
@each_operator
@settings(max_examples=FEW)
@given(data=st.data(), seed=SEEDS)
def test_forward_mode_is_the_transpose_of_backward(
    op: Operator[..., Any], dtype: Any, data: st.DataObject, seed: int
) -> None:
    contract.check_jvp(op, data.draw(_full(op)), dtype, seed)


@each_operator
@settings(max_examples=FEW)
@given(data=st.data(), seed=SEEDS)
def test_second_derivatives(op: Operator[..., Any], data: st.DataObject, seed: int) -> None:
    case = data.draw(_full(op))
    if op.__name__ not in ONCE:
        contract.check_double_backward(op, case, seed)
        contract.check_transposed(op, case, seed)
        return
    arguments = case.arguments("reals", np.float64, seed)
    y, saved = op.forward(**arguments)
    with pytest.raises(ArgumentError, match=f"{op.__name__} has no double_backward"):
        op.double_backward(saved, y, {})


@each_dtype
@each_operator
@settings(max_examples=FEW)
@given(data=st.data(), seed=SEEDS)
def test_bits_depend_on_values_alone(
    op: Operator[..., Any], dtype: Any, data: st.DataObject, seed: int
) -> None:
    case = data.draw(_full(op))
    contract.check_layouts(op, case, dtype, seed)
    contract.check_repeats(op, case, dtype, seed)
    contract.check_needs(op, case, dtype, seed)
    contract.check_bad_backward(op, case, dtype, seed)
    contract.check_tampered(op, case, dtype, seed)


@each_dtype
@each_operator
def test_takes_empty_arrays(op: Operator[..., Any], dtype: Any) -> None:
    try:
        case = find(cases.strategy(op), cases.is_empty, settings=settings(max_examples=200))
    except NoSuchExample:
        pytest.fail(f"{op.__name__}: its valid cases have no empty array")
    contract.check_values(op, case, dtype, seed=0)
    contract.check_plan(op, case, dtype, seed=0)
    contract.check_layouts(op, case, dtype, seed=0)
    contract.check_needs(op, case, dtype, seed=0)
