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
    """Start values of He's size, with norms, biases and zeros that are not those of the start: a
    norm that took the statistics of another one would not be seen otherwise, and after ten layers
    of small weights nothing is left of the image."""
    rng, params = np.random.default_rng(seed), graph.init(seed, dtype)
    for name, array in params.items():
        if name.endswith("running_var") or (array.ndim == 1 and name.endswith("weight")):
            params[name] = rng.uniform(0.5, 1.5, array.shape).astype(dtype)
        elif array.ndim == 1 or not array.any():
            params[name] = rng.normal(scale=0.2, size=array.shape).astype(dtype)
    for name in graph.trainable:
        if (array := params[name]).ndim > 1:
            size = np.sqrt(2 / array[0].size / np.mean(array * array))
            params[name] = (array * size).astype(dtype)
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
            shares |= {v.source: share for v in entries if v.source in tape.updates}
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


SMOOTH = {"clip": ns.tanh, "hard_swish": ns.silu, "hard_sigmoid": ns.sigmoid}

STEP = 1e-8
"""Of differences: what a step changes, over what the network gives. Among thousands of windows some
have two values so near each other that a larger one would change which is the maximum."""
TOLERANCE = 3e-4
"""Of a difference to which each parameter adds 1 or -1: a gradient that is wrong by a thousandth of
its length is seen, whatever its length, be it that of the image or of one bias."""
FLAT = 1e-9
"""A shorter gradient, over what the network gives, has to be 0: that of a bias before a norm, which
takes it away again."""
DIRECTIONS = 3


def smooth(graph):
    """The same network with smooth activations. Among thousands of relus some are always so near
    their kink that differences tell nothing; how they are connected can be seen without. Without
    norms it is tanh, which leaves small numbers as large as they are."""
    normed = any(node.operator is ns.batch_norm for node in graph.nodes)
    instead = SMOOTH | {"relu": ns.silu if normed else ns.tanh}
    nodes = [
        dataclasses.replace(node, operator=instead[node.operator.__name__], attributes=())
        if node.operator.__name__ in instead
        else node
        for node in graph.nodes
    ]
    return dataclasses.replace(graph, nodes=tuple(nodes))


def check_gradients(graph, x, *, modes=None, backward=ns.Graph.backward):
    """Backward agrees with central differences, for every parameter and the image, for random
    multiples of all outputs.

    All change at once, each along its gradient and as far to a random side, by a step so long that
    each adds 1 or -1 to the derivative: none is hidden by another's size.

    ``modes``: whether as in training. By default both, if there are two; in inference running
    statistics are those of x.
    """
    graph = smooth(graph)
    if modes is None:
        two = any(node.operator in (ns.batch_norm, ns.dropout) for node in graph.nodes)
        modes = (False, True) if two else (False,)
    start = parameters(graph)
    for training in modes:
        at = (start if training else settled(graph, start, x)) | {"x": x}
        _check_gradients(graph, at, training, backward)


def _check_gradients(graph, at, training, backward):
    rng = np.random.default_rng(3)
    factors = [rng.normal(size=graph.shapes(at["x"].shape)[v.source]) for v in graph.outputs]

    def forward(given):
        params = {name: array for name, array in given.items() if name != "x"}
        y, tape = graph.forward(params, given["x"], training=training, seed=1)
        return y if isinstance(y, tuple) else (y,), tape

    def derivative(directions):
        """Of the outputs' sum by their factors, over its size."""
        ends = [
            forward(at | {n: at[n] + step * d for n, d in directions.items()})[0]
            for step in (STEP, -STEP)
        ]
        found = sum(np.vdot(f, a - b) for f, a, b in zip(factors, *ends, strict=True))
        return found / (2 * STEP * scale)

    ys, tape = forward(at)
    scale = np.sqrt(sum(np.sum((f * y) ** 2) for f, y in zip(factors, ys, strict=True)))
    grads = backward(graph, tape, tuple(factors) if len(factors) > 1 else factors[0])
    grads = {name: grads[name] / scale for name in (*graph.trainable, "x")}
    lengths = {name: np.linalg.norm(grad) for name, grad in grads.items()}
    steep = [name for name, length in lengths.items() if length > FLAT]
    assert "x" in steep
    for _ in range(DIRECTIONS):
        signs = rng.choice([-1, 1], len(steep))
        directions = {
            name: sign * _along(grads[name], rng) / lengths[name]
            for name, sign in zip(steep, signs, strict=True)
        }
        error = derivative(directions) - signs.sum()
        longest = max(steep, key=lambda name: 1 / lengths[name])
        assert abs(error) < TOLERANCE, (training, error, longest, lengths[longest])
    flat = {n: rng.normal(size=g.shape) for n, g in grads.items() if n not in steep}
    assert abs(derivative(flat)) < 100 * FLAT * max(len(flat), 1), (training, sorted(flat))


def _along(grad, rng):
    """A direction of which a part is the gradient's, of length 1, and another, of length 1 too, is
    perpendicular to it."""
    grad = grad / np.linalg.norm(grad)
    side = rng.normal(size=grad.shape)
    side -= np.vdot(side, grad) * grad
    length = np.linalg.norm(side)
    return grad + side / length if grad.size > 1 and length > 0 else grad


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
