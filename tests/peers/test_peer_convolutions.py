"""conv2d and conv_transpose2d against PyTorch and ONNX: every rule for padding."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import numseg as ns
from numseg.ops.conv_transpose2d import overlap

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx_run import run  # noqa: E402 - beside this file

F = torch.nn.functional
pytestmark = pytest.mark.peers
RNG = np.random.default_rng(0)
SIZES = list(itertools.product((1, 2, 3), (1, 2, 3, 4, 5), (1, 2)))  # stride, kernel, dilation


def integers(*shape: int) -> np.ndarray:
    return RNG.integers(-4, 5, shape).astype(np.float32)


@pytest.mark.filterwarnings("ignore:Using padding=.same.")
@pytest.mark.parametrize("k", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("dilation", [1, 2, 3])
def test_same_of_stride_1_is_pytorchs(k, dilation):
    x, w = integers(2, 3, 7, 6), integers(2, 3, k, k)
    theirs = F.conv2d(torch.tensor(x), torch.tensor(w), padding="same", dilation=dilation)
    np.testing.assert_array_equal(ns.conv2d(x, w, padding="same", dilation=dilation), theirs)


def test_pytorchs_same_has_no_stride():
    with pytest.raises(RuntimeError, match="strided"):
        F.conv2d(torch.zeros(1, 1, 5, 5), torch.zeros(1, 1, 3, 3), padding="same", stride=2)


@pytest.mark.parametrize("by", ["ort", "reference"])
@pytest.mark.parametrize(("auto_pad", "padding"), [("UPPER", "same"), ("LOWER", "same_lower")])
@pytest.mark.parametrize(("stride", "k", "dilation"), SIZES)
def test_same_is_onnxs(by, auto_pad, padding, stride, k, dilation):
    if by == "ort" and dilation > 1:
        return  # it refuses
    x, w = integers(1, 2, 7, 8), integers(3, 2, k, k)
    theirs = run("Conv", [x, w], 22, by, auto_pad=f"SAME_{auto_pad}",
                 strides=[stride] * 2, dilations=[dilation] * 2)  # fmt: skip
    ours = ns.conv2d(x, w, stride=stride, padding=padding, dilation=dilation)
    np.testing.assert_array_equal(ours, theirs)


def whole(stride: int, k: int, dilation: int, size: int) -> int:
    return stride * (size - 1) + dilation * (k - 1) + 1


@pytest.mark.parametrize("by", ["ort", "reference"])
@pytest.mark.parametrize(("auto_pad", "padding"), [("UPPER", "same"), ("LOWER", "same_lower")])
@pytest.mark.parametrize(("stride", "k", "dilation"), SIZES)
def test_transposed_same_is_onnxs(by, auto_pad, padding, stride, k, dilation):
    """Where the stamps reach the whole output; else the two differ from each other."""
    x, w = integers(1, 2, 3, 4), integers(2, 3, k, k)
    ours = ns.conv_transpose2d(x, w, stride=stride, padding=padding, dilation=dilation)
    assert ours.shape == (1, 3, 3 * stride, 4 * stride)
    theirs = run("ConvTranspose", [x, w], 22, by, auto_pad=f"SAME_{auto_pad}", group=1,
                 kernel_shape=[k, k], strides=[stride] * 2, dilations=[dilation] * 2)  # fmt: skip
    if whole(stride, k, dilation, 3) >= 3 * stride:
        np.testing.assert_array_equal(ours, theirs)
    elif by == "ort":  # stops where the stamps end
        rows, columns = theirs.shape[2:]
        np.testing.assert_array_equal(ours[:, :, :rows, :columns], theirs)
        assert not ours[:, :, rows:].any()
        assert not ours[:, :, :, columns:].any()


@pytest.mark.parametrize("auto_pad", ["NOTSET", "SAME_UPPER", "SAME_LOWER"])
@pytest.mark.parametrize(("stride", "k", "dilation"), [s for s in SIZES if s[2] == 1])
def test_output_shape_is_onnx_runtimes(auto_pad, stride, k, dilation):
    x, w = integers(1, 2, 3, 4), integers(2, 3, k, k)
    padding = "same" if auto_pad == "SAME_UPPER" else "same_lower"
    most = whole(stride, k, dilation, 3), whole(stride, k, dilation, 4)
    for less in range(min(4, most[0])):
        size = [most[0] - less, most[1] - less]
        theirs = run("ConvTranspose", [x, w], 22, "ort", auto_pad=auto_pad, output_shape=size,
                     kernel_shape=[k, k], strides=[stride] * 2)  # fmt: skip
        ours = ns.conv_transpose2d(x, w, stride=stride, padding=padding, output_size=size)
        np.testing.assert_array_equal(ours, theirs)


def test_output_shape_beyond_the_stamps_is_zero_at_the_end():
    x, w = integers(1, 1, 3, 4), integers(1, 1, 3, 3)
    theirs = run("ConvTranspose", [x, w], 22, "ort", output_shape=[8, 10], strides=[2, 2])
    ours = ns.conv_transpose2d(x, w, stride=2, padding="same_lower", output_size=(8, 10))
    np.testing.assert_array_equal(ours, theirs)
    with pytest.raises(ns.ArgumentError, match="adds 2 rows"):
        ns.conv_transpose2d(x, w, stride=2, padding="same_lower", output_size=(9, 10))


def test_overlap_is_a_transposed_convolution_of_ones():
    for stride, k, dilation in SIZES:
        ones = torch.ones(1, 1, 4, 3), torch.ones(1, 1, k, k)
        theirs = F.conv_transpose2d(*ones, stride=stride, dilation=dilation)
        ours = overlap((1, 1, 4, 3), (1, 1, k, k), stride=stride,
                                           dilation=dilation)  # fmt: skip
        np.testing.assert_array_equal(ours, theirs[0, 0])


def test_an_average_is_fold_over_fold_of_ones():
    """How PyTorch users average what overlaps."""
    x, w = RNG.normal(size=(2, 3, 4, 5)), RNG.normal(size=(3, 2, 3, 3))
    columns = torch.einsum("ncpq,cfij->nfijpq", torch.tensor(x), torch.tensor(w))
    columns = columns.reshape(2, 2 * 9, 20)
    summed = F.fold(columns, (9, 11), 3, stride=2)
    stamps = F.fold(torch.ones(1, 9, 20, dtype=torch.float64), (9, 11), 3, stride=2)
    ours = ns.conv_transpose2d(x, w, stride=2, overlap="average")
    np.testing.assert_allclose(ours, summed / stamps, rtol=1e-12, atol=1e-12)


PARAMS = [
    {},
    {"stride": 2, "padding": 1},
    {"stride": (1, 3), "padding": (2, 0), "dilation": (2, 1)},
    {"groups": 3, "padding": 1},
    {"groups": 6, "stride": 2, "dilation": 2, "padding": 3},
]


@pytest.mark.parametrize("params", PARAMS, ids=str)
@pytest.mark.parametrize("transposed", [False, True])
def test_values_gradients_and_gradients_of_gradients_are_pytorchs(params, transposed):
    op = ns.conv_transpose2d if transposed else ns.conv2d
    theirs = F.conv_transpose2d if transposed else F.conv2d
    x = RNG.normal(size=(2, 6, 7, 6))
    groups = params.get("groups", 1)
    w = RNG.normal(size=(6, 2, 3, 2) if transposed else (6, 6 // groups, 3, 2))
    b = RNG.normal(size=2 * groups if transposed else 6)
    y, saved = op.forward(x, w, b, **params)
    leaves = [torch.tensor(a, requires_grad=True) for a in (x, w, b)]
    wanted = theirs(*leaves, **params)
    np.testing.assert_allclose(y, wanted.detach(), rtol=1e-12, atol=1e-12)
    grad = RNG.normal(size=y.shape)
    leaf = torch.tensor(grad, requires_grad=True)
    grads = torch.autograd.grad(wanted, leaves, leaf, create_graph=True)
    along = [RNG.normal(size=g.shape) for g in grads]
    for ours, g in zip(op.backward(saved, grad), grads, strict=True):
        np.testing.assert_allclose(ours, g.detach(), rtol=1e-11, atol=1e-11)
    total = sum((g * torch.tensor(v)).sum() for g, v in zip(grads, along, strict=True))
    second = torch.autograd.grad(total, [*leaves[:2], leaf])
    found = op.double_backward(saved, grad, dict(zip(op.differentiable, along, strict=True)))
    for ours, g in zip((found[0], found[1], found[3]), second, strict=True):
        np.testing.assert_allclose(ours, g, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(("auto_pad", "padding"), [("UPPER", "same"), ("LOWER", "same_lower")])
@pytest.mark.parametrize(("stride", "k"), list(itertools.product((1, 2, 3), (2, 3, 4))))
def test_same_of_a_pooling_is_onnx_runtimes(auto_pad, padding, stride, k):
    x = integers(1, 2, 7, 8)
    theirs = run("MaxPool", [x], 22, "ort", auto_pad=f"SAME_{auto_pad}", kernel_shape=[k, k],
                 strides=[stride] * 2)  # fmt: skip
    np.testing.assert_array_equal(ns.max_pool2d(x, k, stride, padding), theirs)


@pytest.mark.filterwarnings("ignore:invalid value encountered")
@pytest.mark.parametrize("width", [5, 7, 8, 40])
@pytest.mark.parametrize("channels", [1, 16])
def test_infinite_weights_at_the_border_are_theirs(width, channels):
    x = np.ones((1, channels, 5, width), np.float32)
    w = np.ones((channels, channels, 3, 3), np.float32)
    w[0, 0, 0, 0] = np.inf
    y, saved = ns.conv2d.forward(x, w, padding=1)
    tensors = [torch.tensor(a, requires_grad=True) for a in (x, w)]
    theirs = F.conv2d(*tensors, padding=1)
    np.testing.assert_array_equal(y, theirs.detach().numpy())
    for by in ("ort", "reference"):
        np.testing.assert_array_equal(y, run("Conv", [x, w], 11, by, pads=[1, 1, 1, 1]))
    gy = np.ones_like(y)
    gy[0, 0, 0, 0] = np.inf
    theirs.backward(torch.tensor(gy))
    gx, gw, _ = ns.conv2d.backward(saved, gy)
    np.testing.assert_array_equal(gw, tensors[1].grad.numpy())
    np.testing.assert_array_equal(gx, tensors[0].grad.numpy())
