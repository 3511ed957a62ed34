"""gradcheck and adjointcheck: what they accept, what they measure, and what they say."""

from __future__ import annotations

from pathlib import Path
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
    assert "inputs: x=float64[3]" in text
    assert repr(report) == text


def test_a_report_depends_on_the_seed() -> None:
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
    assert [c.argument for c in report.comparisons] == ["x", "weight"]


def test_results_that_stay_infinite_do_not_change() -> None:
    function = (
        (lambda x: (np.array([np.inf, x.sum()]), x.shape)),
        (lambda shape, grad_y: np.full(shape, grad_y[1])),
    )
    assert gradcheck(function, [X])


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


# -- functions as others write them ----------------------------------------------------------------


def test_a_function_of_single_precision_is_measured_as_such() -> None:
    def forward(x: Any) -> Any:
        return np.sin(x.astype(np.float32)), x

    report = gradcheck((forward, lambda x, grad_y: grad_y * np.cos(x)), [X])
    assert report
    assert report.dtype == "float32"
    assert report.eps > 1e-3


def test_a_function_that_takes_single_precision_only() -> None:
    def forward(x: Any) -> Any:
        if x.dtype != np.float32:
            raise TypeError(f"float32 wanted, not {x.dtype}")
        return x * x, x

    function = (forward, lambda x, grad_y: 2 * x * grad_y)
    assert gradcheck(function, [X], dtype=np.float32)
    with pytest.raises(TypeError, match="float32 wanted") as caught:
        gradcheck(function, [X])
    assert caught.value.__notes__ == [
        "in forward of forward, with x=float64[3]",
        "(a function that takes float32 only: dtype=np.float32)",
    ]


def test_every_result_counts_if_asked_for() -> None:
    def forward(x: Any) -> Any:
        return (x**2, np.arange(3), x[:2].sum()), x

    def backward(factor: float) -> Any:
        def gradient(x: Any, grads: Any) -> Any:
            squares, places, total = grads
            assert places is None
            return 2 * x * squares + factor * total * np.array([1.0, 1.0, 0.0])

        return gradient

    assert gradcheck((forward, backward(1.0)), [X], results="all")
    report = gradcheck((forward, backward(1.1)), [X], results="all")
    assert not report
    assert "d y2 / d x[" in str(report)
    assert gradcheck((lambda x: (x**2, x), lambda x, g: 2 * x * g[0]), [X], results="all")
    with pytest.raises(ns.ArgumentError, match="results must be one of"):
        gradcheck(RIGHT, [X], results="last")


def test_results_and_gradients_may_lie_anywhere_in_memory() -> None:
    def forward(x: Any) -> Any:
        return (x**2).T[::-1], x

    def backward(x: Any, grad_y: Any) -> Any:
        return np.asfortranarray((2 * x.T[::-1] * grad_y)[::-1].T)

    x = np.random.default_rng(0).standard_normal((3, 4))
    assert gradcheck((forward, backward), [np.asfortranarray(x)])
    assert gradcheck((lambda x: (np.broadcast_to(x, (2, 3)), x), lambda x, g: g.sum(0)), [X])


def test_results_and_arguments_without_axes() -> None:
    assert gradcheck((lambda x: (float(x) ** 2, x), lambda x, g: 2 * x * g), [np.array(3.0)])


def test_a_function_may_work_in_place_and_use_a_buffer_again() -> None:
    buffer = np.empty(3)

    def forward(x: Any) -> Any:
        x *= x
        buffer[:] = x
        return buffer, buffer

    assert gradcheck((forward, lambda square, g: 2 * np.array([-1, 1, 1]) * g * square**0.5), [X])


def test_backward_may_use_up_what_forward_saved() -> None:
    assert gradcheck((lambda x: (x**2, [x]), lambda saved, g: 2 * saved.pop() * g), [X])


def test_arrays_of_other_libraries() -> None:
    class Tensor:
        """What PyTorch's tensors that require a gradient are like."""

        def __init__(self, array: Any, requires_grad: bool = True) -> None:
            self.array, self.requires_grad = array, requires_grad
            self.dtype, self.shape = array.dtype, array.shape

        def detach(self) -> Any:
            return Tensor(self.array, False)

        def cpu(self) -> Any:
            return self

        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            if self.requires_grad:
                raise RuntimeError("call detach() first")
            return self.array

    class Packed:
        """Knows DLPack only."""

        def __init__(self, array: Any) -> None:
            self.array = array

        def __dlpack__(self, **options: Any) -> Any:
            return self.array.__dlpack__(**options)

        def __dlpack_device__(self) -> Any:
            return self.array.__dlpack_device__()

    for wrap in (Tensor, Packed):
        function = (
            lambda x, wrap=wrap: (wrap(x**2), x),
            lambda x, g, wrap=wrap: [wrap(2 * x * g)],
        )
        assert gradcheck(function, [X])
    assert gradcheck((lambda x: (x**2, x), lambda x, g: 2 * x * g), [Tensor(X)])


def test_a_function_of_chance_cannot_be_checked() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ns.ArgumentError, match="two runs on the same inputs give different"):
        gradcheck((lambda x: (x * rng.random(), x), lambda x, g: g), [X])


@pytest.mark.parametrize("result", [np.arange(3), "text", np.array([1j])])
def test_a_result_that_has_no_gradient_is_refused(result: Any) -> None:
    with pytest.raises(ns.ArgumentError):
        gradcheck((lambda x: (result, x), lambda x, g: g), [X])


# -- the program that repeats a check --------------------------------------------------------------


def wrong_cube(x: Any) -> Any:
    return x**3, x


def wrong_cube_backward(x: Any, grad_y: Any) -> Any:
    return 2 * x**2 * grad_y


@pytest.mark.parametrize("size", [3, 1000])
def test_the_report_prints_a_program_that_repeats_it(
    size: int, tmp_path: Any, monkeypatch: Any, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(Path(__file__).parent)
    x = np.linspace(-1.0, 1.0, size)
    x[1] = 0.0
    reports = [
        gradcheck((wrong_cube, wrong_cube_backward), [x], seed=3),
        gradcheck(ns.relu, {"x": x}, eps=1e-5),
        gradcheck(ns.concat.reference, [[x, x], 0], tolerance=1e-30),
        adjointcheck((wrong_cube, wrong_cube_backward), [x], dtype=np.float32),
    ]
    for report in reports:
        assert not report
        assert all(f"    {line}" in str(report) for line in report.code.splitlines())
        report.save("inputs.npz")
        exec(report.code, {})
        assert capsys.readouterr().out == f"{report}\n"


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
    assert [p.argument for p in adjointcheck(ns.conv2d, [x, w]).products] == ["x", "weight"]
    assert [p.argument for p in adjointcheck(ns.conv2d, [x, w], arguments=["weight"]).products] == [
        "weight"
    ]
    with pytest.raises(ns.ArgumentError, match="arguments must be one of"):
        adjointcheck(ns.conv2d, [x, w], arguments=["y"])


def test_the_number_that_is_wrong_is_named() -> None:
    wrong = MATRIX.T.copy()
    wrong[1, 0] += 1.0
    report = adjointcheck(linear(wrong), [np.array([1.0, 2.0, 3.0])], seed=2)
    assert not report
    assert "<- too large: for x[1] it is" in str(report)


def test_a_function_that_is_not_linear_is_told() -> None:
    """relu passes the dot test itself: its gradient is that of A at x."""
    report = adjointcheck(ns.relu, [np.array([1.0, -2.0])], arguments=["x"])
    assert not report
    assert "not linear in x" in str(report)
