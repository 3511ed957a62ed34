"""Pixel shuffles against PyTorch and ONNX."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers
RNG = np.random.default_rng(0)
SHAPES = [((2, 12, 3, 5), 2), ((1, 9, 4, 1), 3), ((2, 3, 2, 2), 1), ((2, 4, 0, 3), 2)]
each_shape = pytest.mark.parametrize(("shape", "factor"), SHAPES, ids=str)


@each_shape
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_shuffle_and_gradient_are_pytorchs(shape, factor, dtype):
    x = RNG.normal(size=shape).astype(dtype)
    leaf = torch.tensor(x, requires_grad=True)
    theirs = torch.nn.functional.pixel_shuffle(leaf, factor)
    ours, saved = ns.pixel_shuffle2d.forward(x, factor)
    np.testing.assert_array_equal(ours, theirs.detach())
    grad = RNG.normal(size=ours.shape).astype(dtype)
    if theirs.numel() == 0:  # PyTorch's backward refuses a tensor without elements
        return
    theirs.backward(torch.tensor(grad))
    np.testing.assert_array_equal(ns.pixel_shuffle2d.backward(saved, grad)[0], leaf.grad)


@pytest.mark.parametrize("by", ["ort", "reference"])
@pytest.mark.parametrize("mode", ["CRD", "DCR", None])
def test_shuffle_is_onnxs(by, mode):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from onnx_run import run

    x = RNG.normal(size=(2, 12, 3, 5)).astype(np.float32)
    stated = {} if mode is None else {"mode": mode}
    theirs = run("DepthToSpace", [x], 13, by, blocksize=2, **stated)
    np.testing.assert_array_equal(ns.pixel_shuffle2d(x, 2, mode=mode or "DCR"), theirs)
