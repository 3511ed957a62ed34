"""Kinks and jumps near the inputs are found, placed, and not taken for errors; nor for passes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numseg as ns
from numseg.testing import gradcheck
from numseg.testing.lines import Line

EPS = 6.0554544523933395e-06


def elementwise(value: Any, slope: Any) -> Any:
    return (lambda x: (value(x), x)), (lambda x, grad_y: grad_y * slope(x))


def maximum(share: Any) -> Any:
    """The largest number; ``share`` divides the gradient among equals."""

    def forward(x: Any) -> Any:
        return x.max(keepdims=True), x

    def backward(x: Any, grad_y: Any) -> Any:
        return grad_y * share(x == x.max())

    return forward, backward


def first(ties: Any) -> Any:
    return np.arange(ties.size) == np.argmax(ties)


# -- smooth functions -----------------------------------------------------------------------------


@pytest.mark.parametrize("steepness", [1.0, 100.0, 1000.0])
def test_a_steep_smooth_function_has_no_kink(steepness: float) -> None:
    sine = elementwise(lambda x: np.sin(steepness * x), lambda x: steepness * np.cos(steepness * x))
    report = gradcheck(sine, [np.array([0.0, 0.3, -1.7])])
    assert report.status == "pass"
    assert report.kinks == ()


def test_noise_is_no_kink_and_no_pass() -> None:
    """A function that computes in half precision, but does not say so."""
    noisy = elementwise(
        lambda x: (x * 1.1).astype(np.float16).astype(np.float64), lambda x: 1.1 + 0 * x
    )
    assert gradcheck(noisy, [np.linspace(-1, 1, 50)]).status == "fail"


# -- kinks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("distance", [0.0, 0.1, 0.5, 2 / 3, 0.9, 1.0, 1.3, 1.9])
@pytest.mark.parametrize("side", [-1, 1])
def test_a_kink_is_found_wherever_it_lies_within_two_steps(distance: float, side: int) -> None:
    offset = side * distance
    line = Line(
        lambda t: np.array([abs(t - offset) * EPS + t * EPS]), np.array([distance * EPS]), EPS
    )
    (bend,) = line.bends(bound=1e-14)
    assert bend.kind == "kink"
    assert bend.at == pytest.approx(offset, abs=1e-6)
    assert (bend.before, bend.after) == pytest.approx((0, 2), abs=1e-9)


@pytest.mark.parametrize("offset", [-1.9, -1.0, -0.6, 0.0, 0.6, 1.0, 1.9])
def test_a_jump_is_told_from_a_kink(offset: float) -> None:
    step = lambda t: np.array([3.0 * (t > offset) + t * EPS])  # noqa: E731
    (bend,) = Line(step, step(0.0), EPS).bends(bound=1e-14)
    assert bend.kind == "jump"
    assert bend.at == pytest.approx(offset, abs=0.25)
    assert (bend.low, bend.high) == pytest.approx((1, 1), abs=1e-6)


def test_a_zero_of_relu_is_a_kink_at_that_pixel() -> None:
    x = np.random.default_rng(0).standard_normal((1, 3, 32, 32))
    x[0, 1, 5, 6] = 0.0
    report = gradcheck(ns.relu, [x])
    assert report.status == "kink"
    assert not report
    (kink,) = report.kinks
    assert kink.where == "x[0, 1, 5, 6] = 0.0"
    assert kink.result == "y[0, 1, 5, 6]"
    assert kink.distance == 0
    assert "kink within 2 eps of the inputs at x[0, 1, 5, 6] = 0.0" in str(report)


def test_the_distance_to_a_kink_is_stated() -> None:
    report = gradcheck(ns.relu, [np.array([-4e-6, 1.0])])
    assert report.status == "kink"
    assert report.kinks[0].distance == pytest.approx(4e-6, rel=1e-3)
    assert "4.0e-06 from the inputs" in str(report)
    assert gradcheck(ns.relu, [np.array([1e-4, 1.0])]).status == "pass"


def test_a_gradient_that_differences_confirm_at_a_kink_is_no_pass() -> None:
    """abs is even: central differences give the 0 that sign gives."""
    report = gradcheck(elementwise(np.abs, np.sign), [np.array([0.0, 1.0])])
    assert report.status == "kink"
    assert report.kinks[0].analytic == 0
    assert (report.kinks[0].before, report.kinks[0].after) == pytest.approx((-1, 1))


@pytest.mark.parametrize("share", [first, lambda ties: ties / ties.sum()])
@pytest.mark.parametrize("size", [3, 100])
def test_any_share_of_a_tie_is_a_kink(share: Any, size: int) -> None:
    x = np.linspace(-1, 1, size)
    x[:2] = 1.0
    report = gradcheck(maximum(share), [x])
    assert report.status == "kink"
    assert report.error < report.tolerance
    assert "y[0]" in report.kinks[0].result


@pytest.mark.parametrize("share", [lambda ties: ties * 1.0, lambda ties: ties * 0.0])
@pytest.mark.parametrize("size", [3, 100])
@pytest.mark.parametrize("seed", range(5))
def test_a_tie_that_counts_twice_or_not_at_all_fails(share: Any, size: int, seed: int) -> None:
    x = np.linspace(-1, 1, size)
    x[:2] = 1.0
    assert gradcheck(maximum(share), [x], seed=seed).status == "fail"


def test_a_slope_of_neither_side_fails_at_a_kink() -> None:
    wrong = elementwise(np.abs, lambda x: np.where(x == 0, 1.5, np.sign(x)))
    report = gradcheck(wrong, [np.array([0.0, 1.0])])
    assert report.status == "fail"
    assert "backward says 1.5  <- not between them" in str(report)


def test_an_error_elsewhere_is_not_excused_by_a_kink() -> None:
    wrong = elementwise(np.abs, lambda x: np.where(x == 2, 1.001, np.sign(x)))
    for jacobian in (0, 64):
        assert gradcheck(wrong, [np.array([0.0, 1.0, 2.0])], jacobian=jacobian).status == "fail"


def test_ties_of_max_pooling() -> None:
    report = gradcheck(ns.max_pool2d, [np.ones((1, 1, 4, 4)), 2])
    assert report.status == "kink"
    assert len(report.kinks) == 4


def test_kinks_that_cancel_along_a_line() -> None:
    """relu(a) - relu(b): any mixture of the two sides, a different one for each, is accepted."""

    def forward(x: Any) -> Any:
        return np.maximum(x[:1], 0) - np.maximum(x[1:], 0), x

    for a, b in ((0, 0), (1, 0), (0, 1), (1, 1), (0.5, 0.5)):
        backward = lambda x, g, a=a, b=b: np.array([a * g[0], -b * g[0]])  # noqa: E731
        assert gradcheck((forward, backward), [np.zeros(2)]).status == "kink"
    wrong = lambda x, g: np.array([1.5 * g[0], 0.0])  # noqa: E731
    assert gradcheck((forward, wrong), [np.zeros(2)]).status == "fail"


# -- jumps ----------------------------------------------------------------------------------------


def test_a_jump_at_a_bin_edge() -> None:
    """A sample at place -1 of roi_align: there the value falls to 0."""
    x = np.random.default_rng(0).uniform(1, 2, (1, 1, 4, 4))
    boxes = np.array([[0.0, 1.3, -2.0, 2.8, 0.0]])
    report = gradcheck(ns.roi_align, [x, boxes, 1, 1.0, 1])
    assert report.status == "kink"
    assert {(kink.kind, kink.argument) for kink in report.kinks} == {("jump", "boxes")}


def test_beside_a_jump_the_slope_must_still_be_right() -> None:
    def sawtooth(slope: float) -> Any:
        return elementwise(lambda x: x - np.floor(x), lambda x: slope + 0 * x)

    assert gradcheck(sawtooth(1.0), [np.array([2.0, 0.5])]).status == "kink"
    assert gradcheck(sawtooth(1.1), [np.array([2.0])]).status == "fail"


@np.errstate(all="ignore")
def test_a_value_that_becomes_infinite_is_reported() -> None:
    report = gradcheck(elementwise(lambda x: 1 / x, lambda x: -1 / x**2), [np.array([1e-7, 1.0])])
    assert report.status != "pass"


def test_single_precision_finds_kinks_with_its_own_step() -> None:
    report = gradcheck(ns.relu, [np.array([0.001, 0.5])], dtype=np.float32)
    assert report.status == "kink"
    assert gradcheck(ns.relu, [np.array([0.1, 0.5])], dtype=np.float32).status == "pass"


@pytest.mark.parametrize("slope", [1.0, -1.0, 0.3])
def test_a_slope_at_the_very_end_of_a_curved_side(slope: float) -> None:
    # beside the kink the slopes of |x| - x**2 are less than 1 and more than -1
    report = gradcheck((lambda x: (abs(x) - x**2, x), lambda x, g: g * slope), [np.zeros(1)])
    assert report.status == "kink"
    report = gradcheck((lambda x: (abs(x) - x**2, x), lambda x, g: g * 1.001), [np.zeros(1)])
    assert report.status == "fail"
