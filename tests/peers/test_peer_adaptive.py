"""Adaptive, global and spatial pyramid pooling against PyTorch and ONNX."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import numseg as ns

pytestmark = pytest.mark.peers

EDGES = np.array([0.0, -0.0, 1, 1, 2, -1, np.nan, np.inf, -np.inf, -np.inf])
images = st.tuples(st.integers(1, 2), st.integers(1, 3), st.integers(1, 9), st.integers(1, 20))
sizes = st.integers(1, 6) | st.tuples(*[st.none() | st.integers(1, 6)] * 2)


@given(images, sizes, st.integers(0, 2**32 - 1))
def test_adaptive_max_pool2d_has_the_same_bits(shape, size, seed):
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(seed).choice(EDGES, shape)
    theirs_x = torch.tensor(x, requires_grad=True)
    pool = torch.nn.functional.adaptive_max_pool2d
    theirs, indices = pool(theirs_x, size, return_indices=True)
    ours, saved = ns.adaptive_max_pool2d.forward(x, size)
    np.testing.assert_array_equal(ours, theirs.detach().numpy())
    np.testing.assert_array_equal(np.signbit(ours), np.signbit(theirs.detach().numpy()))
    np.testing.assert_array_equal(saved.indices, indices.numpy())
    gy = np.random.default_rng(seed).integers(-9, 9, ours.shape).astype(float)
    theirs.backward(torch.tensor(gy))
    np.testing.assert_array_equal(
        ns.adaptive_max_pool2d.backward(saved, gy)[0], theirs_x.grad.numpy()
    )


@given(images, sizes, st.integers(0, 2**32 - 1))
def test_adaptive_avg_pool2d(shape, size, seed):
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(seed).integers(-9, 9, shape).astype(float)
    theirs_x = torch.tensor(x, requires_grad=True)
    theirs = torch.nn.functional.adaptive_avg_pool2d(theirs_x, size)
    ours, saved = ns.adaptive_avg_pool2d.forward(x, size)
    np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=1e-14, atol=1e-14)
    gy = np.random.default_rng(seed).integers(-9, 9, ours.shape).astype(float)
    theirs.backward(torch.tensor(gy))
    grad = ns.adaptive_avg_pool2d.backward(saved, gy)[0]
    np.testing.assert_allclose(grad, theirs_x.grad.numpy(), rtol=1e-13, atol=1e-13)


@given(images, st.integers(0, 2**32 - 1))
def test_global_pooling_in_onnx(shape, seed):
    onnx = pytest.importorskip("onnx")
    reference = pytest.importorskip("onnx.reference")
    runtime = pytest.importorskip("onnxruntime")
    x = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    for name, op in (
        ("GlobalMaxPool", ns.global_max_pool2d),
        ("GlobalAveragePool", ns.global_avg_pool2d),
    ):
        real = onnx.TensorProto.FLOAT
        graph = onnx.helper.make_graph(
            [onnx.helper.make_node(name, ["x"], ["y"])],
            "pool",
            [onnx.helper.make_tensor_value_info("x", real, shape)],
            [onnx.helper.make_tensor_value_info("y", real, None)],
        )
        model = onnx.helper.make_model(
            graph, opset_imports=[onnx.helper.make_opsetid("", 22)], ir_version=10
        )
        session = runtime.InferenceSession(
            model.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        for run in (reference.ReferenceEvaluator(model).run, session.run):
            (theirs,) = run(None, {"x": x})
            np.testing.assert_allclose(op(x), theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("mode", ["max", "avg"])
def test_spatial_pyramid_is_a_concatenation_of_adaptive_poolings(mode):
    torch = pytest.importorskip("torch")
    pool = getattr(torch.nn.functional, f"adaptive_{mode}_pool2d")
    x = np.random.default_rng(0).normal(size=(2, 5, 13, 9))
    theirs_x = torch.tensor(x, requires_grad=True)
    theirs = torch.cat([pool(theirs_x, n).flatten(1) for n in (1, 2, 4)], 1)
    ours, saved = ns.spatial_pyramid_pool2d.forward(x, (1, 2, 4), mode)
    np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=1e-13)
    gy = np.random.default_rng(1).normal(size=ours.shape)
    theirs.backward(torch.tensor(gy))
    grad = ns.spatial_pyramid_pool2d.backward(saved, gy)[0]
    np.testing.assert_allclose(grad, theirs_x.grad.numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("size", [(5, 6), (13, 9), (7, 10)])
@pytest.mark.parametrize("mode", ["max", "avg"])
def test_caffes_bins_are_a_pooling_with_padding(size, mode):
    """Of the windows that Caffe's SPPLayer asks its pooling for, by way of PyTorch's pooling where
    that takes the padding (at most half the window)."""
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).normal(size=(2, 3, *size))
    for n in (1, 2, 3, 4):
        kernel = [-(-i // n) for i in size]
        padding = [(k * n - i + 1) // 2 for k, i in zip(kernel, size, strict=True)]
        if any(2 * p > k for p, k in zip(padding, kernel, strict=True)):
            continue
        pool = getattr(torch.nn.functional, f"{mode}_pool2d")
        theirs = pool(torch.tensor(x), kernel, kernel, padding, ceil_mode=True)
        ours = ns.spatial_pyramid_pool2d(x, (n,), mode, "caffe")
        np.testing.assert_allclose(ours, theirs.flatten(1).numpy(), rtol=1e-12, atol=1e-15)
