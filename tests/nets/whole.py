"""What is asked of a whole network, whichever it is."""

from __future__ import annotations

import numpy as np

import numseg as ns


def learned(graph) -> int:
    """How many numbers it learns."""
    trainable = set(graph.trainable)
    return sum(param.size for param in graph.params if param.name in trainable)


def parameters(graph, seed=0, dtype=np.float64):
    """Start values, with norms and biases that are not those of the start: a norm that took the
    statistics of another one would not be seen otherwise."""
    rng, params = np.random.default_rng(seed), graph.init(seed, dtype)
    for name, array in params.items():
        if name.endswith("running_var") or (array.ndim == 1 and name.endswith("weight")):
            params[name] = rng.uniform(0.5, 1.5, array.shape).astype(dtype)
        elif array.ndim == 1:
            params[name] = rng.normal(scale=0.2, size=array.shape).astype(dtype)
    return params


def image(size, batch=2, channels=3, seed=2, dtype=np.float64):
    shape = (batch, channels, *((size, size) if isinstance(size, int) else size))
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def check_gradients(graph, x, training=True):
    """Those of every parameter and of the image agree with differences along random directions."""
    params, names = parameters(graph), [*graph.trainable, "x"]
    seeds = np.random.default_rng(3)
    shapes = graph.shapes(x)
    several = len(graph.outputs) > 1
    # one number per run: some multiple of each output, so that one gradient serves them all
    weights = [seeds.normal(size=shapes[value.source]) for value in graph.outputs]

    def forward(*arrays):
        given = dict(zip(names, arrays, strict=True))
        y, tape = graph.forward(
            params | {n: given[n] for n in graph.trainable}, given["x"], training=training
        )
        ys = y if several else (y,)
        total = sum(np.vdot(w, y) for w, y in zip(weights, ys, strict=True))
        return np.asarray([total]), tape

    def backward(tape, grad_y):
        grads_y = tuple(grad_y * weight for weight in weights)
        grads = graph.backward(tape, grads_y if several else grads_y[0])
        return [grads[name] for name in names]

    arrays = [*(params[name] for name in graph.trainable), x]
    report = ns.gradcheck((forward, backward), arrays, directions=2, jacobian=0)
    assert report, report


def check_reference(graph, x):
    """By the definitions it gives the same, in inference and in training."""
    params = parameters(graph, dtype=x.dtype.type)
    for run in (graph.run, lambda *given: graph.forward(*given, seed=1)[0]):
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
