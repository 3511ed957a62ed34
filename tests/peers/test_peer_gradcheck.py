"""The checks of numseg.testing on PyTorch's own functions, as a user would write them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from numseg.testing import adjointcheck, gradcheck, jacobian

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers


def autograd(function: Any) -> Any:
    """A pair of a function of tensors; the result requires a gradient, and the graph is used up."""

    def forward(x: Any) -> Any:
        leaf = torch.from_numpy(x).requires_grad_()
        y = function(leaf)
        return y, (leaf, y)

    def backward(saved: Any, grad_y: Any) -> Any:
        leaf, y = saved
        return torch.autograd.grad(y, leaf, torch.from_numpy(grad_y))

    return forward, backward


X = np.random.default_rng(0).standard_normal((1, 2, 5, 6))


def test_gradients_of_convolution_and_pooling() -> None:
    w = torch.ones(3, 2, 2, 2, dtype=torch.float64)
    convolution = autograd(lambda x: torch.nn.functional.conv2d(x, w, stride=2))
    assert gradcheck(convolution, [X])
    assert adjointcheck(convolution, [X])
    assert jacobian(convolution, [X]).shape == (1, 3, 2, 3, 1, 2, 5, 6)
    pooling = autograd(lambda x: torch.nn.functional.max_pool2d(x, 2))
    assert gradcheck(pooling, [X])
    assert gradcheck(pooling, [np.ones_like(X)]).status == "kink"


def test_a_function_of_single_precision() -> None:
    report = gradcheck(autograd(lambda x: torch.sigmoid(x)), [X], dtype=np.float32)
    assert report
    assert report.dtype == "float32"


def test_a_wrong_gradient_of_a_function_of_ones_own() -> None:
    class Wrong(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(context: Any, x: Any) -> Any:
            context.save_for_backward(x)
            return x.exp()

        @staticmethod
        def backward(context: Any, grad_y: Any) -> Any:
            (x,) = context.saved_tensors
            return grad_y * x.exp() * 1.001

    report = gradcheck(autograd(Wrong.apply), [X])
    assert report.status == "fail"
    assert "x[0, " in str(report)
