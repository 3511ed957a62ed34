"""sum, mean, amax and amin against PyTorch and ONNX."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns
from numseg.conventions import to_call

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers
RNG = np.random.default_rng(0)
FAMILY = ["sum", "mean", "amax", "amin"]
DIMS = [None, 0, -1, (0, 2), (2, 3), (-1, 1), (0, 1, 2, 3)]


@pytest.mark.parametrize("name", FAMILY)
@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("keepdim", [True, False])
def test_value_and_gradient_are_pytorchs(name, dim, keepdim):
    x = RNG.integers(-2, 3, (2, 3, 4, 5)).astype(np.float64)  # with ties
    leaf, op = torch.tensor(x, requires_grad=True), getattr(ns, name)
    theirs = getattr(torch, name)(leaf, () if dim is None else dim, keepdim=keepdim)
    y, saved = op.forward(x, dim, keepdim)
    np.testing.assert_allclose(y, theirs.detach(), rtol=1e-15)
    grad = RNG.normal(size=y.shape)
    theirs.backward(torch.tensor(grad))
    np.testing.assert_allclose(op.backward(saved, grad)[0], leaf.grad, rtol=1e-15)


@pytest.mark.parametrize("name", ["amax", "amin"])
def test_nan_wins_in_pytorch_too_and_spoils_its_gradient(name):
    x = np.array([[1.0, np.nan, 2.0], [1.0, 3.0, 2.0]])
    leaf = torch.tensor(x, requires_grad=True)
    theirs = getattr(torch, name)(leaf, 1)
    y, saved = getattr(ns, name).forward(x, 1)
    np.testing.assert_array_equal(y, theirs.detach())
    theirs.sum().backward()
    ours = getattr(ns, name).backward(saved, np.ones(2))[0]
    np.testing.assert_array_equal(leaf.grad[0], np.full(3, np.nan))
    np.testing.assert_array_equal(ours[0], [0, 1, 0])
    np.testing.assert_array_equal(ours[1], leaf.grad[1])


def test_of_nothing_it_is_pytorchs():
    empty = torch.zeros(2, 0)
    np.testing.assert_array_equal(ns.sum(empty.numpy(), 1), torch.sum(empty, 1))
    np.testing.assert_array_equal(ns.mean(empty.numpy(), 1), torch.mean(empty, 1))
    with pytest.raises(IndexError, match="non-zero size"):
        torch.amax(empty, 1)


@pytest.mark.parametrize("by", ["ort", "reference"])
@pytest.mark.parametrize(
    ("name", "kind", "opset"),
    [
        *[("sum", "ReduceSum", opset) for opset in (11, 13)],
        *[("mean", "ReduceMean", opset) for opset in (13, 18)],
        *[("amax", "ReduceMax", opset) for opset in (13, 18)],
        *[("amin", "ReduceMin", opset) for opset in (13, 18)],
    ],
)
@pytest.mark.parametrize("axes", [None, [1], [-1, 2]])
@pytest.mark.parametrize("keepdims", [None, 0])
def test_it_is_onnxs(by, name, kind, opset, axes, keepdims):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from onnx_run import run

    x = RNG.normal(size=(2, 3, 4, 5)).astype(np.float32)
    stated = {} if keepdims is None else {"keepdims": keepdims}
    as_input = opset >= (13 if kind == "ReduceSum" else 18)
    inputs = [x]
    if axes is not None and as_input:
        inputs.append(np.array(axes, np.int64))
    elif axes is not None:
        stated["axes"] = axes
    theirs = run(kind, inputs, opset, by, **stated)
    op = getattr(ns, name)
    ours = op(**to_call(op, kind, inputs, stated, opset))
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["argmax", "argmin"])
@pytest.mark.parametrize("dim", [None, 0, 2, -1])
@pytest.mark.parametrize("keepdim", [True, False])
def test_places_are_pytorchs(name, dim, keepdim):
    x = RNG.permutation(2 * 3 * 4 * 5).reshape(2, 3, 4, 5).astype(np.float32)
    theirs = getattr(torch, name)(torch.tensor(x), dim, keepdim)
    np.testing.assert_array_equal(getattr(ns, name)(x, dim, keepdim), theirs)


@pytest.mark.parametrize("by", ["ort", "reference"])
@pytest.mark.parametrize(("name", "kind"), [("argmax", "ArgMax"), ("argmin", "ArgMin")])
@pytest.mark.parametrize("stated", [{}, {"axis": -1, "keepdims": 0}, {"axis": 1}])
@pytest.mark.parametrize("last", [0, 1])
def test_places_are_onnxs(by, name, kind, stated, last):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from onnx_run import run

    x = RNG.integers(-2, 3, (2, 3, 4, 5)).astype(np.float32)  # with ties
    stated = stated | {"select_last_index": last}
    op = getattr(ns, name)
    ours = op(**to_call(op, kind, [x], stated, 13))
    np.testing.assert_array_equal(ours, run(kind, [x], 13, by, **stated))
