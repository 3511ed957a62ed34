"""roi_align against torchvision and the ONNX reference."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

pytestmark = pytest.mark.peers

ULPS = 8
"""Largest difference, in units of eps times the sum of the terms' sizes: the order differs."""


def _boxes(rng, kind, k, images, size):
    """(k, 5) boxes in and around an image of ``size``."""
    h, w = size
    start = rng.uniform(-0.6, 1.2, (k, 2)) * (w, h)
    extent = rng.uniform(0, 1.5, (k, 2)) * (w, h)
    if kind == "on pixels":
        start, extent = np.round(2 * start) / 2, np.round(extent)
    if kind == "small":
        extent = rng.uniform(0, 0.9, (k, 2)) * rng.integers(0, 2, (k, 2))
    if kind == "inverted":
        extent = -extent
    return np.concatenate([rng.integers(0, images, (k, 1)), start, start + extent], 1)


def _same(ours, theirs, sizes):
    bound = ULPS * np.finfo(ours.dtype).eps * sizes
    assert np.all(np.abs(ours - theirs) <= bound)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", ["anywhere", "on pixels", "small", "inverted"])
@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("ratio", [-1, 0, 1, 2, 3])
def test_torchvision(ratio, aligned, kind, dtype):
    torch, ops = pytest.importorskip("torch"), pytest.importorskip("torchvision.ops")
    if kind == "inverted" and aligned and ratio <= 0:
        return  # torchvision asks for a negative number of samples and raises; numseg gives 0
    rng = np.random.default_rng([ratio + 1, aligned, len(kind)])
    for size, output, scale in [((9, 12), (3, 2), 1.0), ((1, 5), (2, 2), 0.3), ((6, 1), 1, 0.5)]:
        x = rng.normal(size=(2, 3, *size)).astype(dtype)
        rois = _boxes(rng, kind, 12, 2, np.divide(size, scale)).astype(dtype)
        theirs_x = torch.tensor(x, requires_grad=True)
        theirs = ops.roi_align(theirs_x, torch.tensor(rois), output, scale, ratio, aligned)
        ours, saved = ns.roi_align.forward(x, rois, output, scale, ratio, aligned)
        sizes = ns.roi_align(np.abs(x), rois, output, scale, ratio, aligned)
        _same(ours, theirs.detach().numpy(), sizes)
        gy = rng.normal(size=ours.shape).astype(dtype)
        theirs.backward(torch.tensor(gy))
        sizes = ns.roi_align.backward(saved, np.abs(gy))[0]
        _same(ns.roi_align.backward(saved, gy)[0], theirs_x.grad.numpy(), sizes)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_torchvision_to_the_bit_where_nothing_is_rounded(dtype):
    torch, ops = pytest.importorskip("torch"), pytest.importorskip("torchvision.ops")
    rng = np.random.default_rng(0)
    x = rng.integers(-4, 5, (2, 20, 9, 9)).astype(dtype)
    start, extent = rng.integers(-8, 36, (40, 2)) / 4, rng.choice([2.0, 4, 8, -4], (40, 2))
    rois = np.concatenate([rng.integers(0, 2, (40, 1)), start, start + extent], 1).astype(dtype)
    gy = rng.integers(-4, 5, (40, 20, 4, 4)).astype(dtype)
    for aligned in (False, True):
        theirs_x = torch.tensor(x, requires_grad=True)
        theirs = ops.roi_align(theirs_x, torch.tensor(rois), 4, 1.0, 2, aligned)
        theirs.backward(torch.tensor(gy))
        ours, saved = ns.roi_align.forward(x, rois, 4, 1.0, 2, aligned)
        np.testing.assert_array_equal(ours, theirs.detach().numpy())
        np.testing.assert_array_equal(ns.roi_align.backward(saved, gy)[0], theirs_x.grad.numpy())


@pytest.mark.parametrize("kind", ["anywhere", "on pixels", "small", "inverted"])
@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("ratio", [1, 2, 3])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of PyTorch's own imports
def test_torchvision_deterministic(ratio, aligned, kind):
    # what ops.roi_align runs on CUDA under torch.use_deterministic_algorithms(True)
    torch = pytest.importorskip("torch")
    module = pytest.importorskip("torchvision.ops.roi_align")
    rng = np.random.default_rng([ratio, aligned, len(kind)])
    x = rng.normal(size=(2, 3, 9, 12))
    rois = _boxes(rng, kind, 12, 2, (9, 12))
    theirs = module._roi_align(torch.tensor(x), torch.tensor(rois), 1.0, 3, 2, ratio, aligned)
    how = {"sampling_ratio": ratio, "aligned": aligned, "outside": "clamp"}
    ours = ns.roi_align(x, rois, (3, 2), **how)
    # far outside, it gives the pixel at the border weights 1 - d and d of large d: roundings grow
    _same(ours, theirs.numpy(), 50 * ns.roi_align(np.abs(x), rois, (3, 2), **how))


@pytest.mark.parametrize("mode", ["avg", "max"])
@pytest.mark.parametrize("convention", ["half_pixel", "output_half_pixel"])
@pytest.mark.parametrize("ratio", [0, 1, 2])
def test_onnx_reference(ratio, convention, mode):
    onnx = pytest.importorskip("onnx")
    reference = pytest.importorskip("onnx.reference")
    helper, floats = onnx.helper, onnx.TensorProto.FLOAT
    node = helper.make_node(
        *("RoiAlign", ["x", "rois", "index"], ["y"]),
        coordinate_transformation_mode=convention,
        mode=mode,
        output_height=2,
        output_width=3,
        sampling_ratio=ratio,
        spatial_scale=0.5,
    )
    infos = [
        helper.make_tensor_value_info("x", floats, None),
        helper.make_tensor_value_info("rois", floats, None),
        helper.make_tensor_value_info("index", onnx.TensorProto.INT64, None),
    ]
    y = helper.make_tensor_value_info("y", floats, None)
    model = helper.make_model(
        helper.make_graph([node], "g", infos, [y]),
        opset_imports=[helper.make_opsetid("", 16)],
    )
    rng = np.random.default_rng([ratio, len(convention)])
    x = rng.normal(size=(2, 2, 6, 7)).astype(np.float32)
    rois = _boxes(rng, "anywhere", 6, 2, (12, 14)).astype(np.float32)
    (theirs,) = reference.ReferenceEvaluator(model).run(
        None, {"x": x, "rois": rois[:, 1:], "index": rois[:, 0].astype(np.int64)}
    )
    params = {
        "output_size": (2, 3),
        "spatial_scale": 0.5,
        "sampling_ratio": ratio,
        "aligned": convention == "half_pixel",
        "mode": {"avg": "avg", "max": "max_corners"}[mode],
    }
    sizes = ns.roi_align(np.abs(x), rois, **params)
    _same(ns.roi_align(x, rois, **params), theirs.astype(np.float32), sizes)
