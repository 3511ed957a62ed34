"""The distinct layers of a network beside PyTorch's: where inference or training loses its time.

Nodes that do the same with arrays of the same shapes are one layer, which is timed once and counts
as often as it occurs. For inference nodes are those that run: what a kernel applies in the store of
another node is part of that one, and PyTorch runs its operators one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from numseg.bench.report import DIRECTIONS, ratio
from numseg.bench.timing import Call, Case
from numseg.bench.torch_nodes import agree, counterpart, defaults
from numseg.graph import Graph, execute
from numseg.graph.execute import Mode
from numseg.graph.fuse import parts
from numseg.graph.network import Network, downstream
from numseg.graph.node import Node, Value, flat
from numseg.graph.profile import cost_of
from numseg.graph.summary import table
from numseg.kernels.machine.limits import Limits
from numseg.typing import Array


class Layer(NamedTuple):
    """Nodes that do the same."""

    nodes: list[str]
    node: Node
    """The first of them."""
    arguments: dict[str, Any]
    needs: tuple[str, ...]
    """The arguments whose gradients a training step wants."""
    flops: int
    bytes: int


def layers(graph: Graph, params: Mapping[str, Array], x: Array, training: bool) -> list[Layer]:
    """In the order in which they first occur, with the arrays that they meet there."""
    found: dict[Any, Layer] = {}
    plans = graph.plans(x, training=training)
    walked: Network = graph if training else graph.fused
    trained = downstream(graph, graph.trainable)

    def call(node: Node, arguments: dict[str, Any]) -> Any:
        needs: tuple[str, ...] = ()
        if training:
            needs = tuple(n for n, e in node.differentiable().items() if trained & set(flat(e)))
        key = (described(node, arguments, {}), needs)
        if key not in found:
            cost = cost_of([plans[part.name] for part in parts(node)])
            found[key] = Layer([], node, arguments, needs, *cost)
        found[key].nodes.append(" + ".join(part.name for part in parts(node)))
        return node.operator(**arguments)

    values = {Value(name): array for name, array in params.items()} | {
        Value(graph.inputs[0].name): x
    }
    execute.walk(walked, values, Mode(training=training), call)
    return list(found.values())


def described(node: Node, arguments: Mapping[str, Any], usual: Mapping[str, Any]) -> str:
    """The operators, the shapes of arrays, and what else differs from what is usual."""
    shapes, others = [], []
    for name, value in arguments.items():
        arrays = value if isinstance(value, tuple) and value and _is_array(value[0]) else (value,)
        if all(map(_is_array, arrays)):
            shapes += ["x".join(map(str, array.shape)) for array in arrays]
        elif name not in usual or usual[name] != value:
            others.append(f"{name}={value}")
    return " ".join([node.operator.__name__, *shapes, *others])


def label(layer: Layer) -> str:
    """Without biases, statistics, and what is usual."""
    (first, *_), arguments = parts(layer.node), {}
    for name, value in layer.arguments.items():
        number, _, argument = name.rpartition(".")
        vector = _is_array(value) and value.ndim == 1
        if number in ("", "0") and value is not None and argument != "seed" and not vector:
            arguments[argument] = value
    return described(layer.node, arguments, defaults(first.operator))


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray)


def cases(net: Mapping[str, Any], only: str = "") -> Iterator[Case]:
    """Of a network, ``{"net": ..., "input": shape, "training": ...}``, as
    :func:`numseg.training.make_network` takes the first: every distinct layer whose label contains
    ``only``, its results compared with PyTorch's before it is timed."""
    from numseg.training import make_network

    graph, training = make_network(net["net"]), bool(net["training"])
    x = np.random.default_rng(0).standard_normal(net["input"], np.float32)
    times, direction = (3, DIRECTIONS[1]) if training else (1, DIRECTIONS[0])
    for layer in layers(graph, graph.init(seed=0), x, training):
        name = label(layer)
        if only not in name:
            continue
        calls = {"numseg": _trained(layer) if training else _inferred(layer)}
        theirs = _torch(layer, training)
        if theirs is not None:
            calls["torch"] = theirs
            agree(name, calls)
        count = len(layer.nodes)
        yield Case(name, direction, calls, times * layer.flops, times * layer.bytes, count)


def _inferred(layer: Layer) -> Call:
    return lambda: [_first(layer.node.operator(**layer.arguments))]


def _trained(layer: Layer) -> Call:
    operator, needs = layer.node.operator, list(layer.needs)
    gy = _gradient(_first(operator(**layer.arguments)))

    def step() -> list[Any]:
        y, saved = operator.forward(**layer.arguments)
        grads = operator.backward(saved, gy, needs=needs) if needs else ()
        return [_first(y), *(g for grad in grads if grad is not None for g in _several(grad))]

    return step


def _torch(layer: Layer, training: bool) -> Call | None:
    """The same by PyTorch's operators, one by one; None where one has no counterpart."""
    import torch

    functions = [counterpart(part.operator) for part in parts(layer.node)]
    if None in functions:
        return None
    places = getattr(layer.node.operator, "places", ())  # of a chain
    given: list[dict[str, Any]] = [{} for _ in functions]
    for name, value in layer.arguments.items():
        number, _, argument = name.rpartition(".")
        given[int(number or 0)][argument] = _tensors(torch, value)

    def forward() -> Any:
        result = functions[0](torch, given[0])  # type: ignore[misc]
        for function, place, others in zip(functions[1:], places, given[1:], strict=True):
            result = function(torch, {**others, place: result})  # type: ignore[misc]
        return _first(result)

    def inferred() -> list[Any]:
        with torch.no_grad():
            return [forward()]

    if not training:
        return inferred
    leaves = [t.requires_grad_() for name in layer.needs for t in _several(given[0][name])]
    gy = torch.from_numpy(_gradient(inferred()[0].detach().numpy()))

    def step() -> list[Any]:
        y = forward()
        return [y.detach(), *(torch.autograd.grad(y, leaves, gy) if leaves else ())]

    return step


def _gradient(y: Array) -> Array:
    gy = np.empty(y.shape, y.dtype)
    gy[...] = np.random.default_rng(1).standard_normal(y.shape)
    return gy


def _tensors(torch: Any, value: Any) -> Any:
    """Copies, as some operators change the running statistics that they are given."""
    if isinstance(value, tuple) and value and _is_array(value[0]):
        return tuple(torch.from_numpy(array.copy()) for array in value)
    return torch.from_numpy(value.copy()) if _is_array(value) else value


def _first(results: Any) -> Any:
    return results[0] if isinstance(results, tuple) else results


def _several(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def losses(rows: Sequence[dict[str, Any]], limits: Limits) -> str:
    """A table of a network's layers: those first that cost it most beside PyTorch.

    ``lost`` is what the network would gain if the layer took no longer than PyTorch's.
    """
    total = sum(row["occurs"] * row["ms"]["numseg"]["median"] for row in rows)
    with_peer = [row for row in rows if "torch" in row["ms"]]
    saved = sum(max(_lost(row), 0) for row in rows)
    lines = []
    for row in sorted(rows, key=_lost, reverse=True):
        ours, peer = row["ms"]["numseg"]["median"], row["ms"].get("torch")
        beside = ("-", "-", "-")
        if peer is not None:
            beside = f"{peer['median']:.3f}", f"{ratio(row, 'torch'):.2f}", f"{_lost(row):.2f}"
        share = limits.share(row["flops"], row["bytes"], ours)
        of_all = f"{row['occurs'] * ours / total:.1%}"
        lines.append((
            row["row"], str(row["occurs"]), f"{ours:.3f}", of_all, f"{share:.0%}", *beside
        ))  # fmt: skip
    head = ("layer", "count", "ms", "of all", "of limit", "torch ms", "ratio", "ms lost")
    ours, theirs = (
        sum(row["occurs"] * row["ms"][who]["median"] for row in with_peer)
        for who in ("numseg", "torch")
    )
    least = sum(_share(row, limits) for row in rows)
    foot = [
        f"all layers: {total:.1f} ms; at the machine's limits {least:.1f} ms",
        f"at PyTorch's speed where that is higher: {saved:.1f} ms ({saved / total:.0%}) less",
    ]
    if with_peer:
        ours_of = "" if len(with_peer) == len(rows) else f", {ours:.1f} ms of the layers it has"
        foot.insert(1, f"PyTorch: {theirs:.1f} ms{ours_of}, ratio {theirs / ours:.2f}")
    return table(head, lines, 1, *foot)


def _lost(row: dict[str, Any]) -> float:
    """Milliseconds of the network, beside PyTorch; less than none is won."""
    ms = row["ms"]
    return (
        row["occurs"] * (ms["numseg"]["median"] - ms["torch"]["median"]) if "torch" in ms else 0.0
    )


def _share(row: dict[str, Any], limits: Limits) -> float:
    """Milliseconds of the network at the limits."""
    ours = row["ms"]["numseg"]["median"]
    return float(row["occurs"] * ours * min(limits.share(row["flops"], row["bytes"], ours), 1))
