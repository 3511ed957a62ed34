"""A graph runs where its arrays are."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns
from numseg.cuda import runtime
from numseg.cuda.arrays import Cuda
from numseg.graph import Graph, he_normal, zeros
from numseg.nets.crf import crf_rnn

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


def test_a_network_with_a_crf_is_trained_there():
    """Scores, features and compatibilities are made on the device, and so are their gradients."""
    net = Graph.build()
    image = net.input("x")
    scores = net.add(ns.conv2d, image, net.param("conv.weight", (2, 3, 1, 1), he_normal))
    graph = net.output(crf_rnn(net, "crf", scores, image, 3, 2, colour_unit=0.05, iterations=2))
    rng = np.random.default_rng(0)
    params = graph.init(0, np.float64)
    x, grad_y = rng.uniform(0, 9, (1, 3, 3, 4)), rng.standard_normal((1, 2, 3, 4))
    expected, tape = graph.forward(params, x)
    gradients = graph.backward(tape, grad_y)
    y, tape = graph.forward(
        {name: Cuda.from_host(array) for name, array in params.items()}, Cuda.from_host(x)
    )
    found = graph.backward(tape, Cuda.from_host(grad_y))
    np.testing.assert_allclose(Cuda.to_host(y), expected, rtol=1e-12, atol=1e-12)
    assert {"crf.compat1", "crf.width2", "conv.weight", "x"} <= set(found) == set(gradients)
    for name, gradient in gradients.items():
        np.testing.assert_allclose(Cuda.to_host(found[name]), gradient, rtol=1e-9, atol=1e-11)


def test_errors_name_the_node():
    graph = small()
    params = graph.init()
    with pytest.raises(ns.DeviceError, match=r"^conv: conv2d: weight is on the CPU, but"):
        graph.run(params, Cuda.from_host(np.ones((1, 3, 6, 6), np.float32)))
