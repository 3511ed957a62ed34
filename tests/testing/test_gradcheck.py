"""gradcheck and adjointcheck: what they accept, what they measure, and what they say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numseg as ns
from numseg.testing import adjointcheck, gradcheck

X = np.array([-1.0, 0.5, 2.0])


def pair(derivative: Any) -> Any:
    return (lambda x: (x**3, x)), (lambda saved, grad_y: derivative(saved) * grad_y)


RIGHT = pair(lambda x: 3 * x**2)


def test_a_right_gradient_passes_with_an_error_of_rounding() -> None:
    report = gradcheck(RIGHT, [X])
    assert report
    assert report.error < 1e-10 < report.tolerance < 1e-8


@pytest.mark.parametrize("factor", [1 + 1e-3, 1 + 1e-6, 1 + 1e-7, 0.0, -1.0, np.nan])
def test_a_wrong_gradient_fails(factor: float) -> None:
    assert not gradcheck(pair(lambda x: factor * 3 * x**2), [X])


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_a_gradient_that_is_no_number_fails(value: float) -> None:
    backward = lambda saved, grad_y: np.array([value, -value, 0.0])  # noqa: E731
    assert not gradcheck((RIGHT[0], backward), [X])


def test_one_wrong_entry_is_named() -> None:
    def backward(saved: Any, grad_y: Any) -> Any:
        gradient = 3 * saved**2 * grad_y
        gradient[1] += 0.25 * grad_y[2]  # x[1] does not reach y[2]
        return gradient

    report = gradcheck((RIGHT[0], backward), [X])
    text = str(report)
    assert not report
    assert "DISAGREE" in text
    assert "d y[2] / d x[1]  <- too large" in text
    assert "0.25" in text
    assert "eps 6.06e-06, float64" in text
    assert "seed=0)" in text
    assert "inputs: x=float64[3]" in text
    assert repr(report) == text


def test_a_report_is_repeated_by_its_last_line() -> None:
    wrong = pair(lambda x: 3.001 * x**2)
    first = gradcheck(wrong, [X], seed=5, jacobian=0)
    assert gradcheck(wrong, [X], eps=first.eps, seed=first.seed, jacobian=0) == first
    assert gradcheck(wrong, [X], seed=6, jacobian=0) != first


def test_each_argument_is_judged_by_itself() -> None:
    def forward(a: Any, b: Any) -> Any:
        return a * b, (a, b)

    def backward(saved: Any, grad_y: Any) -> Any:
        return saved[1] * grad_y, saved[1] * grad_y  # the second should be saved[0]

    report = gradcheck((forward, backward), {"a": X, "b": X[::-1].copy()})
    good, bad = report.comparisons
    assert (good.argument, bad.argument) == ("a", "b")
    assert good.error <= report.tolerance < bad.error


def test_integers_and_parameters_have_no_gradient() -> None:
    def forward(x: Any, places: Any, factor: int) -> Any:
        return factor * x[places], (x.shape, places, factor)

    def backward(saved: Any, grad_y: Any) -> Any:
        shape, places, factor = saved
        gradient = np.zeros(shape)
        np.add.at(gradient, places, factor * grad_y)
        return gradient

    assert gradcheck((forward, backward), [X, np.array([0, 0, 2]), 3])


def test_sequences_of_arrays() -> None:
    report = gradcheck(ns.concat, [[np.ones((1, 2)), np.zeros((1, 3))]])
    assert report
    assert [c.argument for c in report.comparisons] == ["xs[0]", "xs[1]"]


def test_operators_take_their_arguments_in_order_or_by_name() -> None:
    x = np.random.default_rng(0).standard_normal((1, 2, 4, 4)).astype(np.float32)
    by_place, by_name = (
        gradcheck(ns.max_pool2d, [x, 2, 1]),
        gradcheck(ns.max_pool2d, {"x": x, "kernel_size": 2, "stride": 1}),
    )
    assert by_place == by_name
    assert by_place
    assert gradcheck(ns.max_pool2d.reference, [x, 2, 1])


def test_an_argument_that_is_not_given_is_left_out() -> None:
    report = gradcheck(ns.conv2d, [np.ones((1, 1, 3, 3)), np.ones((1, 1, 2, 2))])
    assert report
    assert [c.argument for c in report.comparisons] == ["x", "w"]


def test_results_that_stay_infinite_do_not_change() -> None:
    function = (
        (lambda x: (np.array([np.inf, x.sum()]), x.shape)),
        (lambda shape, grad_y: np.full(shape, grad_y[1])),
    )
    assert gradcheck(function, [X])


def test_a_kink_within_a_step_fails() -> None:
    assert not gradcheck(ns.relu, [np.array([0.0, 1.0])])
    assert gradcheck(ns.relu, [np.array([0.1, 1.0])])


def test_single_precision_has_its_own_step_and_tolerance() -> None:
    report = gradcheck(RIGHT, [X], dtype=np.float32)
    assert report
    assert 4e-3 < report.eps < 6e-3
    assert 1e-3 < report.tolerance < 1e-2
    assert not gradcheck(pair(lambda x: 3.1 * x**2), [X], dtype=np.float32)


def test_empty_arrays_agree() -> None:
    assert gradcheck(ns.relu, [np.zeros((0, 3))])


@pytest.mark.parametrize(
    ("function", "inputs", "says"),
    [
        (np.sin, [X], "must be an operator or a pair"),
        (RIGHT, X, "inputs must be a list, tuple or mapping of arguments, got ndarray"),
        (((lambda x: (x, None)), lambda saved, g: (g, g)), [X], "returned 2 gradients, expected 1"),
        (((lambda x: (x, None)), lambda saved, g: g[:2]), [X], "has shape (2,), expected (3,)"),
    ],
)
def test_what_cannot_be_checked_is_said(function: Any, inputs: Any, says: str) -> None:
    with pytest.raises(ns.ArgumentError) as caught:
        gradcheck(function, inputs)
    assert says in str(caught.value)


def test_eps_and_directions_are_checked() -> None:
    with pytest.raises(ns.ArgumentError, match="eps must lie in"):
        gradcheck(RIGHT, [X], eps=0.0)
    with pytest.raises(ns.ArgumentError, match="directions must be at least 1"):
        gradcheck(RIGHT, [X], directions=0)


# -- the dot test ---------------------------------------------------------------------------------

MATRIX = np.array([[1.0, 2.0, 0.0], [0.0, -1.0, 3.0]])


def linear(back: Any) -> Any:
    return (lambda x: (MATRIX @ x + 5, None)), (lambda saved, grad_y: back @ grad_y)


def test_the_transpose_passes_exactly_and_another_matrix_fails() -> None:
    assert adjointcheck(linear(MATRIX.T), [np.array([1.0, 2.0, 3.0])], tolerance=0)
    wrong = MATRIX.T.copy()
    wrong[0, 0] += 1e-9
    report = adjointcheck(linear(wrong), [np.array([1.0, 2.0, 3.0])])
    assert not report
    assert "is NOT the transpose" in str(report)
    assert "<A x, g> = " in repr(report)


def test_only_the_named_arguments_are_compared() -> None:
    x, w = np.arange(9.0).reshape(1, 1, 3, 3), np.ones((1, 1, 2, 2))
    assert [p.argument for p in adjointcheck(ns.conv2d, [x, w]).products] == ["x", "w"]
    assert [p.argument for p in adjointcheck(ns.conv2d, [x, w], arguments=["w"]).products] == ["w"]
    with pytest.raises(ns.ArgumentError, match="arguments must be one of"):
        adjointcheck(ns.conv2d, [x, w], arguments=["y"])
