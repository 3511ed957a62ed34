"""Functions that are broken on purpose: each published check must catch what it is for.

Each is a small operator, right as it stands, and ways to break it that have happened to somebody.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numseg as ns
from numseg.operator import Operator
from numseg.ops.conv2d import derivatives as conv2d_derivatives
from numseg.ops.max_pool2d import cpu as max_pool2d_cpu
from numseg.ops.roi_align import cpu as roi_align_cpu
from numseg.testing import adjointcheck, gradcheck, jacobian, jvpcheck, second_order_check

X = np.random.default_rng(0).standard_normal((4, 5))
SEEDS = range(5)


# -- a stencil: y[i, j] = x[i, j] + 2 x[i, j+1] ----------------------------------------------------


def stencil(x: Any) -> Any:
    return x[:, :-1] + 2 * x[:, 1:], x.shape


def transposed(shape: Any, g: Any) -> Any:
    gradient = np.zeros(shape)
    gradient[:, :-1] += g
    gradient[:, 1:] += 2 * g
    return gradient


def wrong_transpose(shape: Any, g: Any) -> Any:
    """The taps in the order of forward: a correlation where a convolution belongs."""
    gradient = np.zeros(shape)
    gradient[:, :-1] += 2 * g
    gradient[:, 1:] += g
    return gradient


def off_by_one_pixel(shape: Any, g: Any) -> Any:
    return np.roll(transposed(shape, g), 1, axis=1)


def border_forgotten(shape: Any, g: Any) -> Any:
    gradient = transposed(shape, g)
    gradient[:, -1] = 0
    return gradient


def one_pixel_of_a_thousandth(shape: Any, g: Any) -> Any:
    gradient = transposed(shape, g)
    gradient[2, 3] *= 1.001
    return gradient


WRONG = [wrong_transpose, off_by_one_pixel, border_forgotten, one_pixel_of_a_thousandth]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("jacobian_of", [0, 64])
def test_gradcheck_passes_what_is_right(seed: int, jacobian_of: int) -> None:
    assert gradcheck((stencil, transposed), [X], seed=seed, jacobian=jacobian_of)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("jacobian_of", [0, 64])
@pytest.mark.parametrize("wrong", WRONG)
def test_gradcheck_catches(wrong: Any, jacobian_of: int, seed: int) -> None:
    report = gradcheck((stencil, wrong), [X], seed=seed, jacobian=jacobian_of)
    assert report.status == "fail"


@pytest.mark.parametrize("wrong", WRONG)
def test_adjointcheck_catches(wrong: Any) -> None:
    assert adjointcheck((stencil, transposed), [X])
    assert adjointcheck((stencil, wrong), [X]).status == "fail"


@pytest.mark.parametrize("wrong", WRONG)
def test_the_jacobians_of_a_wrong_gradient_differ(wrong: Any) -> None:
    right = jacobian((stencil, wrong), [X], method="differences")
    assert np.abs(jacobian((stencil, transposed), [X]) - right).max() < 1e-9
    assert np.abs(jacobian((stencil, wrong), [X]) - right).max() > 1e-4


def test_a_wrong_transpose_hides_in_symmetric_inputs_from_no_check() -> None:
    """Constant inputs: <A x, g> is the same for both orders of the taps, but for the border."""
    ones = np.ones((4, 5))
    assert gradcheck((stencil, wrong_transpose), [ones]).status == "fail"
    assert adjointcheck((stencil, wrong_transpose), [ones]).status == "fail"


# -- ties -----------------------------------------------------------------------------------------


def row_maximum(x: Any) -> Any:
    return x.max(1), x


def first_of_ties(x: Any, g: Any) -> Any:
    gradient = np.zeros(x.shape)
    gradient[np.arange(len(x)), x.argmax(1)] = g
    return gradient


def all_of_ties(x: Any, g: Any) -> Any:
    return (x == x.max(1, keepdims=True)) * g[:, None]


def shares_of_ties(x: Any, g: Any) -> Any:
    ties = x == x.max(1, keepdims=True)
    return ties * g[:, None] / ties.sum(1, keepdims=True)


TIED = np.array([[1.0, 1.0, 0.0], [0.5, 2.0, 1.0], [3.0, 3.0, 3.0]])


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("jacobian_of", [0, 64])
def test_a_tie_handled_as_a_sum(jacobian_of: int, seed: int) -> None:
    options: Any = {"seed": seed, "jacobian": jacobian_of}
    assert gradcheck((row_maximum, first_of_ties), [TIED], **options).status == "kink"
    assert gradcheck((row_maximum, shares_of_ties), [TIED], **options).status == "kink"
    assert gradcheck((row_maximum, all_of_ties), [TIED], **options).status == "fail"
    assert gradcheck((row_maximum, all_of_ties), [X]).status == "pass"


def along_first(x: Any, along: Any) -> Any:
    return along["x"][np.arange(len(x)), x.argmax(1)]


def along_last(x: Any, along: Any) -> Any:
    last = x.shape[1] - 1 - x[:, ::-1].argmax(1)
    return along["x"][np.arange(len(x)), last]


@pytest.mark.parametrize("seed", SEEDS)
def test_forward_mode_that_chooses_the_other_side_of_a_tie(seed: int) -> None:
    right, wrong = ((row_maximum, first_of_ties, jvp) for jvp in (along_first, along_last))
    assert jvpcheck(right, [TIED], seed=seed).status == "kink"
    assert jvpcheck(wrong, [TIED], seed=seed).status == "fail"
    assert jvpcheck(wrong, [X], seed=seed).status == "pass"  # without ties they are the same


def test_forward_mode_of_another_function() -> None:
    square = (lambda x: (x**2, x)), (lambda x, g: 2 * x * g)
    assert jvpcheck((*square, lambda x, along: 2 * x * along["x"]), [X])
    assert not jvpcheck((*square, lambda x, along: 2.0001 * x * along["x"]), [X])
    consistent = (lambda x: (x**2, x)), (lambda x, g: 3 * x * g), lambda x, a: 3 * x * a["x"]
    assert not jvpcheck(consistent, [X])  # with each other, but not with the differences


# -- jumps ----------------------------------------------------------------------------------------


def nearest_bin(scale: Any) -> Any:
    """The pixel that a coordinate rounds to, and a slope that grows with it."""

    def forward(t: Any) -> Any:
        return np.floor(t) * 10 + t**2, t

    return forward, lambda t, g: scale(t) * g


def test_a_jump_at_a_bin_edge() -> None:
    t = np.array([2.0, 0.3])
    report = gradcheck(nearest_bin(lambda t: 2 * t), [t])
    assert report.status == "kink"
    assert [(kink.kind, kink.where) for kink in report.kinks] == [("jump", "t[0] = 2.0")]
    assert gradcheck(nearest_bin(lambda t: 2 * t), [t + 0.1]).status == "pass"
    assert gradcheck(nearest_bin(lambda t: 2 * t + (t == 2.0)), [t]).status == "fail"


# -- second order ---------------------------------------------------------------------------------


def product(a: Any, b: Any) -> Any:
    return a**2 * b, (a, b)


def gradients(saved: Any, g: Any) -> Any:
    a, b = saved
    return 2 * a * b * g, a**2 * g


def seconds(cross: float, own: float = 1.0, by_grad: float = 1.0) -> Callable[..., Any]:
    def double_backward(saved: Any, g: Any, along: Any) -> Any:
        (a, b), da, db = saved, along["a"], along["b"]
        by_a = own * 2 * b * g * da + cross * 2 * a * g * db
        return by_a, 2 * a * g * da, by_grad * (2 * a * b * da + a**2 * db)

    return double_backward


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("terms", [(0.0,), (1.0, 0.0), (1.0, 1.0, 0.0), (1.001,)])
def test_a_forgotten_term_of_the_second_derivative(terms: Any, seed: int) -> None:
    inputs = [X[0], X[1]]
    right = product, gradients, seconds(1.0)
    assert second_order_check(right, inputs, seed=seed)
    wrong = product, gradients, seconds(*terms)
    assert second_order_check(wrong, inputs, seed=seed).status == "fail"


def test_a_backward_that_is_the_gradient_of_nothing() -> None:
    assert second_order_check((product, gradients), [X[0], X[1]])
    twisted = lambda saved, g: (2 * saved[0] * saved[1] * g, 2 * saved[0] ** 2 * g)  # noqa: E731
    assert second_order_check((product, twisted), [X[0], X[1]]).status == "fail"


# -- the operators of numseg ----------------------------------------------------------------------


def conv2d_inputs() -> list[Any]:
    rng = np.random.default_rng(1)
    return [rng.standard_normal((1, 2, 4, 4)), rng.standard_normal((2, 2, 3, 3)), np.ones(2), 1, 1]


def no_cross_term(patch: pytest.MonkeyPatch) -> None:
    original = conv2d_derivatives.double_backward
    patch.setattr(
        conv2d_derivatives,
        "double_backward",
        lambda *args: {k: v for k, v in original(*args).items() if k != "weight"},
    )


def test_conv2d_without_its_cross_term(monkeypatch: pytest.MonkeyPatch) -> None:
    assert second_order_check(ns.conv2d, conv2d_inputs())
    no_cross_term(monkeypatch)
    assert second_order_check(ns.conv2d, conv2d_inputs()).status == "fail"


def test_conv2d_that_moves_along_half_of_its_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    original = conv2d_derivatives.jvp
    assert jvpcheck(ns.conv2d, conv2d_inputs())
    monkeypatch.setattr(
        conv2d_derivatives, "jvp", lambda saved, along: original(saved, along | {"bias": None})
    )
    assert jvpcheck(ns.conv2d, conv2d_inputs()).status == "fail"


@pytest.mark.parametrize(
    ("op", "module", "inputs"),
    [
        (ns.max_pool2d, max_pool2d_cpu, [np.random.default_rng(2).random((1, 1, 6, 6)), 2]),
        (
            ns.roi_align,
            roi_align_cpu,
            [np.random.default_rng(2).random((1, 1, 6, 6)), np.array([[0, 0.3, 0.4, 4.2, 4.3]]), 2],
        ),
    ],
)
def test_a_gradient_shifted_by_a_pixel(
    op: Operator[..., Any], module: Any, inputs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = module.backward
    place = len(op.saves) + 1  # of the gradient of x

    def shifted(*args: Any) -> None:
        original(*args)
        if args[place] is not None:
            args[place][...] = np.roll(args[place], 1, axis=-1)

    assert gradcheck(op, inputs)
    monkeypatch.setattr(module, "backward", shifted)
    assert gradcheck(op, inputs).status == "fail"
