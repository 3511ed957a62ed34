"""pad, crop and center_crop against PyTorch, torchvision and ONNX."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

torch = pytest.importorskip("torch")
transforms = pytest.importorskip("torchvision.transforms.functional")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx_run import run  # noqa: E402 - beside this file

pytestmark = pytest.mark.peers
X = np.random.default_rng(0).normal(size=(2, 3, 4, 5))
SIDES = [(1, 2, 3, 0), (3, 3, 4, 4), (0, 0, 0, 1)]


@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
@pytest.mark.parametrize("sides", SIDES, ids=str)
def test_pad_is_pytorchs(mode, sides):
    top, bottom, left, right = sides
    leaf = torch.tensor(X, requires_grad=True)
    theirs = torch.nn.functional.pad(leaf, (left, right, top, bottom), mode=mode)
    y, saved = ns.pad.forward(X, sides, mode=mode)
    np.testing.assert_array_equal(y, theirs.detach())
    grad = np.random.default_rng(1).normal(size=y.shape)
    theirs.backward(torch.tensor(grad))
    np.testing.assert_allclose(ns.pad.backward(saved, grad)[0], leaf.grad, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_padding_mode_of_a_convolution_is_pad_first(mode):
    layer = torch.nn.Conv2d(3, 2, (3, 2), padding=(2, 1), padding_mode=mode, dtype=torch.float64)
    w, b = (parameter.detach().numpy() for parameter in (layer.weight, layer.bias))
    ours = ns.conv2d(ns.pad(X, (2, 1), mode=mode), w, b)
    theirs = layer(torch.tensor(X)).detach()
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


def test_pytorch_mirrors_once():
    with pytest.raises(RuntimeError, match="Padding size should be less"):
        torch.nn.functional.pad(torch.tensor(X), (0, 0, 4, 0), mode="reflect")
    with pytest.raises(RuntimeError, match="wrapping around more than once"):
        torch.nn.functional.pad(torch.tensor(X), (0, 0, 5, 0), mode="circular")


@pytest.mark.parametrize("by", ["ort", "reference"])
@pytest.mark.parametrize(
    ("theirs", "ours"), [("reflect", "reflect"), ("edge", "replicate"), ("wrap", "circular")]
)
@pytest.mark.parametrize("sides", SIDES, ids=str)
def test_pad_is_onnxs(by, theirs, ours, sides):
    x, (top, bottom, left, right) = X.astype(np.float32), sides
    pads = np.array([0, 0, top, left, 0, 0, bottom, right], np.int64)
    np.testing.assert_array_equal(
        ns.pad(x, sides, mode=ours), run("Pad", [x, pads], 19, by, mode=theirs)
    )


@pytest.mark.parametrize("rows", range(0, 14))
@pytest.mark.parametrize("columns", [1, 6, 9])
def test_center_crop_is_torchvisions(rows, columns):
    x = np.arange(2 * 9 * 6.0).reshape(1, 2, 9, 6)
    theirs = transforms.center_crop(torch.tensor(x), [rows, columns])
    ours = ns.center_crop(x, (rows, columns), rounding="half_even", pad=True)
    np.testing.assert_array_equal(ours, theirs)


def test_crop_is_torchvisions():
    theirs = transforms.crop(torch.tensor(X), top=1, left=2, height=3, width=2)
    np.testing.assert_array_equal(ns.crop(X, (3, 2), offset=(1, 2)), theirs)
