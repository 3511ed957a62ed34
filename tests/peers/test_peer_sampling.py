"""Bicubic and antialiased resizing, grid_sample and affine_grid against PyTorch and ONNX."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import numseg as ns
from numseg.geometry import COORDINATES
from numseg.ops.grid_sample.geometry import MODES, PADDINGS

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx_run import run  # noqa: E402 - beside this file

F = torch.nn.functional
pytestmark = [
    pytest.mark.peers,
    pytest.mark.filterwarnings("ignore:The default behavior for interpolate"),
]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(1, 2, 9, 7))
Z = RNG.normal(size=(1, 2, 8, 16))
SIZES = [(1, 1), (9, 7), (18, 14), (3, 4), (8, 20), (6, 2)]
OPS = {"bilinear": ns.upsample_bilinear2d, "bicubic": ns.upsample_bicubic2d}
WORDS = {"bilinear": "linear", "nearest": "nearest", "bicubic": "cubic"}
NAMES = [name for name in COORDINATES if name != "tf_half_pixel_for_nn"]


def near(ours, theirs, tolerance=1e-12):
    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("align", [True, False])
def test_bicubic_by_size_is_pytorchs(size, align):
    leaf = torch.tensor(X, requires_grad=True)
    theirs = F.interpolate(leaf, size, mode="bicubic", align_corners=align)
    ours, saved = ns.upsample_bicubic2d.forward(X, size, align_corners=align)
    near(ours, theirs.detach())
    grad = RNG.normal(size=ours.shape)
    theirs.backward(torch.tensor(grad))
    near(ns.upsample_bicubic2d.backward(saved, grad)[0], leaf.grad)


@pytest.mark.parametrize("mode", OPS)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_antialias_by_size_is_pytorchs(mode, size):
    leaf = torch.tensor(X, requires_grad=True)
    theirs = F.interpolate(leaf, size, mode=mode, antialias=True)
    ours, saved = OPS[mode].forward(X, size, antialias=True)
    near(ours, theirs.detach())
    grad = RNG.normal(size=ours.shape)
    theirs.backward(torch.tensor(grad))
    near(OPS[mode].backward(saved, grad)[0], leaf.grad)


@pytest.mark.parametrize("mode", OPS)
@pytest.mark.parametrize("factor", [1.5, 2.0, 0.5, 0.3, 0.7])
@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("recompute", [True, False])
def test_by_factor_is_pytorchs(mode, factor, antialias, recompute):
    params = {"scale_factor": factor, "antialias": antialias, "recompute_scale_factor": recompute}
    theirs = F.interpolate(torch.tensor(X), mode=mode, **params)
    near(OPS[mode](X, **params), theirs)


def test_pytorch_antialiases_aligned_corners_at_other_places():
    """It takes the step of aligned corners, but puts pixels as if they were not."""
    row = np.arange(9.0).reshape(1, 1, 1, 9)
    theirs = F.interpolate(
        torch.tensor(row), (1, 3), mode="bilinear", antialias=True, align_corners=True
    )
    assert theirs[0, 0, 0, 2] < 8 - 0.2
    s = 4 * (np.arange(3) + 0.5) - 0.5
    weights = np.maximum(1 - np.abs(np.arange(9) - s[:, None]) / 4, 0)
    near(theirs[0, 0, 0], weights @ row[0, 0, 0] / weights.sum(1))


def test_area_is_adaptive_average_pooling():
    theirs = F.interpolate(torch.tensor(X), (4, 3), mode="area")
    near(ns.adaptive_avg_pool2d(X, (4, 3)), theirs)


def resized(by, mode, coordinates, size=None, factor=None, **attributes):
    scales = None if factor is None else np.array([1, 1, factor, factor], np.float32)
    sizes = None if size is None else np.array([1, 2, *size], np.int64)
    return run("Resize", [Z.astype(np.float32), None, scales, sizes], 19, by, mode=mode,
               coordinate_transformation_mode=coordinates, **attributes)  # fmt: skip


@pytest.mark.parametrize(("by", "name"), list(itertools.product(["ort", "reference"], NAMES)))
@pytest.mark.parametrize("exclude", [0, 1])
@pytest.mark.parametrize("size", [(16, 32), (4, 8), (12, 24), (1, 1)], ids=str)
def test_cubic_is_onnxs(by, name, exclude, size):
    if (by, name, size) == ("reference", "pytorch_half_pixel", (1, 1)):
        return  # it puts the one pixel at -1/2, where the standard says 0
    theirs = resized(by, "cubic", name, size, exclude_outside=exclude, cubic_coeff_a=-0.5)
    ours = ns.upsample_bicubic2d(
        Z, size, coordinates=name, exclude_outside=bool(exclude), cubic_coeff_a=-0.5
    )
    near(ours, theirs, 3e-5)


@pytest.mark.parametrize("by", ["ort", "reference"])
@pytest.mark.parametrize("mode", OPS)
@pytest.mark.parametrize("exclude", [0, 1])
@pytest.mark.parametrize("size", [(4, 8), (2, 4), (6, 12), (3, 6)], ids=str)
def test_antialias_is_onnxs(by, mode, exclude, size):
    how = {"antialias": 1, "exclude_outside": exclude}
    theirs = resized(
        by, {"bilinear": "linear", "bicubic": "cubic"}[mode], "half_pixel", size, **how
    )
    params = {"cubic_coeff_a": -0.75} if mode == "bicubic" else {}
    ours = OPS[mode](
        Z, size, antialias=True, coordinates="half_pixel", exclude_outside=bool(exclude), **params
    )
    near(ours, theirs, 3e-5)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("align", [True, False])
def test_grid_sample_is_pytorchs(mode, padding, align):
    grid = RNG.uniform(-3, 3, size=(1, 5, 11, 2))
    leaves = [torch.tensor(a, requires_grad=True) for a in (X, grid)]
    how = {"mode": mode, "padding_mode": padding, "align_corners": align}
    theirs = F.grid_sample(*leaves, **how)
    ours, saved = ns.grid_sample.forward(X, grid, **how)
    near(ours, theirs.detach())
    grad = RNG.normal(size=ours.shape)
    theirs.backward(torch.tensor(grad))
    for mine, leaf in zip(ns.grid_sample.backward(saved, grad), leaves, strict=True):
        near(mine, leaf.grad, 1e-11)


@pytest.mark.parametrize("by", ["ort", "reference"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("align", [0, 1])
def test_grid_sample_is_onnxs(by, mode, padding, align):
    if (by, mode, padding) == ("reference", "bicubic", "border"):
        return  # it holds the place at the border, where ONNX Runtime and PyTorch hold each pixel
    x = X.astype(np.float32)
    grid = RNG.uniform(-1.4, 1.4, size=(1, 5, 11, 2)).astype(np.float32)
    opset, word = (16, mode) if by == "ort" else (20, WORDS[mode])
    theirs = run("GridSample", [x, grid], opset, by, mode=word, padding_mode=padding,
                 align_corners=align)  # fmt: skip
    near(ns.grid_sample(x, grid, mode, padding, bool(align)), theirs, 1e-4)


@pytest.mark.filterwarnings("ignore:Since version 1.3.0")
@pytest.mark.parametrize("align", [True, False])
@pytest.mark.parametrize("size", [(2, 1, 3, 4), (2, 3, 1, 5), (2, 1, 1, 1)], ids=str)
def test_affine_grid_is_pytorchs(align, size):
    theta = RNG.normal(size=(2, 2, 3))
    leaf = torch.tensor(theta, requires_grad=True)
    theirs = F.affine_grid(leaf, size, align_corners=align)
    ours, saved = ns.affine_grid.forward(theta, size, align)
    near(ours, theirs.detach())
    grad = RNG.normal(size=ours.shape)
    theirs.backward(torch.tensor(grad))
    near(ns.affine_grid.backward(saved, grad)[0], leaf.grad)


SHAPES = [((3,), (3,)), ((2, 3), (3, 4)), ((5, 1, 2, 3), (4, 3, 2)), ((3,), (2, 3, 4))]


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_matmul_is_pytorchs_and_numpys(shapes):
    arrays = [RNG.normal(size=shape) for shape in shapes]
    leaves = [torch.tensor(a, requires_grad=True) for a in arrays]
    theirs = torch.matmul(*leaves)
    ours, saved = ns.matmul.forward(*arrays)
    near(ours, theirs.detach())
    near(ours, np.matmul(*arrays))
    grad = RNG.normal(size=ours.shape)
    theirs.backward(torch.tensor(grad))
    for mine, leaf in zip(ns.matmul.backward(saved, grad), leaves, strict=True):
        near(mine, leaf.grad)


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_index_select_is_pytorchs_and_numpys(dim):
    index = np.array([1, 0, 1, 1])
    leaf = torch.tensor(X[0], requires_grad=True)
    theirs = torch.index_select(leaf, dim, torch.tensor(index))
    ours, saved = ns.index_select.forward(X[0], index, dim)
    np.testing.assert_array_equal(ours, theirs.detach())
    np.testing.assert_array_equal(ours, np.take(X[0], index, dim))
    grad = RNG.normal(size=ours.shape)
    theirs.backward(torch.tensor(grad))
    near(ns.index_select.backward(saved, grad)[0], leaf.grad)


def test_pow_is_pytorchs():
    x = np.array([2.0, -2, -2, 9, 0, 0, 0, np.nan, 1, -8])[:, None]
    other = np.array([3.0, 0, 2, -1, 0.5, np.nan])
    leaves = [torch.tensor(a, requires_grad=True) for a in (x, other)]
    theirs = torch.pow(*leaves)
    ours, saved = ns.pow.forward(x, other)
    near(ours, theirs.detach())
    theirs.backward(torch.ones(theirs.shape, dtype=torch.float64))
    for mine, leaf in zip(ns.pow.backward(saved, np.ones(ours.shape)), leaves, strict=True):
        near(mine, leaf.grad)
