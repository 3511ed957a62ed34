"""Pointwise operators against PyTorch and ONNX: values and gradients, on all kinds of numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numseg as ns

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx_run import run  # noqa: E402 - beside this file

F = torch.nn.functional
pytestmark = [
    pytest.mark.peers,
    pytest.mark.filterwarnings("ignore:(invalid value|divide by zero|overflow) encountered"),
]
inf, nan = np.inf, np.nan


def _hardtanh(x, min, max, boundary):
    return F.hardtanh(x, min, max)


CALLS: list[tuple[Any, Any, dict[str, Any]]] = [
    (ns.exp, torch.exp, {}),
    (ns.log, torch.log, {}),
    (ns.tanh, torch.tanh, {}),
    (ns.elu, F.elu, {}),
    (ns.elu, F.elu, {"alpha": 0.3}),
    (ns.elu, F.elu, {"alpha": -2.0}),
    (ns.selu, F.selu, {}),
    (ns.celu, F.celu, {}),
    (ns.celu, F.celu, {"alpha": 0.7}),
    (ns.softplus, F.softplus, {}),
    (ns.softplus, F.softplus, {"beta": 0.7, "threshold": 1.5}),
    (ns.mish, F.mish, {}),
    (ns.gelu, F.gelu, {}),
    (ns.gelu, F.gelu, {"approximate": "tanh"}),
    (ns.sqrt, torch.sqrt, {}),
    (ns.abs, torch.abs, {}),
    (ns.softsign, F.softsign, {}),
    (ns.clip, torch.clamp, {"min": -1, "max": 3}),
    (ns.clip, torch.clamp, {"min": 1.0}),
    (ns.clip, torch.clamp, {"min": 3, "max": 1}),
    (ns.clip, _hardtanh, {"min": -1, "max": 3, "boundary": "outside"}),
]
each_call = pytest.mark.parametrize(
    ("op", "function", "params"), CALLS, ids=lambda v: getattr(v, "__name__", str(v))
)
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def _compare(op, function, params, x, gy, roundings):
    """Value and gradient, within so many roundings of what is at least 1."""
    y, saved = op.forward(x, **params)
    tensor = torch.tensor(x, requires_grad=True)
    expected = function(tensor, **params)
    expected.backward(torch.tensor(gy))
    theirs, their_gradient = expected.detach().numpy(), tensor.grad.numpy()
    (gradient,) = op.backward(saved, gy)
    # there a NaN does not stop the gradient; in hardtanh's vector code it does
    if function in (F.elu, F.selu, F.celu, _hardtanh):
        gradient, their_gradient = (np.where(np.isnan(x), 0, g) for g in (gradient, their_gradient))
    if op is ns.softsign:  # there it is NaN: infinity by infinity
        their_gradient = np.where(np.isinf(x), 0, their_gradient)
    if op is ns.gelu and x.dtype == np.float32:  # there inf gives NaN, by vectors of float32
        theirs = np.where(x == inf, inf, theirs)
    close = {"rtol": roundings * np.finfo(x.dtype).eps, "atol": roundings * np.finfo(x.dtype).eps}
    np.testing.assert_allclose(y, theirs, **close)
    if function is F.celu and params and x.dtype == np.float64:
        close = {"rtol": 1e-6, "atol": 1e-6}  # there 1 / alpha is a float32
    np.testing.assert_allclose(gradient, their_gradient, **close)


@each_dtype
@each_call
def test_random_numbers(op, function, params, dtype):
    rng = np.random.default_rng(0)
    x, gy = (rng.normal(0, 3, 5000).astype(dtype) for _ in range(2))
    x = np.abs(x) if op is ns.log else x
    # PyTorch's 1 + tanh(u) cancels far below zero, and x multiplies what is left
    _compare(op, function, params, x, gy, roundings=100 if "approximate" in params else 12)


@each_dtype
@each_call
def test_special_numbers(op, function, params, dtype):
    # 55 numbers: PyTorch's vector code and its scalar code for the rest both see each kind
    x = np.tile(np.array([0.0, -0.0, inf, -inf, nan, 1e-30, -1e-30, 85, -85, -1, 3], dtype), 5)
    _compare(op, function, params, x, np.ones_like(x), roundings=12)


def test_pytorchs_celu_has_the_slope_of_float32_in_float64():
    x = torch.full((3,), -2.0, dtype=torch.float64, requires_grad=True)
    F.celu(x, 0.7).sum().backward()
    slope = np.exp(-2 / 0.7)
    assert (np.abs(x.grad.numpy() / slope - 1) > 1e-9).all()
    _, saved = ns.celu.forward(np.full(3, -2.0), 0.7)
    np.testing.assert_allclose(ns.celu.backward(saved, np.ones(3))[0], slope, rtol=1e-15)


def test_pytorchs_gelu_has_no_digits_far_below_zero():
    """0 where exp(-x**2 / 2) is a normal number: 1 + erf(x / sqrt(2)) has cancelled."""
    x = np.full(16, -7.0, np.float32)
    assert (F.gelu(torch.tensor(x)).numpy() == 0).all()
    np.testing.assert_allclose(ns.gelu(x), -7 * 1.2798125438858350e-12, rtol=1e-6)


def test_pytorchs_gelu_of_infinity_is_nan_in_float32():
    assert torch.isnan(F.gelu(torch.full((16,), inf))).all()
    assert (ns.gelu(np.full(16, inf, np.float32)) == inf).all()


NODES: list[tuple[Any, str, int, dict[str, Any]]] = [
    (ns.exp, "Exp", 13, {}),
    (ns.log, "Log", 13, {}),
    (ns.tanh, "Tanh", 13, {}),
    (ns.elu, "Elu", 22, {"alpha": 0.3}),
    (ns.selu, "Selu", 22, {}),
    (ns.celu, "Celu", 12, {"alpha": 0.7}),
    (ns.mish, "Mish", 22, {}),
    (ns.gelu, "Gelu", 20, {}),
    (ns.gelu, "Gelu", 20, {"approximate": "tanh"}),
]


@pytest.mark.parametrize("by", ["ort", "reference"])
@pytest.mark.parametrize(("op", "node", "opset", "params"), NODES)
def test_onnx(op, node, opset, params, by):
    x = np.linspace(-6, 6, 101).astype(np.float32)
    x = np.abs(x) if op is ns.log else x
    theirs = run(node, [x], opset, by, **params)
    np.testing.assert_allclose(op(x, **params), theirs, rtol=1e-6, atol=2e-6)


@pytest.mark.parametrize("by", ["ort", "reference"])
def test_onnxs_softplus_has_no_threshold(by):
    x = np.linspace(-6, 30, 101).astype(np.float32)
    y = ns.softplus(x, threshold=1000.0)
    np.testing.assert_allclose(y, run("Softplus", [x], 22, by), rtol=1e-6, atol=1e-6)
