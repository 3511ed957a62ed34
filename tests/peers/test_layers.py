"""Layers against PyTorch: the same meaning of every parameter, values and gradients."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import numseg as ns

torch = pytest.importorskip("torch")
F = torch.nn.functional

pytestmark = pytest.mark.peers
RNG = np.random.default_rng(0)


def _normal(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape)


def _tensor(array: Any, gradient: bool = True) -> Any:
    if array is None:
        return None
    tensor = torch.from_numpy(np.array(array))
    return tensor.requires_grad_(gradient and tensor.is_floating_point())


def _agree(ours, theirs, tolerance=1e-12):
    np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=tolerance, atol=tolerance)


def _compare(op, function, *arrays, **params):
    """Value and all gradients in float64; ``params`` are spelled alike on both sides."""
    y, saved = op.forward(*arrays, **params)
    tensors = [_tensor(a) for a in arrays]
    expected = function(*tensors, **params)
    _agree(y, expected)
    gy = RNG.normal(size=y.shape)
    grads = dict(zip(op.differentiable, op.backward(saved, gy), strict=True))
    expected.backward(_tensor(gy, gradient=False))
    for name, tensor in zip(op.inputs, tensors, strict=False):
        if name in grads and tensor is not None:
            _agree(grads[name], tensor.grad)


X = _normal(2, 6, 7, 5)


@pytest.mark.parametrize("x", [_normal(7), X, np.array([-0.0, 0.0, 40.0, -800.0])], ids=str)
def test_relu_and_sigmoid(x):
    _compare(ns.relu, F.relu, x)
    _compare(ns.sigmoid, torch.sigmoid, x)


def test_relu_and_sigmoid_of_what_is_no_number():
    x = np.array([np.nan, np.inf, -np.inf, 1e300, -1e300])
    for op, function in ((ns.relu, F.relu), (ns.sigmoid, torch.sigmoid)):
        y, saved = op.forward(x)
        tensor = _tensor(x)
        expected = function(tensor)
        expected.sum().backward()
        np.testing.assert_array_equal(y, expected.detach().numpy())
        np.testing.assert_array_equal(op.backward(saved, np.ones(5))[0], tensor.grad.numpy())


@pytest.mark.parametrize("dim", [0, 1, 2, 3, -1, -2])
def test_softmax(dim):
    _compare(ns.softmax, F.softmax, 5 * X, dim=dim)


def test_softmax_of_infinities():
    inf, nan = np.inf, np.nan
    x = np.array([[-inf, -inf], [inf, 0], [nan, 0], [-inf, 3]])
    np.testing.assert_array_equal(ns.softmax(x), F.softmax(_tensor(x), dim=1).detach().numpy())


@pytest.mark.parametrize("shape", [(2, 6, 7, 5), (5, 3), (2, 3, 4), (2, 3, 2, 3, 2)])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_batch_norm(shape, affine, training):
    x, c = _normal(*shape), shape[1]
    mean, var = _normal(c), RNG.uniform(0.5, 2, c)
    weight, bias = (_normal(c), _normal(c)) if affine else (None, None)

    def theirs(x, mean, var, weight, bias, **params):
        return F.batch_norm(x, mean.detach().clone(), var.detach().clone(), weight, bias, **params)

    params = {"training": training, "momentum": 0.3, "eps": 1e-3}
    _compare(ns.batch_norm, theirs, x, mean, var, weight, bias, **params)
    running = _tensor(mean, False), _tensor(var, False)
    F.batch_norm(_tensor(x), *running, **params)
    _, ours_mean, ours_var = ns.batch_norm(x, mean, var, return_running=True, **params)
    _agree(ours_mean, running[0])
    _agree(ours_var, running[1])


def test_batch_norm_of_one_value_is_refused_by_both():
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        F.batch_norm(torch.zeros(1, 3, 1, 1), None, None, training=True)
    with pytest.raises(ns.ArgumentError, match="1 value per channel"):
        ns.batch_norm(np.zeros((1, 3, 1, 1)), training=True)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("shape", [(2, 6, 7, 5), (5, 3), (2, 3, 4)])
def test_cross_entropy(shape, weighted, reduction):
    n, c, *rest = shape
    target = RNG.integers(0, c, (n, *rest))
    weight = RNG.uniform(0.5, 2, c) if weighted else None

    def theirs(x, target, weight, ignore_index, reduction):
        weight = None if weight is None else weight.detach()
        return F.cross_entropy(x, target, weight, ignore_index=ignore_index, reduction=reduction)

    x = 4 * _normal(*shape)
    for ignored in (-100, 1):
        _compare(ns.cross_entropy, theirs, x, target, weight,
                 ignore_index=ignored, reduction=reduction)  # fmt: skip


def test_cross_entropy_of_ignored_pixels_differs_as_documented():
    """The mean over no pixel: NaN there, 0 here; the gradient is 0 in both."""
    x, target = _normal(1, 3, 2), np.full((1, 2), 255)
    y, saved = ns.cross_entropy.forward(x, target, ignore_index=255)
    tensor = _tensor(x)
    expected = F.cross_entropy(tensor, _tensor(target), ignore_index=255)
    expected.backward()
    assert torch.isnan(expected)
    assert y == 0
    np.testing.assert_array_equal(tensor.grad.numpy(), 0)
    np.testing.assert_array_equal(ns.cross_entropy.backward(saved, np.ones(()))[0], 0)


@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4), (0, 4)])
@pytest.mark.parametrize("bias", [True, False])
def test_linear(shape, bias):
    _compare(ns.linear, F.linear, _normal(*shape), _normal(5, 4), _normal(5) if bias else None)


WINDOWS = [
    {"kernel_size": 3},
    {"kernel_size": (2, 3), "stride": (2, 1), "padding": (1, 2)},
    {"kernel_size": (3, 2), "dilation": 2, "padding": 2, "stride": 3},
]


@pytest.mark.parametrize("params", WINDOWS, ids=str)
def test_im2col_and_col2im(params):
    _compare(ns.im2col, F.unfold, X, **params)
    columns = _normal(*ns.im2col.output_shape(X.shape, **params))
    _compare(ns.col2im, F.fold, columns, output_size=(7, 5), **params)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"stride": 2, "padding": 1, "output_padding": 1},
        {"stride": (3, 2), "padding": (0, 2), "output_padding": (2, 1), "dilation": (1, 2)},
        {"stride": 1, "dilation": 3, "output_padding": 2},
        {"groups": 3, "stride": 2},
        {"groups": 6, "padding": 1},
    ],
    ids=str,
)
@pytest.mark.parametrize("bias", [True, False])
def test_conv_transpose2d(params, bias):
    w = _normal(6, 2, 3, 4)
    b = _normal(2 * params.get("groups", 1)) if bias else None
    _compare(ns.conv_transpose2d, F.conv_transpose2d, X, w, b, **params)


@pytest.mark.parametrize("size", [(15, 12), (16, 12), (15, 13), (17, 12), (14, 12)])
def test_output_size_is_that_of_the_module(size):
    layer = torch.nn.ConvTranspose2d(6, 2, (3, 4), stride=2, bias=False, dtype=torch.float64)
    w = layer.weight.detach().numpy()
    try:
        expected = layer(_tensor(X), output_size=size)
    except ValueError:
        with pytest.raises(ns.ArgumentError, match="output_size"):
            ns.conv_transpose2d(X, w, stride=2, output_size=size)
    else:
        _agree(ns.conv_transpose2d(X, w, stride=2, output_size=size), expected)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("output_padding", [1, 2])
def test_the_limit_of_output_padding(stride, output_padding):
    w = _normal(6, 2, 3, 3)
    params = {"stride": stride, "output_padding": output_padding}
    try:
        F.conv_transpose2d(_tensor(X), _tensor(w), **params)
    except RuntimeError:
        with pytest.raises(ns.ArgumentError, match="output_padding"):
            ns.conv_transpose2d(X, w, **params)
    else:
        _compare(ns.conv_transpose2d, F.conv_transpose2d, X, w, **params)


def test_dropout_scales_as_theirs():
    torch.manual_seed(0)
    for p in (0.0, 0.1, 0.5, 0.9):
        theirs = F.dropout(torch.ones(1000, dtype=torch.float64), p).numpy()
        ours = ns.dropout(np.ones(1000), p, seed=0)
        assert set(np.unique(ours)) == set(np.unique(theirs))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.testing.assert_array_equal(F.dropout(torch.ones(3), 1.0).numpy(), 0)
    np.testing.assert_array_equal(ns.dropout(np.ones(3), 1.0, seed=0), 0)
