"""What is asked of a whole network, whichever it is."""

from __future__ import annotations

import dataclasses

import numpy as np

import numseg as ns


def learned(graph) -> int:
    """How many numbers it learns."""
    trainable = set(graph.trainable)
    return sum(param.size for param in graph.params if param.name in trainable)


def total(graph) -> int:
    """How many numbers it learns or has as constants; running statistics do not count."""
    state = ("running_mean", "running_var")
    return sum(param.size for param in graph.params if not param.name.endswith(state))


def parameters(graph, seed=0, dtype=np.float64):
    """Start values, with norms, biases and zeros that are not those of the start: a norm that took
    the statistics of another one would not be seen otherwise."""
    rng, params = np.random.default_rng(seed), graph.init(seed, dtype)
    for name, array in params.items():
        if name.endswith("running_var") or (array.ndim == 1 and name.endswith("weight")):
            params[name] = rng.uniform(0.5, 1.5, array.shape).astype(dtype)
        elif array.ndim == 1 or not array.any():
            params[name] = rng.normal(scale=0.2, size=array.shape).astype(dtype)
    return params


def image(size, batch=2, channels=3, seed=2, dtype=np.float64):
    shape = (batch, channels, *((size, size) if isinstance(size, int) else size))
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


SMOOTH = {"relu": ns.silu, "clip": ns.tanh, "hard_swish": ns.silu, "hard_sigmoid": ns.sigmoid}


EPS = 1e-7
"""The step of differences: among thousands of windows some have two values so near each other that
a larger one would change which is the maximum. The tolerance is 2e-7 then."""


def smooth(graph):
    """The same network with smooth activations. Among thousands of relus some are always so near
    their kink that differences tell nothing; how they are connected can be seen without."""
    nodes = [
        dataclasses.replace(node, operator=SMOOTH[node.operator.__name__], attributes=())
        if node.operator.__name__ in SMOOTH
        else node
        for node in graph.nodes
    ]
    return dataclasses.replace(graph, nodes=tuple(nodes))


def check_gradients(graph, x, training=True):
    """Backward agrees with differences along random directions of all parameters and the image at
    once, for random multiples of all outputs."""
    graph = smooth(graph)
    params = parameters(graph, dtype=np.float64)
    names = [*graph.trainable, "x"]
    arrays = {name: (params | {"x": x})[name] for name in names}
    ends = np.cumsum([array.size for array in arrays.values()])
    several = len(graph.outputs) > 1
    shapes = graph.shapes(x.shape)
    rng = np.random.default_rng(3)
    factors = tuple(rng.normal(size=shapes[value.source]) for value in graph.outputs)

    def forward(vector):
        parts = np.split(vector, ends[:-1])
        given = {n: v.reshape(arrays[n].shape) for n, v in zip(names, parts, strict=True)}
        image = given.pop("x")
        y, tape = graph.forward(params | given, image, training=training, seed=1)
        ys = y if several else (y,)
        return np.array([sum(map(np.vdot, factors, ys))]), tape

    def backward(tape, grad_y):
        grads_y = tuple(grad_y * factor for factor in factors)
        grads = graph.backward(tape, grads_y if several else grads_y[0])
        return [np.concatenate([grads[name].ravel() for name in names])]

    vector = np.concatenate([array.ravel() for array in arrays.values()])
    report = ns.gradcheck((forward, backward), [vector], directions=3, jacobian=0, eps=EPS)
    assert report.status == "pass", report


def check_reference(graph, x, training=True):
    """By the definitions it gives the same, in inference and, if asked, in training."""
    params = parameters(graph, dtype=x.dtype.type)
    runs = [graph.run, lambda *given: graph.forward(*given, seed=1)[0]]
    for run in runs if training else runs[:1]:
        fast = run(params, x)
        with ns.use("reference"):
            defined = run(params, x)
        several = isinstance(fast, tuple)
        for a, b in zip(*((fast, defined) if several else ((fast,), (defined,))), strict=True):
            scale = np.abs(b).max()
            assert scale > 0
            np.testing.assert_allclose(
                a, b, rtol=0, atol=scale * (1e-10 if x.dtype == float else 1e-4)
            )
