"""Operators in PyTorch's autograd: its gradcheck and gradgradcheck pass for all of them."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import numseg as ns
from numseg.operator import Operator
from numseg.ops.registry import OPERATORS
from numseg.testing import cases

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers

from numseg.interop.torch import Layer, function  # noqa: E402  (only where torch is)

DIFFERENTIABLE = [name for name, op in OPERATORS.items() if op.differentiable]


def _small(op: Operator[..., Any], count: int) -> list[dict[str, Any]]:
    """Arguments of calls with few numbers, none at a kink."""
    found = []
    for number, case in enumerate(cases.drawn(op, 60, full=True)):
        arguments = case.arguments("reals", np.float64, number)
        arrays = [a for n in op.inputs for a in _parts(arguments.get(n))]
        if sum(a.size for a in arrays) <= 80:
            found.append(arguments)
    return found[:count]


def _parts(entry: Any) -> list[Any]:
    return [] if entry is None else list(entry) if isinstance(entry, (list, tuple)) else [entry]


def _of_tensors(op: Operator[..., Any], arguments: dict[str, Any]) -> tuple[Any, list[Any]]:
    """A function of those tensors that have a derivative, and the tensors."""
    tensors: list[Any] = []
    makers = {}
    for name in op.inputs:
        entry = arguments.get(name)
        if entry is None:
            continue
        made = []
        for array in _parts(entry):
            tensor = torch.tensor(array)
            if name not in op.differentiable:
                made.append(lambda given, tensor=tensor: tensor)
            else:
                fixed = torch.zeros(array.shape, dtype=bool)
                if name in op.fixed:
                    fixed[op.fixed[name]] = True
                number = len(tensors)
                made.append(lambda given, n=number, t=tensor, f=fixed: torch.where(f, t, given[n]))
                tensors.append(tensor.clone().requires_grad_())
        makers[name] = made if isinstance(entry, (list, tuple)) else made[0]
    others = {n: v for n, v in arguments.items() if n not in op.inputs}

    def call(*given: Any) -> Any:
        arrays = {
            name: [make(given) for make in maker] if isinstance(maker, list) else maker(given)
            for name, maker in makers.items()
        }
        y = function(op)(**arrays, **others)
        return y[0] if isinstance(y, tuple) else y

    return call, tensors


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # PyTorch's, of itself
@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradcheck(name: str) -> None:
    op = OPERATORS[name]
    found = _small(op, 4)
    assert len(found) >= 2
    for arguments in found:
        call, tensors = _of_tensors(op, arguments)
        assert torch.autograd.gradcheck(call, tensors, check_forward_ad=True), arguments


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradgradcheck(name: str) -> None:
    op = OPERATORS[name]
    for arguments in _small(op, 3):
        call, tensors = _of_tensors(op, arguments)
        if _has_double_backward(op, arguments):
            assert torch.autograd.gradgradcheck(call, tensors), arguments
            continue
        (gradient, *_) = torch.autograd.grad(call(*tensors).sum(), tensors, create_graph=True)
        with pytest.raises(ns.ArgumentError, match="has no double_backward"):
            gradient.sum().backward()


def _has_double_backward(op: Operator[..., Any], arguments: dict[str, Any]) -> bool:
    y, saved = op.forward(**arguments)
    try:
        op.double_backward(saved, np.ones_like(y[0] if isinstance(y, tuple) else y), {})
    except ns.ArgumentError as error:
        if "has no double_backward" not in str(error):
            raise
        return False
    return True


def test_nothing_is_copied() -> None:
    x, w = torch.zeros(1, 1, 4, 4), torch.ones(1, 1, 2, 2, requires_grad=True)
    _, saved = ns.conv2d.forward(x, w.detach())
    assert np.shares_memory(saved.x, x.numpy())
    y = function(ns.conv2d)(x, w)
    assert [t.data_ptr() for t in y.grad_fn.saved_tensors[:2]] == [x.data_ptr(), w.data_ptr()]
    y = function(ns.softmax)(x.requires_grad_())
    assert y.grad_fn.saved_tensors[0].data_ptr() == y.data_ptr()


def test_what_backward_does_not_read_is_let_go() -> None:
    """softmax keeps its result and not its argument; nothing is kept once backward is done."""
    hidden = torch.zeros(1, 3, 2, requires_grad=True) * 1
    y = function("softmax")(hidden)
    kept = [tensor.untyped_storage() for tensor in y.grad_fn.saved_tensors if tensor is not None]
    assert hidden.data_ptr() not in [storage.data_ptr() for storage in kept]
    assert sum(storage.nbytes() for storage in kept) == y.nbytes + 4  # a handle is one number
    y.sum().backward()
    with pytest.raises(RuntimeError, match="second time"):
        y.sum().backward()


def test_a_tensor_that_was_changed_is_noticed() -> None:
    x, w = torch.ones(1, 1, 3, 3), torch.ones(1, 1, 2, 2, requires_grad=True)
    y = function(ns.conv2d)(x, w)
    x.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()
    scores = torch.ones(1, 2, 3, requires_grad=True)
    y = function(ns.softmax)(scores)
    y.detach().add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_only_what_is_wanted_is_computed() -> None:
    x, w = torch.ones(1, 1, 3, 3), torch.ones(1, 1, 2, 2, requires_grad=True)
    function(ns.conv2d)(x, w, bias=None, padding=1).sum().backward()
    assert x.grad is None
    assert w.grad.tolist() == [[[[9.0, 9.0], [9.0, 9.0]]]]
    with torch.no_grad():
        assert not function(ns.conv2d)(x, w).requires_grad


def test_results_besides_the_first() -> None:
    x = torch.arange(16.0).reshape(1, 1, 4, 4).requires_grad_()
    y, indices = function(ns.max_pool2d)(x, 2, return_indices=True)
    wanted, there = torch.nn.functional.max_pool2d(x, 2, return_indices=True)
    assert torch.equal(y, wanted)
    assert torch.equal(indices, there)
    assert not indices.requires_grad
    back = function(ns.max_unpool2d)(y, indices, 2)
    assert torch.equal(*torch.autograd.grad(back.sum(), x), x.new_zeros(x.shape).index_put_(
        (torch.tensor(0), torch.tensor(0), torch.tensor([1, 1, 3, 3]), torch.tensor([1, 3, 1, 3])),
        torch.tensor(1.0),
    ))  # fmt: skip


def test_sequences_of_tensors() -> None:
    a, b = torch.ones(1, 1, 2), torch.ones(1, 2, 2, requires_grad=True)
    y = function(ns.concat)([a, b])
    assert torch.equal(y, torch.cat([a, b], 1))
    (grad,) = torch.autograd.grad((y * y).sum(), b)
    assert torch.equal(grad, 2 * b)


def test_refusals_are_one_line() -> None:
    x = torch.ones(1, 1, 4, 4)
    for wrong, words in (
        (x.half(), r"relu: x is torch.float16, expected .*: convert it, x.float\(\)"),
        (x.bfloat16(), r"relu: x is torch.bfloat16, expected .*: convert it, x.float\(\)"),
        (x.numpy(), "relu: x must be a tensor, got ndarray"),
        (x.int(), "relu: x has dtype int32, expected float32 or float64"),
        (x.to("meta"), "relu: x has no view in NumPy"),
        (x.to_sparse(), "relu: x has no view in NumPy"),
    ):
        with pytest.raises(ns.ArgumentError, match=words):
            function(ns.relu)(wrong)
    with pytest.raises(ns.ArgumentError, match="conv2d: weight takes 2 channels"):
        function(ns.conv2d)(x, torch.ones(1, 2, 2, 2))
    with pytest.raises(ns.ArgumentError, match="numseg has no operator 'roi_alin'"):
        function("roi_alin")
    with pytest.raises(ns.ArgumentError, match="relu has no argument 'inplace', but x"):
        Layer(ns.relu, inplace=True)
    with pytest.raises(ns.ArgumentError, match="relu: 2 arguments given, but the layer takes 1"):
        Layer(ns.relu)(x, x)


def test_boxes_have_gradients_and_the_backward_is_the_same_every_time() -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 4, 16, 16, requires_grad=True)
    boxes = torch.cat([torch.zeros(64, 1), torch.rand(64, 4).cumsum(1) * 4], 1).requires_grad_()
    align = function(ns.roi_align)
    found = [torch.autograd.grad(align(x, boxes, 7).square().sum(), (x, boxes)) for _ in range(3)]
    assert all(torch.equal(a, b) for one in found for a, b in zip(one, found[0], strict=True))
    assert found[0][1][:, 1:].count_nonzero() > 200  # of 256: some have less than one pixel
    assert not found[0][1][:, 0].any()


@pytest.mark.parametrize(
    ("theirs", "op", "how"),
    [
        (
            lambda: torch.nn.Conv2d(2, 4, 3, padding=1, groups=2),
            ns.conv2d,
            {"padding": 1, "groups": 2},
        ),
        (lambda: torch.nn.ConvTranspose2d(2, 3, 2, stride=2), ns.conv_transpose2d, {"stride": 2}),
        (lambda: torch.nn.Linear(8, 3), ns.linear, {}),
        (lambda: torch.nn.GroupNorm(2, 2), ns.group_norm, {"num_groups": 2}),
        (lambda: torch.nn.BatchNorm2d(2), ns.batch_norm, {}),
    ],
    ids=["Conv2d", "ConvTranspose2d", "Linear", "GroupNorm", "BatchNorm2d"],
)
def test_layers_have_the_state_of_torch_nn(theirs: Any, op: Any, how: dict[str, Any]) -> None:
    """One loads the other's state, trains with the same numbers, and keeps the same statistics."""
    torch.manual_seed(0)
    theirs = theirs().double()
    state = {k: v for k, v in theirs.state_dict().items() if k != "num_batches_tracked"}
    ours = Layer(op, **{name: torch.zeros_like(value) for name, value in state.items()}, **how)
    ours.load_state_dict(state)
    assert set(dict(ours.named_parameters())) == set(dict(theirs.named_parameters()))
    x = torch.randn(3, 2, 8, 8, dtype=torch.float64)
    for training in (True, False):
        found = []
        for layer in (ours.train(training), theirs.train(training)):
            y = layer(x)
            layer.zero_grad()
            y.square().sum().backward()
            found.append([y, *(p.grad for _, p in sorted(layer.named_parameters()))])
        assert all(torch.allclose(a, b, rtol=1e-10) for a, b in zip(*found, strict=True))
    assert all(torch.allclose(ours.state_dict()[k], theirs.state_dict()[k]) for k in state)


def test_layers_hold_what_they_are_given() -> None:
    weight = torch.nn.Parameter(torch.ones(1, 1, 1, 1))
    layer = Layer("deform_conv2d", weight=weight, bias=None)
    assert layer.weight is weight
    assert "bias" not in layer.state_dict()
    y = layer(torch.ones(1, 1, 2, 2), torch.zeros(1, 2, 2, 2))
    assert torch.equal(y, torch.ones(1, 1, 2, 2))
    assert repr(Layer(ns.conv2d, weight=weight, padding=1)) == "Layer(conv2d, padding=1)"
    heads = Layer(ns.aspp2d, weights=[torch.ones(1, 2, 3, 3), torch.ones(1, 2, 3, 3)], rates=(1, 2))
    assert sorted(heads.state_dict()) == ["weights.0", "weights.1"]
    assert heads(torch.ones(1, 2, 4, 4)).requires_grad
    there = pickle.loads(pickle.dumps(copy.deepcopy(layer)))
    assert there.op is ns.deform_conv2d
    assert torch.equal(there.weight, weight)


def test_dropout_draws_from_pytorchs_generator() -> None:
    layer, x = Layer(ns.dropout, p=0.5), torch.ones(64)
    torch.manual_seed(1)
    first, second = layer(x), layer(x)
    torch.manual_seed(1)
    assert torch.equal(layer(x), first)
    assert not torch.equal(first, second)
    assert torch.equal(layer.eval()(x), x)


def test_the_definition_runs_too() -> None:
    x = torch.randn(1, 2, 5, 5, requires_grad=True)
    with ns.use("reference"):
        y = function(ns.conv2d)(x, torch.ones(1, 2, 3, 3))
        y.sum().backward()
    assert y.detach().numpy().tobytes() == (
        ns.conv2d.reference(x.detach(), torch.ones(1, 2, 3, 3)).tobytes()
    )
