"""local_response_norm against PyTorch and ONNX."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers
RNG = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(2, 7, 3, 5), (1, 6, 4), (2, 5, 2, 3, 2)])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 12])
@pytest.mark.parametrize("constants", [{}, {"alpha": 2.0, "beta": 0.6, "k": 0.5}])
def test_value_and_gradient_are_pytorchs(shape, size, constants):
    x, grad = RNG.normal(size=(2, *shape))
    leaf = torch.tensor(x, requires_grad=True)
    theirs = torch.nn.functional.local_response_norm(leaf, size, **constants)
    theirs.backward(torch.tensor(grad))
    ours, saved = ns.local_response_norm.forward(x, size, **constants)
    np.testing.assert_allclose(ours, theirs.detach(), rtol=1e-12)
    np.testing.assert_allclose(
        ns.local_response_norm.backward(saved, grad)[0], leaf.grad, rtol=1e-9, atol=1e-12
    )


def test_in_float32_it_is_nearer_to_the_truth():
    x = RNG.normal(scale=30, size=(1, 96, 8, 8)).astype(np.float32)
    exact = ns.local_response_norm.reference(x.astype(np.float64), 5)
    theirs = torch.nn.functional.local_response_norm(torch.tensor(x), 5).numpy()
    ours = ns.local_response_norm(x, 5)
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    assert abs(ours - exact).max() <= abs(theirs - exact).max()


@pytest.mark.parametrize("by", ["ort", "reference"])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 9])
def test_it_is_onnxs(by, size):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from onnx_run import run

    if by == "ort" and size % 2 == 0:
        pytest.skip("ONNX Runtime takes odd sizes only")
    # ONNX's reference (1.22 at least) sums for as many channels as there are images
    x = RNG.normal(size=(6, 6, 3, 4)).astype(np.float32)
    theirs = run("LRN", [x], 13, by, size=size, alpha=2.0, beta=0.5, bias=1.5)
    ours = ns.local_response_norm(x, size, 2.0, 0.5, 1.5, extra="after")
    np.testing.assert_allclose(ours, theirs, rtol=2e-6)
