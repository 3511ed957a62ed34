"""Upsampling against torch.nn.functional.interpolate and ONNX Resize."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import numseg as ns
from numseg.geometry import COORDINATES
from numseg.ops.upsample_nearest2d.geometry import ROUNDINGS

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
X = RNG.normal(size=(1, 2, 5, 7))
SIZES = [(1, 1), (5, 7), (10, 14), (3, 4), (8, 20), (1, 9), (6, 2)]
FACTORS = [1.0, 2.0, 1.5, 1.1, 2.05, 0.5, 0.3, 3.0, 2.7]
Z = RNG.normal(size=(1, 2, 4, 8))  # ratios that float32 has, or sums and quotients that are whole
RATIOS = [(1, 1), (4, 8), (8, 16), (2, 4), (16, 2), (1, 8), (6, 12), (3, 6), (4, 4), (12, 1)]
DYADIC = [1.0, 2.0, 1.5, 0.5, 0.25, 3.0, 0.75, 1.125, 0.375]
ONNX = [name for name in COORDINATES if name != "tf_half_pixel_for_nn"]  # gone since opset 13


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("align", [True, False])
def test_bilinear_by_size_is_pytorchs(size, align):
    theirs = F.interpolate(torch.tensor(X), size, mode="bilinear", align_corners=align)
    ours = ns.upsample_bilinear2d(X, size, align_corners=align)
    np.testing.assert_allclose(ours, theirs, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("align", [True, False])
@pytest.mark.parametrize("recompute", [True, False])
def test_bilinear_by_factor_is_pytorchs(factor, align, recompute):
    params = {"scale_factor": factor, "align_corners": align, "recompute_scale_factor": recompute}
    theirs = F.interpolate(torch.tensor(X), mode="bilinear", **params)
    ours = ns.upsample_bilinear2d(X, **params)
    np.testing.assert_allclose(ours, theirs, rtol=1e-13, atol=1e-13)


def test_pytorch_goes_by_whole_pixels_where_the_size_stays():
    theirs = F.interpolate(torch.tensor(X), scale_factor=1.1, mode="bilinear")
    np.testing.assert_array_equal(theirs, X)
    assert (ns.upsample_bilinear2d(X, scale_factor=1.1) == X).all()
    assert (ns.upsample_bilinear2d(X, scale_factor=1.1, coordinates="half_pixel") != X).any()


def test_pytorchs_half_pixel_of_one_pixel_is_not_pytorch_half_pixel():
    row = np.arange(4.0).reshape(1, 1, 1, 4)
    assert F.interpolate(torch.tensor(row), (1, 1), mode="bilinear").item() == 1.5
    assert ns.upsample_bilinear2d(row, (1, 1)).item() == 1.5
    assert ns.upsample_bilinear2d(row, (1, 1), coordinates="pytorch_half_pixel").item() == 0


def test_recompute_refuses_a_size():
    with pytest.raises(ValueError, match="recompute_scale_factor is not meaningful"):
        F.interpolate(torch.tensor(X), (3, 3), mode="bilinear", recompute_scale_factor=True)


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact"])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_nearest_by_size_is_pytorchs(mode, size):
    theirs = F.interpolate(torch.tensor(X), size, mode=mode)
    np.testing.assert_array_equal(ns.upsample_nearest2d(X, size, coordinates=mode), theirs)


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact"])
@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("recompute", [True, False])
def test_nearest_by_factor_is_pytorchs(mode, factor, recompute):
    params = {"scale_factor": factor, "recompute_scale_factor": recompute}
    theirs = F.interpolate(torch.tensor(X), mode=mode, **params)
    ours = ns.upsample_nearest2d(X, **params, coordinates=mode)
    np.testing.assert_array_equal(ours, theirs)


def test_by_factor_and_twice_the_size_pytorch_goes_by_size():
    """``nearest`` alone: 5 pixels by 2.05 are 10, and 8 / 2.05 is below 4."""
    row = torch.arange(5.0).reshape(1, 1, 1, 5)
    assert F.interpolate(row, scale_factor=(1, 2.05))[0, 0, 0, 8] == 4
    x = row.numpy()
    assert ns.upsample_nearest2d(x, scale_factor=(1, 2.05))[0, 0, 0, 8] == 4
    y = ns.upsample_nearest2d(x, scale_factor=(1, 2.05), coordinates="asymmetric")
    assert y[0, 0, 0, 8] == 3


def resized(by, coordinates, mode, size=None, factor=None, **attributes):
    x = Z.astype(np.float32)
    scales = None if factor is None else np.array([1, 1, factor, factor], np.float32)
    sizes = None if size is None else np.array([1, 2, *size], np.int64)
    opset = 19 if coordinates == "half_pixel_symmetric" else 13
    return run("Resize", [x, None, scales, sizes], opset, by, mode=mode,
               coordinate_transformation_mode=coordinates, **attributes)  # fmt: skip


onnx_ways = pytest.mark.parametrize(
    ("by", "coordinates"), list(itertools.product(["ort", "reference"], ONNX))
)


@onnx_ways
@pytest.mark.parametrize("size", [*RATIOS, (7, 5), (3, 11)], ids=str)
def test_bilinear_by_size_is_onnxs(by, coordinates, size):
    theirs = resized(by, coordinates, "linear", size)
    ours = ns.upsample_bilinear2d(Z, size, coordinates=coordinates)
    np.testing.assert_allclose(ours, theirs, rtol=3e-5, atol=3e-5)


@onnx_ways
@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("size", RATIOS, ids=str)
def test_nearest_by_size_is_onnxs(by, coordinates, rounding, size):
    theirs = resized(by, coordinates, "nearest", size, nearest_mode=rounding)
    ours = ns.upsample_nearest2d(Z, size, coordinates=coordinates, rounding=rounding)
    np.testing.assert_array_equal(ours.astype(np.float32), theirs)


def differs_as_documented(by, coordinates, factor):
    """Where the size is rounded: both take corners to be those of the size before, and so does the
    reference decide whether one pixel is left; its half_pixel_symmetric rounds to a wrong pixel."""
    if 4 * factor % 1 == 8 * factor % 1 == 0:
        return False
    inexact = {"pytorch_half_pixel", "half_pixel_symmetric"} if by == "reference" else set()
    return coordinates in {"align_corners", *inexact}


@onnx_ways
@pytest.mark.parametrize("factor", DYADIC)
def test_bilinear_by_factor_is_onnxs(by, coordinates, factor):
    if differs_as_documented(by, coordinates, factor):
        return
    theirs = resized(by, coordinates, "linear", factor=factor)
    ours = ns.upsample_bilinear2d(Z, scale_factor=factor, coordinates=coordinates)
    np.testing.assert_allclose(ours, theirs, rtol=3e-5, atol=3e-5)


@onnx_ways
@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("factor", DYADIC)
def test_nearest_by_factor_is_onnxs(by, coordinates, rounding, factor):
    if differs_as_documented(by, coordinates, factor):
        return
    theirs = resized(by, coordinates, "nearest", factor=factor, nearest_mode=rounding)
    ours = ns.upsample_nearest2d(Z, scale_factor=factor, coordinates=coordinates, rounding=rounding)
    np.testing.assert_array_equal(ours.astype(np.float32), theirs)


def test_onnx_runtime_copies_an_image_whose_size_stays():
    theirs = resized("ort", "half_pixel", "linear", factor=1.05)
    np.testing.assert_array_equal(theirs, Z.astype(np.float32))
    ours = ns.upsample_bilinear2d(Z, scale_factor=1.05, coordinates="half_pixel")
    by_reference = resized("reference", "half_pixel", "linear", factor=1.05)
    np.testing.assert_allclose(ours, by_reference, rtol=3e-5, atol=3e-5)


@pytest.mark.parametrize("factor", [2.0, 1.5, 3.0, 0.5])
def test_tf_half_pixel_for_nn_is_that_of_opset_11(factor):
    x = X.astype(np.float32)
    theirs = run("Resize", [x, np.zeros(0, np.float32), np.array([1, 1, factor, factor], "f")], 11,
                 "ort", mode="nearest", nearest_mode="floor",
                 coordinate_transformation_mode="tf_half_pixel_for_nn")  # fmt: skip
    ours = ns.upsample_nearest2d(x, scale_factor=factor, coordinates="tf_half_pixel_for_nn")
    np.testing.assert_array_equal(ours, theirs)
    exact = F.interpolate(torch.tensor(x), scale_factor=factor, mode="nearest-exact")
    np.testing.assert_array_equal(ours, exact)


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact", "bilinear"])
def test_gradients_are_pytorchs(mode):
    leaf = torch.tensor(X, requires_grad=True)
    theirs = F.interpolate(leaf, (7, 5), mode=mode)
    grad = RNG.normal(size=(1, 2, 7, 5))
    theirs.backward(torch.tensor(grad))
    op = ns.upsample_bilinear2d if mode == "bilinear" else ns.upsample_nearest2d
    params = {} if mode == "bilinear" else {"coordinates": mode}
    _, saved = op.forward(X, (7, 5), **params)
    np.testing.assert_allclose(op.backward(saved, grad)[0], leaf.grad, rtol=1e-13, atol=1e-13)


def test_the_clamp_of_positions_does_not_show():
    """PyTorch clamps a position at 0, ONNX repeats the pixels at the border: the same blend."""
    theirs = resized("reference", "half_pixel", "linear", (9, 13))
    clamped = F.interpolate(torch.tensor(Z), (9, 13), mode="bilinear")
    np.testing.assert_allclose(theirs, clamped, rtol=1e-5, atol=1e-5)
    assert math.floor(0.5 * 5 / 9 - 0.5) == -1


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_interp2d_by_size_is_pytorchs_with_aligned_corners(size):
    theirs = F.interpolate(torch.tensor(X), size, mode="bilinear", align_corners=True)
    np.testing.assert_allclose(ns.interp2d(X, size), theirs, rtol=1e-13, atol=1e-13)
    cropped = F.interpolate(torch.tensor(X[:, :, 1:-2, 1:-2]), size, mode="bilinear",
                            align_corners=True)  # fmt: skip
    ours = ns.interp2d(X, size, pad_beg=-1, pad_end=-2)
    np.testing.assert_allclose(ours, cropped, rtol=1e-13, atol=1e-13)
