"""Normalisations, activations and softmaxes against PyTorch and ONNX: every convention by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numseg as ns

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx_run import run  # noqa: E402 - beside this file

F = torch.nn.functional
pytestmark = [
    pytest.mark.peers,
    pytest.mark.filterwarnings("ignore:invalid value encountered"),
]
RNG = np.random.default_rng(0)
BY = pytest.mark.parametrize("by", ["ort", "reference"])
inf, nan = np.inf, np.nan
ENDS = np.array([-inf, -1e30, -4, -3, -2.5, -1.2, -0.0, 0.0, 1e-30, 1.5, 2.5, 3, 4, 1e30, inf, nan])


def _compare(op, function, *arrays, rtol=1e-12, **params):
    """Value and all gradients in float64."""
    y, saved = op.forward(*arrays, **params)
    tensors = [None if a is None else torch.tensor(a, requires_grad=True) for a in arrays]
    expected = function(*tensors)
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=rtol, atol=rtol)
    gy = RNG.normal(size=y.shape)
    expected.backward(torch.tensor(gy))
    for ours, tensor in zip(op.backward(saved, gy), tensors, strict=True):
        assert (ours is None) == (tensor is None)
        if tensor is not None:
            np.testing.assert_allclose(ours, tensor.grad.numpy(), rtol=rtol, atol=rtol)


# -- activations ----------------------------------------------------------------------------------

ACTIVATIONS = [
    (ns.relu, F.relu, {}),
    (ns.leaky_relu, F.leaky_relu, {}),
    (ns.leaky_relu, lambda x: F.leaky_relu(x, 0.2), {"negative_slope": 0.2}),
    (ns.sigmoid, torch.sigmoid, {}),
    (ns.silu, F.silu, {}),
    (ns.hard_sigmoid, F.hardsigmoid, {}),
    (ns.hard_swish, F.hardswish, {}),
]


def _name(value):
    """Without addresses in memory, which every process has its own of."""
    return getattr(value, "__name__", str(value))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("op", "function", "params"), ACTIVATIONS, ids=_name)
def test_activations_are_pytorchs_at_kinks_infinities_and_nan(op, function, params, dtype):
    # 64 numbers: PyTorch's vector code and its scalar code for the rest both see each kind
    x = np.concatenate([np.tile(ENDS, 3), np.linspace(-5, 5, 21)]).astype(dtype)
    y, saved = op.forward(x, **params)
    tensor = torch.tensor(x, requires_grad=True)
    expected = function(tensor)
    gy = np.linspace(1, 2, len(x)).astype(dtype)
    expected.backward(torch.tensor(gy))
    close = {"rtol": 8 * np.finfo(dtype).eps, "atol": 8 * np.finfo(dtype).eps}
    np.testing.assert_allclose(y, expected.detach().numpy(), **close)
    if op is ns.hard_sigmoid:  # PyTorch's derivative is 1 / 6 in float32, whatever x is
        close["rtol"] = 2**-24
    np.testing.assert_allclose(op.backward(saved, gy)[0], tensor.grad.numpy(), **close)


def test_pytorchs_hard_sigmoid_has_the_slope_of_float32_in_float64():
    x = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    F.hardsigmoid(x).sum().backward()
    assert (x.grad.numpy() == np.float32(1 / 6)).all()
    _, saved = ns.hard_sigmoid.forward(np.zeros(3))
    assert (ns.hard_sigmoid.backward(saved, np.ones(3))[0] == 1 / 6).all()


def test_the_sign_of_relus_zero():
    """PyTorch and ONNX Runtime keep -0.0; the ONNX reference and numseg do not."""
    x = np.array([-0.0] * 16, np.float32)
    assert torch.signbit(F.relu(torch.tensor(x))).all()
    assert np.signbit(run("Relu", [x], 14, "ort")).all()
    assert not np.signbit(ns.relu(x)).any()


@BY
@pytest.mark.parametrize(("alpha", "beta"), [(0.2, 0.5), (1 / 6, 0.5), (0.5, 0.25)])
def test_hard_sigmoid_is_onnxs(by, alpha, beta):
    x = np.concatenate([ENDS, np.linspace(-5, 5, 21)]).astype(np.float32)
    named = {} if (alpha, beta) == (0.2, 0.5) else {"alpha": alpha, "beta": beta}
    theirs = run("HardSigmoid", [x], 22, by, **named)
    np.testing.assert_allclose(ns.hard_sigmoid(x, alpha, beta), theirs, rtol=1e-6, atol=1e-7)


@BY
@pytest.mark.parametrize(
    ("name", "op", "opset"), [("HardSwish", ns.hard_swish, 22), ("LeakyRelu", ns.leaky_relu, 16)]
)
def test_onnxs_activations(by, name, op, opset):
    x = np.concatenate([ENDS, np.linspace(-5, 5, 21)]).astype(np.float32)
    np.testing.assert_allclose(op(x), run(name, [x], opset, by), rtol=1e-6, atol=1e-7)


# -- softmaxes ------------------------------------------------------------------------------------

X = RNG.normal(size=(2, 6, 7, 5))


@pytest.mark.parametrize("dim", [0, 1, 2, 3, -1, -2])
def test_log_softmax(dim):
    _compare(ns.log_softmax, lambda x: F.log_softmax(x, dim), 5 * X, dim=dim)


def test_log_softmax_of_infinities():
    x = np.array([[-inf, -inf], [inf, 0], [nan, 0], [-inf, 3]])
    theirs = F.log_softmax(torch.tensor(x), 1).numpy()
    np.testing.assert_allclose(ns.log_softmax(x), theirs, rtol=1e-15)


@BY
@pytest.mark.parametrize(("name", "op"), [("Softmax", ns.softmax), ("LogSoftmax", ns.log_softmax)])
def test_onnxs_softmaxes(by, name, op):
    x = X.astype(np.float32)
    close = {"rtol": 1e-5, "atol": 1e-6}
    np.testing.assert_allclose(op(x, dim=-1), run(name, [x], 13, by), **close)  # from 13 on: -1
    np.testing.assert_allclose(op(x, dim=2), run(name, [x], 13, by, axis=2), **close)
    if by == "ort":  # before 13 all axes from axis on are one, and it is 1 by default
        flat = op(x.reshape(2, -1)).reshape(x.shape)
        np.testing.assert_allclose(flat, run(name, [x], 11, by), **close)


@pytest.mark.filterwarnings("ignore:Implicit dimension choice")
@pytest.mark.parametrize(("axes", "axis"), [(1, 0), (2, 1), (3, 0), (4, 1)])
def test_the_axis_pytorch_takes_if_none_is_given(axes, axis):
    x = X.reshape(-1)[: 2**axes].reshape((2,) * axes)
    np.testing.assert_allclose(ns.softmax(x, axis), F.softmax(torch.tensor(x)), rtol=1e-15)


# -- normalisations -------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(2, 6, 7, 5), (3, 6), (2, 6, 4), (0, 6, 3)])
@pytest.mark.parametrize("groups", [1, 2, 3, 6])
@pytest.mark.parametrize("affine", [True, False])
def test_group_norm(shape, groups, affine):
    x = RNG.normal(3, 2, shape)
    weight, bias = (RNG.normal(size=6), RNG.normal(size=6)) if affine else (None, None)

    def op(x, weight, bias):
        return F.group_norm(x, groups, weight, bias, 1e-3)

    found = _Ordered(ns.group_norm, {"num_groups": groups, "eps": 1e-3})
    _compare(found, op, x, weight, bias, rtol=1e-11)


def test_without_pixels_pytorchs_gradient_of_the_weight_is_nan():
    weight = torch.ones(6, requires_grad=True)
    F.group_norm(torch.ones(2, 6, 0), 2, weight, weight).sum().backward()
    assert torch.isnan(weight.grad).all()
    y, saved = ns.group_norm.forward(np.ones((2, 6, 0)), 2, np.ones(6))
    np.testing.assert_array_equal(ns.group_norm.backward(saved, y)[1], 0)


class _Ordered:
    """An operator whose arrays are not its first arguments."""

    def __init__(self, op: Any, params: dict[str, Any]) -> None:
        self.op, self.params = op, params

    def forward(self, *arrays: Any) -> Any:
        return self.op.forward(**dict(zip(self.op.inputs, arrays, strict=True)), **self.params)

    def backward(self, saved: Any, gy: Any) -> Any:
        return self.op.backward(saved, gy)


@pytest.mark.parametrize("shape", [X.shape[-1:], X.shape[1:], X.shape])
@pytest.mark.parametrize("affine", [True, False])
def test_layer_norm(shape, affine):
    weight, bias = RNG.normal(size=(2, *shape)) if affine else (None, None)

    def theirs(x, weight, bias):
        return F.layer_norm(x, shape, weight, bias, 1e-3)

    layer = _Ordered(ns.layer_norm, {"normalized_shape": shape, "eps": 1e-3})
    _compare(layer, theirs, X, weight, bias, rtol=1e-10)


def test_convnexts_layer_norm():
    weight, bias = RNG.normal(size=(2, 6))
    last = ns.layer_norm(ns.permute(X, (0, 2, 3, 1)), 6, weight, bias, 1e-6)
    x = torch.tensor(X).permute(0, 2, 3, 1)
    theirs = F.layer_norm(x, (6,), torch.tensor(weight), torch.tensor(bias), 1e-6)
    ours = ns.permute(last, (0, 3, 1, 2))
    np.testing.assert_allclose(ours, theirs.permute(0, 3, 1, 2), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("tracked", [True, False])
@pytest.mark.parametrize("use_input_stats", [True, False])
def test_instance_norm(tracked, use_input_stats):
    weight, bias = RNG.normal(size=(2, 6))
    running = [RNG.normal(size=6), RNG.uniform(0.5, 2, 6)] if tracked else [None, None]
    if not tracked and not use_input_stats:
        with pytest.raises(RuntimeError):
            F.instance_norm(torch.tensor(X), use_input_stats=False)
        return
    theirs = [None if r is None else torch.tensor(r) for r in running]
    leaves = [torch.tensor(a, requires_grad=True) for a in (X, weight, bias)]
    x, *affine = leaves
    expected = F.instance_norm(x, *theirs, *affine, use_input_stats, 0.3, 1e-3)
    how = {"use_input_stats": use_input_stats, "momentum": 0.3, "eps": 1e-3}
    y, saved = ns.instance_norm.forward(X, *running, weight, bias, **how)
    close = {"rtol": 1e-11, "atol": 1e-12}
    np.testing.assert_allclose(y, expected.detach(), **close)
    gy = RNG.normal(size=y.shape)
    expected.backward(torch.tensor(gy))
    for ours, leaf in zip(ns.instance_norm.backward(saved, gy), leaves, strict=True):
        np.testing.assert_allclose(ours, leaf.grad, **close)
    if tracked:
        np.testing.assert_allclose(saved.running_mean, theirs[0], **close)
        np.testing.assert_allclose(saved.running_var, theirs[1], **close)


@BY
def test_onnxs_layer_norm(by):
    x = X.astype(np.float32)
    weight, bias = RNG.normal(size=(2, *x.shape[2:])).astype(np.float32)
    theirs = run("LayerNormalization", [x, weight, bias], 17, by, axis=2, epsilon=1e-3)
    ours = ns.layer_norm(x, x.shape[2:], weight, bias, 1e-3)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_instance_norm_and_layer_norm_are_group_norms():
    x = torch.tensor(X)
    np.testing.assert_allclose(ns.group_norm(X, 6), F.instance_norm(x), rtol=1e-11, atol=1e-12)
    layer = F.layer_norm(x, X.shape[1:])
    np.testing.assert_allclose(ns.group_norm(X, 1), layer, rtol=1e-11, atol=1e-12)


def test_pytorch_refuses_a_single_value_per_group_of_one_image():
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        F.group_norm(torch.ones(1, 4, 1, 1), 4)
    np.testing.assert_array_equal(ns.group_norm(np.ones((1, 4, 1, 1)), 4), 0)
    np.testing.assert_array_equal(F.group_norm(torch.ones(2, 4, 1, 1), 4), 0)


@BY
def test_onnxs_group_and_instance_norm(by):
    x = X.astype(np.float32)
    weight, bias = RNG.normal(size=(2, 6)).astype(np.float32)
    close = {"rtol": 1e-4, "atol": 1e-5}
    theirs = run("GroupNormalization", [x, weight, bias], 21, by, num_groups=3)
    np.testing.assert_allclose(ns.group_norm(x, 3, weight, bias), theirs, **close)
    theirs = run("InstanceNormalization", [x, weight, bias], 22, by)
    np.testing.assert_allclose(ns.group_norm(x, 6, weight, bias), theirs, **close)
    ours = ns.instance_norm(x, weight=weight, bias=bias)
    np.testing.assert_allclose(ours, theirs, **close)


@pytest.mark.parametrize("eps", [1e-12, 0.5, 3.0, 100.0])
@pytest.mark.parametrize("affine", [True, False])
def test_l2_norm_is_normalize_times_a_weight(eps, affine):
    weight = RNG.normal(size=6) if affine else None

    def theirs(x, weight):
        y = F.normalize(x, dim=1, eps=eps)
        return y if weight is None else y * weight[:, None, None]

    for x in (X, np.zeros_like(X), X * (RNG.random((2, 1, 7, 5)) < 0.5)):
        _compare(ns.l2_norm, theirs, x, weight, eps=eps)


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("eps", [1e-10, 0.5])
def test_l2_norm_of_caffe_and_of_pytorch_ports(affine, eps):
    weight = RNG.normal(size=6) if affine else None

    def inside(x, weight):
        y = x / (x.pow(2).sum(1, keepdim=True) + eps).sqrt()
        return y if weight is None else y * weight[:, None, None]

    def outside(x, weight):
        y = x / (x.pow(2).sum(1, keepdim=True).sqrt() + eps)
        return y if weight is None else y * weight[:, None, None]

    _compare(ns.l2_norm, inside, X, weight, eps=eps, eps_rule="inside")
    _compare(ns.l2_norm, outside, X, weight, eps=eps, eps_rule="outside")


@BY
def test_l2_norm_without_eps_is_onnxs(by):
    x = X.astype(np.float32)
    x[0, :, 0, 0] = 0
    theirs = run("LpNormalization", [x], 22, by, axis=1, p=2)
    np.testing.assert_allclose(ns.l2_norm(x, eps=0.0), theirs, rtol=1e-6, atol=1e-7)


def _onnx_batch_norm(x: Any, **attributes: Any) -> list[Any]:
    """y, and the running mean and variance from 0 and 1, by ONNX's reference."""
    import onnx
    from onnx.reference import ReferenceEvaluator

    names = ["x", "s", "b", "m", "v"]
    node = onnx.helper.make_node("BatchNormalization", names, ["y", "om", "ov"], **attributes)

    def info(name: str) -> Any:
        return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)

    ends = [info(n) for n in names], [info(n) for n in ("y", "om", "ov")]
    graph = onnx.helper.make_graph([node], "g", *ends)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 15)])
    ones, zeros = np.ones(x.shape[1], np.float32), np.zeros(x.shape[1], np.float32)
    values = {"x": x, "s": ones, "b": zeros, "m": zeros, "v": ones}
    return ReferenceEvaluator(model).run(None, values)


@pytest.mark.parametrize("shape", [(2, 6, 7, 5), (1, 3, 1, 1)])
@pytest.mark.parametrize("momentum", [0.9, 0.25])
def test_batch_norm_in_onnxs_terms(shape, momentum):
    x = RNG.normal(3, 2, shape).astype(np.float32)
    theirs = _onnx_batch_norm(x, training_mode=1, momentum=momentum)
    how = {"unbiased": False, "momentum_of": "old", "allow_single": True}
    ours = ns.batch_norm(x, training=True, momentum=momentum, return_running=True, **how)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
