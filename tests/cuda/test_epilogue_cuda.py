"""What a convolution on CUDA does before it stores has the bits of one operator after the other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numseg as ns
from numseg.cuda import runtime
from numseg.cuda.arrays import Cuda
from numseg.graph import Graph, he_normal

if not runtime.cuda_available():
    pytest.skip("no GPU: NUMBA_ENABLE_CUDASIM=1 pytest tests/cuda", allow_module_level=True)

from numseg.ops.conv2d import cuda as conv2d
from numseg.ops.conv2d import cuda_tiles

ACTIVATIONS: dict[str, dict[str, Any]] = {
    "relu": {},
    "hard_swish": {},
    "silu": {},
    "sigmoid": {},
    "hard_sigmoid": {"alpha": 0.2, "beta": 0.4},
    "clip": {"min": -0.5, "max": 0.25, "boundary": "outside"},
}
GROWN = 16 if not runtime.simulated() else 1
"""Times as many channels and filters on a GPU, where tiles are larger."""


def network(k: int, groups: int, before: tuple[str, ...], activation: str) -> Graph:
    """A convolution of 4 channels with a bias, a norm and a sum if they are asked for."""
    net, c = Graph.build(), 4 * GROWN
    x, other = net.input("x"), net.input("other")
    weight = net.param("w", (c, c // groups, k, k), he_normal)
    h = net.add(ns.conv2d, x, weight, net.param("b", (c,), he_normal), padding=k // 2,
                groups=groups)  # fmt: skip
    if "batch_norm" in before:
        norm = [net.param(name, (c,), he_normal) for name in ("mean", "var", "scale", "shift")]
        h = net.add(ns.batch_norm, h, *norm)
    if "add" in before:
        h = net.add(ns.add, other, h)
    h = net.add(getattr(ns, activation), h, **ACTIVATIONS[activation])
    return net.output(h) if "add" in before else net.output(h, net.add(ns.relu, other))


def arrays(graph: Graph, size: int, dtype: Any) -> tuple[dict[str, Any], list[Any]]:
    rng = np.random.default_rng(0)
    params = {p.name: rng.normal(size=p.shape).astype(dtype) for p in graph.params}
    params |= {n: np.abs(a) + dtype(0.5) for n, a in params.items() if n == "var"}
    inputs = rng.normal(size=(2, 1, 4 * GROWN, size, size)).astype(dtype)
    inputs[0].reshape(-1)[:3] = np.nan, -0.0, np.inf
    return {n: Cuda.from_host(a) for n, a in params.items()}, [Cuda.from_host(a) for a in inputs]


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The kernels that convolutions ran."""
    names: list[str] = []

    def listening(launch: Any) -> Any:
        def noted(kernel: Any, *args: Any) -> None:
            names.append(kernel.function.__name__)
            launch(kernel, *args)

        return noted

    for module, name in ((conv2d, "launch"), (cuda_tiles, "launch_blocks")):
        monkeypatch.setattr(module, name, listening(getattr(module, name)))
    return names


def same(found: Any, expected: Any) -> None:
    for a, b in zip(found, expected, strict=True):
        one, other = Cuda.to_host(a), Cuda.to_host(b)
        np.testing.assert_array_equal(one, other)
        there = ~np.isnan(one)
        np.testing.assert_array_equal(np.signbit(one)[there], np.signbit(other)[there])


def both(graph: Graph, size: int, dtype: Any) -> tuple[Any, Any]:
    """The outputs by chains, and by one operator after the other."""
    params, inputs = arrays(graph, size, dtype)
    with np.errstate(invalid="ignore"):  # infinity times zero, in the simulator
        found = graph.run(params, *inputs)
        expected, _ = graph.forward(params, *inputs, training=False)
    return (found, expected) if isinstance(found, tuple) else ((found,), (expected,))


KERNELS: dict[str, tuple[int, int, int]] = {
    # kernel, size of the image, groups
    "_forward": (1, 1, 1),
    "_depthwise": (3, 3, 4 * GROWN),
    "_correlate_small": (3, 3, 1),
    "_correlate_straight_small": (1, 4, 1),
}


@pytest.mark.parametrize("kernel", KERNELS)
def test_every_kernel_takes_it_in(kernel: str, launched: list[str]) -> None:
    k, size, groups = KERNELS[kernel]
    if kernel == "_correlate_small" and not runtime.simulated():
        size = 8
    graph = network(k, groups, ("batch_norm", "add"), "hard_sigmoid")
    assert [n.operator.__name__ for n in graph.fused.nodes] == [
        "conv2d + batch_norm + add + hard_sigmoid"
    ]
    params, inputs = arrays(graph, size, np.float32)
    with np.errstate(invalid="ignore"):
        graph.run(params, *inputs)
    assert [name for name in launched if not name.startswith(("_pack", "_tab"))] == [kernel]
    same(*both(graph, size, np.float32))


@pytest.mark.parametrize("before", [(), ("batch_norm",), ("add",)], ids=["", "norm", "add"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_has_its_bits(activation: str, before: tuple[str, ...]) -> None:
    dtype = np.float64 if before else np.float32
    same(*both(network(1, 4 * GROWN, before, activation), 2, dtype))


def test_a_norm_of_the_batch_is_computed_apart(launched: list[str]) -> None:
    net = Graph.build()
    x, w = net.input("x"), net.param("w", (4, 4, 1, 1), he_normal)
    h = net.add(ns.batch_norm, net.add(ns.conv2d, x, w), training=True)
    graph = net.output(net.add(ns.relu, h))
    params = {n: Cuda.from_host(a) for n, a in graph.init().items()}
    there = Cuda.from_host(np.random.default_rng(0).normal(size=(2, 4, 1, 1)).astype(np.float32))
    expected = ns.relu(ns.batch_norm(ns.conv2d(there, params["w"]), training=True))
    same([graph.run(params, there)], [expected])


def test_a_chain_whose_arrays_are_apart_says_so() -> None:
    graph = network(1, 1, ("add",), "relu")
    params, (x, other) = arrays(graph, 1, np.float32)
    with pytest.raises(ns.DeviceError, match=r"add: .* is on the CPU"):
        graph.run(params, x, Cuda.to_host(other))
