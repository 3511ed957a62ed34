"""Pixel shuffles against PyTorch and ONNX."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers
RNG = np.random.default_rng(0)
CALLS = [
    (op, name, shape, factor)
    for op, name, shapes in [
        (
            ns.pixel_shuffle2d,
            "pixel_shuffle",
            [((2, 12, 3, 5), 2), ((1, 9, 4, 1), 3), ((2, 3, 2, 2), 1), ((2, 4, 0, 3), 2)],
        ),
        (
            ns.pixel_unshuffle2d,
            "pixel_unshuffle",
            [((2, 3, 6, 10), 2), ((1, 1, 9, 3), 3), ((2, 3, 2, 2), 1)],
        ),
    ]
    for shape, factor in shapes
]


@pytest.mark.parametrize(
    ("op", "name", "shape", "factor"), CALLS, ids=lambda v: None if callable(v) else str(v)
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_shuffle_and_gradient_are_pytorchs(op, name, shape, factor, dtype):
    x = RNG.normal(size=shape).astype(dtype)
    leaf = torch.tensor(x, requires_grad=True)
    theirs = getattr(torch.nn.functional, name)(leaf, factor)
    ours, saved = op.forward(x, factor)
    np.testing.assert_array_equal(ours, theirs.detach())
    grad = RNG.normal(size=ours.shape).astype(dtype)
    if theirs.numel() == 0:  # PyTorch's backward refuses a tensor without elements
        return
    theirs.backward(torch.tensor(grad))
    np.testing.assert_array_equal(op.backward(saved, grad)[0], leaf.grad)


def test_pytorch_gives_an_array_without_pixels_back_as_it_is():
    assert torch.nn.functional.pixel_unshuffle(torch.zeros(2, 1, 0, 4), 2).shape == (2, 1, 0, 4)
    assert ns.pixel_unshuffle2d(np.zeros((2, 1, 0, 4)), 2).shape == (2, 4, 0, 2)


@pytest.mark.parametrize("by", ["ort", "reference"])
@pytest.mark.parametrize("mode", ["CRD", "DCR", None])
def test_shuffle_is_onnxs(by, mode):
    run = _onnx_run()
    x = RNG.normal(size=(2, 12, 3, 5)).astype(np.float32)
    stated = {} if mode is None else {"mode": mode}
    theirs = run("DepthToSpace", [x], 13, by, blocksize=2, **stated)
    np.testing.assert_array_equal(ns.pixel_shuffle2d(x, 2, mode=mode or "DCR"), theirs)


@pytest.mark.parametrize("by", ["ort", "reference"])
def test_unshuffle_is_onnxs(by):
    run = _onnx_run()
    x = RNG.normal(size=(2, 3, 6, 10)).astype(np.float32)
    theirs = run("SpaceToDepth", [x], 13, by, blocksize=2)
    np.testing.assert_array_equal(ns.pixel_unshuffle2d(x, 2, mode="DCR"), theirs)


def _onnx_run():
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from onnx_run import run

    return run
