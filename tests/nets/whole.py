"""What is asked of a whole network, whichever it is."""

from __future__ import annotations

import dataclasses

import numpy as np

import numseg as ns
from numseg.graph import Value, execute


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


def settled(graph, params, x):
    """The same parameters, with running statistics that are those of x: so that in inference, too,
    numbers are of the order of 1 everywhere, and every parameter matters."""
    tape = graph.forward(params, x, seed=1)[1]
    shares = {}  # of the new statistics in the running ones
    for node in graph.nodes:
        if node.operator is ns.batch_norm:
            entries = node.entries(["running_mean", "running_var"]).values()
            share = dict(node.attributes).get("momentum", 0.1)
            shares |= {value.source: share for value in entries}
    return params | {
        name: (tape.updates[name] - (1 - share) * params[name]) / share
        for name, share in shares.items()
    }


def image(size, batch=2, channels=3, seed=2, dtype=np.float64):
    shape = (batch, channels, *((size, size) if isinstance(size, int) else size))
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def plan_unchecked(graph, shape):
    """Plan every node for an image of this shape, whatever the graph's own check says of it."""
    values = {Value(param.name): ns.Spec(param.shape) for param in graph.params}
    values[Value("x")] = ns.Spec(shape)

    def call(node, arguments):
        return node.operator.plan(**arguments).outputs[: node.results]

    execute.walk(graph, values, execute.Mode(), call)


SMOOTH = {"relu": ns.silu, "clip": ns.tanh, "hard_swish": ns.silu, "hard_sigmoid": ns.sigmoid}


EPS = 1e-7
"""The step of differences: among thousands of windows some have two values so near each other that
a larger one would change which is the maximum. The tolerance is 2e-7 then."""


SEEN = 3
"""A gradient so many times the tolerance is seen if it is missing, and if it is half as large or
twice."""
ROUNDING = 1e-13
"""Of what a norm takes away again, the gradient is 0 but for roundings."""


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


def check_gradients(graph, x, training=True, *, settle=False, every=False):
    """Backward agrees with differences along random directions of all parameters and the image at
    once, for random multiples of all outputs.

    ``settle``: by running statistics that are those of x. ``every``: and each gradient is so large
    that it would be seen, were it wrong.
    """
    graph = smooth(graph)
    params = parameters(graph, dtype=np.float64)
    if settle:
        params = settled(graph, params, x)
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

    if not every:
        return
    # Would it have been seen, had one gradient been wrong? An error is relative to this scale.
    y, tape = forward(vector)
    (gradient,) = backward(tape, np.ones(1))
    scale = np.abs(y).sum() + (np.abs(gradient) * np.maximum(np.abs(vector), 1)).sum()
    parts = dict(zip(names, np.split(gradient, ends[:-1]), strict=True))
    sizes = {name: np.linalg.norm(part) / scale for name, part in parts.items()}
    unseen = {n: size for n, size in sizes.items() if ROUNDING < size < SEEN * report.tolerance}
    assert not unseen, f"too small to be seen wrong: {unseen}"


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
