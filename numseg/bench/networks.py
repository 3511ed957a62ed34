"""Whole networks beside the same graph run by PyTorch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import numseg as ns
from numseg.bench.timing import Call, Case
from numseg.bench.torch_nodes import counterpart
from numseg.graph import Graph
from numseg.graph.node import Measured
from numseg.training.optimisers import SGD

LR, MOMENTUM = 1e-4, 0.9  # a small rate: each call is a step on


def cases(only: str = "") -> Iterator[Case]:
    """Inference, and one training step: forward, cross-entropy, backward, SGD with momentum."""
    rng = np.random.default_rng(0)
    for name, graph, shape in _networks():
        if only not in name:
            continue
        x = rng.standard_normal(shape, np.float32)
        params = graph.init(seed=0)
        y = graph.run(params, x)
        target = rng.integers(0, y.shape[1], (y.shape[0], *y.shape[2:]))
        flops = sum(plan.flops for plan in graph.plans(x).values())
        size = sum(p.nbytes for p in params.values()) + x.nbytes + y.nbytes
        ours, theirs = _numseg(graph, params, x, target), _torch(graph, params, x, target)
        for times, direction in ((1, "forward"), (3, "forward and backward")):
            calls = {"numseg": ours[direction], "torch": theirs[direction]}
            got, want = (np.asarray(call()) for call in calls.values())
            np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-4 * float(np.abs(want).max()))
            yield Case(name, direction, calls, times * flops, times * size)


def _networks() -> Iterator[tuple[str, Graph, tuple[int, ...]]]:
    yield "U-Net 3x256x256", ns.nets.unet(3, 21, padding="same"), (1, 3, 256, 256)


def _numseg(graph: Graph, params: Any, x: Any, target: Any) -> dict[str, Call]:
    sgd = SGD(LR, MOMENTUM)
    now = {name: p.copy() for name, p in params.items()}
    state = sgd.start({name: now[name] for name in graph.trainable})

    def step() -> Any:
        nonlocal now, state
        y, tape = graph.forward(now, x)
        loss, saved = ns.cross_entropy.forward(y, target)
        (grad,) = ns.cross_entropy.backward(saved, np.ones_like(loss), needs=["x"])[:1]
        grads = graph.backward(tape, grad, needs=graph.trainable)
        now, state = sgd.step(now, grads, state, donate=True)
        return loss

    return {"forward": lambda: graph.run(params, x), "forward and backward": step}


def _torch(graph: Graph, params: Any, x: Any, target: Any) -> dict[str, Call]:
    import torch

    tensors = {n: torch.from_numpy(p.copy()).requires_grad_() for n, p in params.items()}
    fixed = {n: torch.from_numpy(p) for n, p in params.items()}
    image, labels = torch.from_numpy(x), torch.from_numpy(target)
    momenta = [torch.zeros_like(p) for p in tensors.values()]

    def forward() -> Any:
        with torch.no_grad():
            return _run(graph, fixed, image)

    def step() -> Any:
        loss = torch.nn.functional.cross_entropy(_run(graph, tensors, image), labels)
        grads = torch.autograd.grad(loss, list(tensors.values()))
        with torch.no_grad():
            for p, m, g in zip(tensors.values(), momenta, grads, strict=True):
                p.add_(m.mul_(MOMENTUM).add_(g), alpha=-LR)
        return loss.detach()

    return {"forward": forward, "forward and backward": step}


def _run(graph: Graph, tensors: dict[str, Any], image: Any) -> Any:
    """The graph, node by node, by PyTorch's operators."""
    import torch

    values = {**tensors, graph.inputs[0].name: image}

    def value(entry: Any) -> Any:
        if entry is None:
            return None
        return (
            [values[v.source] for v in entry] if isinstance(entry, tuple) else values[entry.source]
        )

    for node in graph.nodes:
        arguments = {
            name: value(entry) for name, entry in node.entries(node.operator.inputs).items()
        }
        given = {
            name: given.of(*(tuple(values[value.source].shape) for value in given.values))
            if isinstance(given, Measured)
            else given
            for name, given in node.attributes
        }
        function = counterpart(node.operator)
        assert function is not None, node.operator.__name__
        values[node.name] = function(torch, arguments | given)
    return values[graph.outputs[0].source]
