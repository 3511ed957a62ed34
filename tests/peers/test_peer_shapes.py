"""Operators that move numbers and change none, against PyTorch and ONNX."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns
from numseg.conventions import Unsupported, to_call

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers
RNG = np.random.default_rng(0)
CALLS = [
    ("flatten", (2, 3, 4, 5), (1,)),
    ("flatten", (2, 3, 4, 5), (0,)),
    ("flatten", (2, 3, 4, 5), (-3, 2)),
    ("flatten", (2, 3), (1, 1)),
    ("flatten", (2, 0, 3), (0, 1)),
    ("flatten", (), (0,)),
    ("reshape", (2, 3, 4, 5), ((5, -1),)),
    ("reshape", (2, 3, 4, 5), ((6, 4, 5, 1),)),
    ("reshape", (2, 0, 5), ((0, 7),)),
    ("reshape", (1, 1), ((),)),
    ("permute", (2, 3, 4, 5), ((0, 2, 3, 1),)),
    ("permute", (2, 3, 4, 5), ((3, -3, 0, 2),)),
    ("permute", (2, 0, 4), ((2, 0, 1),)),
    ("permute", (70, 1030), ((1, 0),)),
    ("permute", (), ((),)),
    ("transpose", (2, 3, 4, 5), (1, -1)),
    ("transpose", (2, 3), (1, 1)),
]


@pytest.mark.parametrize(("name", "shape", "arguments"), CALLS)
def test_value_and_gradient_are_pytorchs(name, shape, arguments):
    op, x = getattr(ns, name), RNG.normal(size=shape).astype(np.float32)
    leaf = torch.tensor(x, requires_grad=True)
    theirs = getattr(torch, name)(leaf, *arguments)
    ours, saved = op.forward(x, *arguments)
    np.testing.assert_array_equal(ours, theirs.detach())
    grad = RNG.normal(size=ours.shape).astype(np.float32)
    theirs.backward(torch.tensor(grad))
    np.testing.assert_array_equal(op.backward(saved, grad)[0], leaf.grad)


REFUSED = [
    ("flatten", (2, 3), (2,)),
    ("flatten", (2, 3), (1, 0)),
    ("flatten", (), (1,)),
    ("reshape", (2, 3), ((4, -1),)),
    ("reshape", (2, 3), ((7,),)),
    ("reshape", (2, 0), ((0, -1),)),
    ("reshape", (2, 3), ((-1, -1),)),
    ("reshape", (2, 3), ((-2, 3),)),
    ("permute", (2, 3), ((0, 0),)),
    ("permute", (2, 3), ((0,),)),
    ("permute", (2, 3), ((0, 2),)),
    ("transpose", (2, 3), (0, 2)),
]


@pytest.mark.parametrize(("name", "shape", "arguments"), REFUSED)
def test_pytorch_refuses_it_too(name, shape, arguments):
    with pytest.raises((RuntimeError, IndexError)):
        getattr(torch, name)(torch.zeros(shape), *arguments)
    with pytest.raises(ns.ArgumentError):
        getattr(ns, name)(np.zeros(shape), *arguments)


def test_flatten_is_the_layers():
    x = RNG.normal(size=(2, 3, 4))
    np.testing.assert_array_equal(ns.flatten(x), torch.nn.Flatten()(torch.tensor(x)))


@pytest.mark.parametrize("by", ["ort", "reference"])
def test_flatten_is_onnxs(by):
    x = RNG.normal(size=(2, 3, 4, 5)).astype(np.float32)
    np.testing.assert_array_equal(ns.flatten(x), _onnx_run()("Flatten", [x], 13, by))


@pytest.mark.parametrize("by", ["ort", "reference"])
@pytest.mark.parametrize(
    ("shape", "wanted", "zero"),
    [
        ((2, 3, 4), [4, -1], 0),
        ((2, 3, 4), [0, -1], 0),
        ((2, 3, 4), [1, 0, -1, 2], 0),
        ((2, 0, 4), [0, 7], 1),
    ],
)
def test_reshape_is_onnxs(by, shape, wanted, zero):
    run = _onnx_run()
    x, wanted = RNG.normal(size=shape).astype(np.float32), np.array(wanted, np.int64)
    theirs = run("Reshape", [x, wanted], 14, by, allowzero=zero)
    call = to_call(ns.reshape, "Reshape", [x, wanted], {"allowzero": zero}, 14)
    np.testing.assert_array_equal(ns.reshape(**call), theirs)


@pytest.mark.parametrize("by", ["ort", "reference"])
@pytest.mark.parametrize("perm", [[0, 2, 3, 1], [3, 0, 2, 1], None])
def test_permute_is_onnxs(by, perm):
    x = RNG.normal(size=(2, 3, 4, 5)).astype(np.float32)
    stated = {} if perm is None else {"perm": perm}
    call = to_call(ns.permute, "Transpose", [x], stated, 13)
    theirs = _onnx_run()("Transpose", [x], 13, by, **stated)
    np.testing.assert_array_equal(ns.permute(**call), theirs)


def test_onnxs_zero_needs_the_shape_of_x():
    shape = np.array([0, -1])
    with pytest.raises(Unsupported, match="whose 0 is a size of x that is not known"):
        to_call(ns.reshape, "Reshape", ["x", shape], {}, 13)


def _onnx_run():
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from onnx_run import run

    return run
