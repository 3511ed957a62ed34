"""Losses against PyTorch, torchvision and ONNX."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numseg as ns

torch = pytest.importorskip("torch")
F = torch.nn.functional

pytestmark = pytest.mark.peers
REDUCTIONS = pytest.mark.parametrize("reduction", ["mean", "sum", "none"])


def _tensor(array: Any, gradient: bool = False) -> Any:
    return None if array is None else torch.tensor(np.asarray(array), requires_grad=gradient)


def _agree(op, theirs, arrays, tolerance=1e-12, **params):
    """Values and gradients; ``theirs`` takes the tensors of ``arrays``."""
    y, saved = op.forward(**arrays, **params)
    tensors = {n: _tensor(a, n in op.differentiable) for n, a in arrays.items()}
    expected = theirs(**tensors)
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=tolerance, atol=tolerance)
    gy = np.random.default_rng(9).normal(size=y.shape).astype(y.dtype)
    expected.backward(torch.tensor(gy))
    for name, grad in zip(op.differentiable, op.backward(saved, np.asarray(gy)), strict=True):
        wanted = tensors[name].grad.numpy()
        np.testing.assert_allclose(grad, wanted, rtol=tolerance, atol=tolerance)


def _weights(rng, shape, kind):
    if kind == "none":
        return None
    return rng.uniform(0.5, 2, {"all": shape, "classes": (shape[1], 1, 1), "one": ()}[kind])


@REDUCTIONS
@pytest.mark.parametrize("weight", ["none", "all", "classes", "one"])
@pytest.mark.parametrize("pos_weight", ["none", "all", "classes", "one"])
def test_binary_cross_entropy_with_logits(weight, pos_weight, reduction):
    rng = np.random.default_rng(0)
    shape = (2, 3, 4, 5)
    arrays = {
        "x": 4 * rng.normal(size=shape),
        "target": rng.uniform(0, 1, shape),
        "weight": _weights(rng, shape, weight),
        "pos_weight": _weights(rng, shape, pos_weight),
    }

    def theirs(x, target, weight, pos_weight):
        return F.binary_cross_entropy_with_logits(
            x, target, weight, pos_weight=pos_weight, reduction=reduction
        )

    _agree(ns.binary_cross_entropy_with_logits, theirs, arrays, reduction=reduction)


def test_mask_rcnn():
    """torchvision's maskrcnn_loss without its projection of the masks, which RoI Align does."""
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 4, 7)
    arrays = {"x": rng.normal(size=(7, 4, 5, 5)), "target": rng.integers(0, 2, (7, 5, 5)) * 1.0}

    def theirs(x, target):
        return F.binary_cross_entropy_with_logits(x[torch.arange(7), torch.tensor(labels)], target)

    op = ns.binary_cross_entropy_with_logits
    _agree(op, theirs, arrays, labels=labels)


@REDUCTIONS
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0, 1 / 9, 3.0])
def test_smooth_l1_loss(beta, dtype, reduction):
    rng = np.random.default_rng(2)
    x, target = rng.integers(-4, 5, (2, 6, 7)) / 2, rng.integers(-2, 3, (2, 6, 7)) * 0.5  # ties too
    arrays = {"x": x.astype(dtype), "target": target.astype(dtype)}
    tolerance = 8 * np.finfo(dtype).eps

    def theirs(x, target):
        return F.smooth_l1_loss(x, target, beta=beta, reduction=reduction)

    def huber(x, target):
        return F.huber_loss(x, target, delta=beta, reduction=reduction)

    params = {"beta": beta, "reduction": reduction}
    _agree(ns.smooth_l1_loss, theirs, arrays, tolerance, **params)
    if beta > 0:  # PyTorch refuses 0 there
        _agree(ns.smooth_l1_loss, huber, arrays, tolerance, huber=True, **params)


@REDUCTIONS
@pytest.mark.parametrize("alpha", [0.25, 0.0, 1.0, -1])
@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0, 2.5])
def test_sigmoid_focal_loss(gamma, alpha, reduction):
    ops = pytest.importorskip("torchvision.ops")
    rng = np.random.default_rng(3)
    how = {"alpha": alpha, "gamma": gamma, "reduction": reduction}
    for target in (rng.integers(0, 2, (3, 20)) * 1.0, rng.uniform(0, 1, (3, 20))):
        arrays = {"x": 3 * rng.normal(size=(3, 20)), "targets": target}

        def theirs(x, targets):
            return ops.sigmoid_focal_loss(x, targets, **how)

        _agree(ns.sigmoid_focal_loss, theirs, arrays, **how)


def test_torchvision_loses_a_confident_focal_loss():
    ops = pytest.importorskip("torchvision.ops")
    x, target = np.array([20], np.float32), np.ones(1, np.float32)
    assert ops.sigmoid_focal_loss(_tensor(x), _tensor(target), -1, 1.0).item() == 0
    ours = ns.sigmoid_focal_loss(x, target, -1, 1.0)
    np.testing.assert_allclose(ours, np.exp(-40), rtol=1e-6)


@REDUCTIONS
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", [(2, 5, 4, 3), (6, 5)])
def test_label_smoothing(shape, weighted, smoothing, reduction):
    rng = np.random.default_rng(4)
    n, c, *rest = shape
    target = rng.integers(0, c, (n, *rest))
    target[0] = 255
    weight = rng.uniform(0.5, 2, c) if weighted else None
    how = {"ignore_index": 255, "reduction": reduction, "label_smoothing": smoothing}
    arrays = {"x": rng.normal(size=shape), "target": target, "weight": weight}

    def theirs(x, target, weight):
        return F.cross_entropy(x, target, weight, **how)

    _agree(ns.cross_entropy, theirs, arrays, **how)


def test_the_mean_over_nothing():
    x, target = np.ones((2, 3, 4)), np.full((2, 4), -100)
    arrays = {"x": x, "target": target}
    _agree(ns.cross_entropy, lambda x, target: F.cross_entropy(x, target), arrays,
           ignore_index=-100, empty="nan")  # fmt: skip
    nothing = np.zeros((0, 3))
    for op, theirs in (
        (ns.smooth_l1_loss, F.smooth_l1_loss),
        (ns.binary_cross_entropy_with_logits, F.binary_cross_entropy_with_logits),
    ):
        assert torch.isnan(theirs(_tensor(nothing), _tensor(nothing)))
        assert np.isnan(op(nothing, nothing, empty="nan"))
        assert op(nothing, nothing) == 0


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_focal_cross_entropy(gamma):
    """mmdet's and Kaiming He's formula, composed of PyTorch's operators."""
    rng = np.random.default_rng(5)
    target = rng.integers(0, 4, (2, 5, 3))
    arrays = {"x": 3 * rng.normal(size=(2, 4, 5, 3)), "target": target}

    def theirs(x, target):
        log = F.log_softmax(x, 1).gather(1, target[:, None])[:, 0]
        return (-((1 - log.exp()) ** gamma) * log).mean()

    _agree(ns.cross_entropy, theirs, arrays, gamma=gamma)


@REDUCTIONS
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("ignored", [None, 1, -1])
def test_onnx_softmax_cross_entropy_loss(ignored, weighted, reduction):
    _onnx_agrees(ns.cross_entropy, "SoftmaxCrossEntropyLoss", ignored, weighted, reduction)


@REDUCTIONS
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("ignored", [None, 1, -2])  # onnx 1.23's mean counts what -1 ignores
def test_onnx_negative_log_likelihood_loss(ignored, weighted, reduction):
    _onnx_agrees(ns.nll_loss, "NegativeLogLikelihoodLoss", ignored, weighted, reduction)


@REDUCTIONS
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("ignored", [None, 1])
def test_nll_loss(ignored, weighted, reduction):
    rng = np.random.default_rng(7)
    arrays = {"x": rng.normal(size=(2, 4, 5, 3)), "target": rng.integers(0, 4, (2, 5, 3))}
    arrays["weight"] = rng.uniform(0.5, 2, 4) if weighted else None
    index = -100 if ignored is None else ignored

    def theirs(x, target, weight):
        return F.nll_loss(x, target, weight, ignore_index=index, reduction=reduction)

    _agree(ns.nll_loss, theirs, arrays, ignore_index=ignored, reduction=reduction)


def _onnx_agrees(op, kind, ignored, weighted, reduction):
    onnx = pytest.importorskip("onnx")
    from onnx.reference import ReferenceEvaluator

    rng = np.random.default_rng(6)
    x = rng.normal(size=(2, 4, 3, 5)).astype(np.float32)
    target = rng.integers(0, 4, (2, 3, 5))
    if ignored is not None:
        target[0, 1] = ignored
    weight = rng.uniform(0.5, 2, 4).astype(np.float32) if weighted else None
    names = ["x", "target", "weight"][: 2 + weighted]
    attributes = {"reduction": reduction} | ({} if ignored is None else {"ignore_index": ignored})
    node = onnx.helper.make_node(kind, names, ["y"], **attributes)
    kinds = [onnx.TensorProto.FLOAT, onnx.TensorProto.INT64, onnx.TensorProto.FLOAT]
    inputs = [
        onnx.helper.make_tensor_value_info(n, k, None) for n, k in zip(names, kinds, strict=False)
    ]
    output = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)
    graph = onnx.helper.make_graph([node], "loss", inputs, [output])
    model = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8
    )
    feeds = {"x": x, "target": target} | ({"weight": weight} if weighted else {})
    ours = op(x, target, weight, ignore_index=ignored, reduction=reduction)
    (reference,) = ReferenceEvaluator(model).run(None, feeds)
    np.testing.assert_allclose(ours, reference, rtol=1e-5, atol=1e-6)
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    np.testing.assert_allclose(ours, session.run(None, feeds)[0], rtol=1e-5, atol=1e-6)
