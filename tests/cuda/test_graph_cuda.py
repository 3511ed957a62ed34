"""A graph runs where its arrays are."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns
from numseg.cuda import runtime
from numseg.cuda.arrays import Cuda
from numseg.graph import Graph, he_normal, zeros

if not runtime.cuda_available():
    pytest.skip(
        "no GPU: NUMBA_ENABLE_CUDASIM=1 pytest tests/cuda, after pip install '.[cuda-test]'",
        allow_module_level=True,
    )


def small() -> Graph:
    net = Graph.build()
    weight = net.param("conv.weight", (2, 3, 3, 3), he_normal)
    h = net.add(ns.conv2d, net.input("x"), weight, net.param("conv.bias", (2,), zeros), name="conv")
    return net.output(net.add(ns.max_pool2d, h, 2, name="pool"))


def test_values_and_gradients_stay_on_the_device():
    graph = small()
    rng = np.random.default_rng(0)
    # integers: no rounding, so the bits are the CPU's
    params = {p.name: rng.integers(-3, 4, p.shape).astype(np.float32) for p in graph.params}
    x = rng.integers(-3, 4, (1, 3, 6, 6)).astype(np.float32)
    grad_y = rng.integers(-3, 4, (1, 2, 2, 2)).astype(np.float32)
    expected, tape = graph.forward(params, x)
    gradients = graph.backward(tape, grad_y)

    there = {name: Cuda.from_host(array) for name, array in params.items()}
    y, tape = graph.forward(there, Cuda.from_host(x))
    found = graph.backward(tape, Cuda.from_host(grad_y))
    np.testing.assert_array_equal(Cuda.to_host(y), expected)
    assert list(found) == list(gradients)
    for name, gradient in gradients.items():
        assert hasattr(found[name], "copy_to_host")
        np.testing.assert_array_equal(Cuda.to_host(found[name]), gradient)
    with ns.use("reference"):
        np.testing.assert_array_equal(Cuda.to_host(graph.run(there, Cuda.from_host(x))), expected)


def test_errors_name_the_node():
    graph = small()
    params = graph.init()
    with pytest.raises(ns.DeviceError, match=r"^conv: conv2d: weight is on the CPU, but"):
        graph.run(params, Cuda.from_host(np.ones((1, 3, 6, 6), np.float32)))
