"""lp_pool2d against PyTorch and ONNX."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns
from numseg.conventions import to_call

torch = pytest.importorskip("torch")
pytestmark = [
    pytest.mark.peers,
    pytest.mark.filterwarnings("ignore:invalid value encountered"),
]
RNG = np.random.default_rng(0)


@pytest.mark.parametrize("p", [1, 2, 4, 3, 1.5])
@pytest.mark.parametrize(("kernel", "stride"), [(2, None), (3, 2), ((2, 3), (1, 2))])
@pytest.mark.parametrize("ceil_mode", [True, False])
def test_value_and_gradient_are_pytorchs(p, kernel, stride, ceil_mode):
    x = RNG.normal(size=(2, 3, 7, 8))
    x = np.abs(x) if p in (3, 1.5) else x
    leaf = torch.tensor(x, requires_grad=True)
    theirs = torch.nn.functional.lp_pool2d(leaf, p, kernel, stride, ceil_mode)
    y, saved = ns.lp_pool2d.forward(x, p, kernel, stride, ceil_mode)
    np.testing.assert_allclose(y, theirs.detach(), rtol=1e-12)
    grad = RNG.normal(size=y.shape)
    theirs.backward(torch.tensor(grad))
    np.testing.assert_allclose(
        ns.lp_pool2d.backward(saved, grad)[0], leaf.grad, rtol=1e-10, atol=1e-12
    )


def test_odd_powers_have_signs_in_pytorch_too():
    x = np.array([[[[3.0, -2, 2, -3, 0, 0]]]])
    leaf = torch.tensor(x, requires_grad=True)
    theirs = torch.nn.functional.lp_pool2d(leaf, 3, (1, 2))
    y, saved = ns.lp_pool2d.forward(x, 3, (1, 2))
    np.testing.assert_allclose(y, theirs.detach())
    theirs.sum().backward()
    ours = ns.lp_pool2d.backward(saved, np.ones_like(y))[0]
    np.testing.assert_allclose(ours[..., [0, 1, 4, 5]], leaf.grad[..., [0, 1, 4, 5]])


def test_a_sum_that_is_0_has_a_gradient_here():
    x = np.array([[[[1.0, -1.0]]]])
    leaf = torch.tensor(x, requires_grad=True)
    torch.nn.functional.lp_pool2d(leaf, 1, (1, 2)).sum().backward()
    assert leaf.grad.tolist() == [[[[0, 0]]]]
    y, saved = ns.lp_pool2d.forward(x, 1, (1, 2))
    assert ns.lp_pool2d.backward(saved, np.ones_like(y))[0].tolist() == [[[[1, 1]]]]


def test_powers_that_float32_cannot_hold_are_infinite_in_pytorch():
    x = np.full((1, 1, 2, 2), 1e30, np.float32)
    assert torch.isinf(torch.nn.functional.lp_pool2d(torch.tensor(x), 2, 2)).all()
    assert ns.lp_pool2d(x, 2, 2) == np.float32(2e30)


@pytest.mark.parametrize("by", ["ort", "reference"])
@pytest.mark.parametrize("p", [1, 2, 3])
@pytest.mark.parametrize(
    "how",
    [
        {"kernel_shape": [2, 2], "strides": [2, 2]},
        {"kernel_shape": [3, 2], "pads": [1, 0, 1, 1], "strides": [1, 2]},
        {"kernel_shape": [3, 3], "auto_pad": "SAME_UPPER", "strides": [2, 2]},
    ],
)
def test_it_is_onnxs(by, p, how):
    run = _onnx_run()
    x = RNG.normal(size=(2, 3, 6, 7)).astype(np.float32)
    theirs = run("LpPool", [x], 18, by, p=p, **how)
    call = to_call(ns.lp_pool2d, "LpPool", [x], {"p": p, **how}, 18)
    np.testing.assert_allclose(ns.lp_pool2d(**call), theirs, rtol=1e-5)


@pytest.mark.parametrize("p", [1, 2, 3])
def test_over_the_whole_image_it_is_onnxs(p):
    run = _onnx_run()
    x = RNG.normal(size=(2, 3, 6, 7)).astype(np.float32)
    theirs = run("GlobalLpPool", [x], 18, "ort", p=p)
    call = to_call(ns.lp_pool2d, "GlobalLpPool", [x], {"p": p}, 18)
    np.testing.assert_allclose(ns.lp_pool2d(**call), theirs, rtol=1e-5)


def _onnx_run():
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from onnx_run import run

    return run
