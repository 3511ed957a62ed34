"""Prepared inferences: the bits of one operator after the other, little memory, and nothing that
the caller has is written to."""

from __future__ import annotations

import threading
import tracemalloc

import numpy as np
import pytest

import numseg as ns
from numseg.graph import Graph, he_normal, memory, zeros
from numseg.graph.memory import Block
from numseg.operator import Spec

rng = np.random.default_rng(0)
STRANGE = np.array([np.nan, np.inf, -np.inf, -0.0, 0.0, 1e-30, -7.0, 3e38], np.float32)


def chain(*after, conv=None, **params) -> Graph:
    """conv2d of 16 channels, then the operators that are named, with what they need."""
    net = Graph.build()
    x, other = net.input("x"), net.input("other")
    w = net.param("w", (16, 16 // params.get("groups", 1), 3, 3), he_normal)
    h = net.add(ns.conv2d, x, w, net.param("b", (16,), zeros), padding=1, **params)
    for name, given in after:
        if name == "batch_norm":
            state = (net.param(f"{k}{name}", (16,), zeros) for k in ("mean", "var", "w", "b"))
            h = net.add(ns.batch_norm, h, *state, training=net.training, eps=1e-3)
        elif name == "add":
            h = net.add(ns.add, h, other)
        else:
            h = net.add(getattr(ns, name), h, **given)
    if all(name != "add" for name, _ in after):
        h = net.add(ns.add, net.add(ns.tanh, other), net.add(ns.multiply, h, h))
    return net.output(h)


def values(graph: Graph, dtype=np.float32) -> dict[str, np.ndarray]:
    params = {p.name: rng.normal(size=p.shape).astype(dtype) for p in graph.params}
    return {n: np.abs(a) + dtype(0.5) if n.startswith("var") else a for n, a in params.items()}


def same(a: np.ndarray, b: np.ndarray) -> None:
    np.testing.assert_array_equal(a, b)
    there = ~np.isnan(a)
    np.testing.assert_array_equal(np.signbit(a)[there], np.signbit(b)[there])


ACTIVATIONS = {
    "relu": {},
    "hard_swish": {},
    "silu": {},
    "sigmoid": {},
    "hard_sigmoid": {"alpha": 0.2, "beta": 0.4},
    "clip": {"min": 0.0, "max": 6.0, "boundary": "outside"},
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("groups", [1, 16])
def test_an_epilogue_has_the_bits_of_its_operators(activation, groups, dtype):
    last = (activation, ACTIVATIONS[activation])
    for before in ((), ("batch_norm",), ("add",), ("batch_norm", "add")):
        graph = chain(*((name, {}) for name in before), last, groups=groups)
        names = [node.operator.__name__ for node in graph.fused.nodes]
        assert " + ".join(("conv2d", *before, activation)) in names
        params = values(graph, dtype)
        for size in (7, 21):
            x, other = rng.normal(size=(2, 2, 16, size, size)).astype(dtype) * 4
            chosen = rng.random(x.shape) < 0.01
            x[chosen] = rng.choice(STRANGE, int(chosen.sum()))
            y, _ = graph.forward(params, x, other, training=False)
            for threads in (1, 2):
                with ns.num_threads(threads):
                    same(graph.run(params, x, other), y)


def test_one_activation_only():
    graph = chain(("relu", {}), ("sigmoid", {}))
    assert [n.operator.__name__ for n in graph.fused.nodes][:2] == ["conv2d + relu", "sigmoid"]


def test_a_norm_of_the_batch_is_no_epilogue():
    net = Graph.build()
    x, w = net.input("x"), net.param("w", (4, 4, 3, 3), he_normal)
    h = net.add(ns.batch_norm, net.add(ns.conv2d, x, w, padding=1), training=True)
    graph = net.output(net.add(ns.relu, h))
    params, x = graph.init(), rng.normal(size=(2, 4, 5, 5)).astype(np.float32)
    expected = ns.relu(ns.batch_norm(ns.conv2d(x, params["w"], padding=1), training=True))
    same(graph.run(params, x), expected)


def test_infinite_weights_are_seen_behind_every_epilogue():
    for activation, given in ACTIVATIONS.items():
        graph = chain(("batch_norm", {}), (activation, given))
        params = values(graph)
        params["w"][3, 2, 0, 0] = -np.inf
        x, other = rng.normal(size=(2, 1, 16, 6, 6)).astype(np.float32)
        same(graph.run(params, x, other), graph.forward(params, x, other, training=False)[0])


def test_dropout_is_not_there():
    net = Graph.build()
    h = net.add(ns.tanh, net.input("x"))
    h = net.add(ns.dropout, h, 0.5, training=net.training, seed=net.seed, name="d")
    h = net.add(ns.dropout, h, 0.1, training=net.training, seed=net.seed, name="e")
    graph = net.output(net.add(ns.relu, h))
    assert [n.operator.__name__ for n in graph.fused.nodes] == ["tanh", "relu"]
    x = rng.normal(size=9)
    same(graph.run({}, x), ns.relu(ns.tanh(x)))
    part = graph.at("d")  # the caller wants it
    assert len(part.fused.nodes) == 2
    same(part.run({}, x), ns.tanh(x))


@pytest.mark.parametrize("given", [{"inverted": False}, {"training": True, "seed": 3}])
def test_dropout_that_does_something_stays(given):
    net = Graph.build()
    x = net.input("x")
    attributes = {"training": net.training, "seed": net.seed, **given}
    graph = net.output(net.add(ns.relu, net.add(ns.dropout, x, 0.5, **attributes)))
    assert len(graph.fused.nodes) == 2
    x = rng.normal(size=50)
    seed = {"seed": given["seed"]} if "seed" in given else {"training": False, "inverted": False}
    same(graph.run({}, x), ns.relu(ns.dropout(x, 0.5, **seed)))


# -- memory -------------------------------------------------------------------------------------


def wide(layers: int) -> Graph:
    net = Graph.build()
    h = net.input("x")
    for _ in range(layers):
        h = net.add(ns.tanh, h)
    return net.output(h)


def test_results_share_memory_when_they_are_dead():
    graph, x = wide(9), rng.normal(size=2**17)
    expected, _ = graph.forward({}, x)
    graph.run({}, x)
    tracemalloc.start()
    y = graph.run({}, x)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    same(y, expected)
    assert peak < 2.1 * x.nbytes  # what is read and what is written
    blocks = len(set(graph._prepared([Spec(x.shape, x.dtype)])._shares))
    assert blocks == 3  # two, and the caller's


def test_what_the_caller_gets_is_the_callers():
    net = Graph.build()
    h = first = net.add(ns.tanh, net.input("x"))
    for _ in range(5):
        h = net.add(ns.tanh, h)
    graph, x = net.output(first, h), rng.normal(size=2**15)
    before, kept = graph.run({}, x)
    same(before, ns.tanh(x))  # nothing took its memory
    copies = before.copy(), kept.copy()
    assert before.flags.writeable
    assert not np.shares_memory(before, kept)
    graph.run({}, x + 1)
    before[0] = 7
    same(kept, copies[1])
    same(graph.run({}, x)[0], copies[0])


def test_a_view_keeps_what_it_shows():
    net = Graph.build()
    h = net.add(ns.tanh, net.input("x"))
    flat = net.add(ns.reshape, h, (2**15,))
    for _ in range(4):
        h = net.add(ns.tanh, h)
    graph = net.output(net.add(ns.add, net.add(ns.reshape, h, (2**15,)), flat), flat)
    x = rng.normal(size=(2, 2**14))
    y, shown = graph.run({}, x)
    t = ns.tanh(x)
    same(shown, t.reshape(-1))
    deep = t
    for _ in range(4):
        deep = ns.tanh(deep)
    same(y, deep.reshape(-1) + t.reshape(-1))


def test_threads_have_memory_of_their_own():
    graph, xs = wide(9), rng.normal(size=(4, 2**15))
    expected = [graph.run({}, x) for x in xs]
    wrong = []

    def work(j: int) -> None:
        for _ in range(20):
            if not np.array_equal(graph.run({}, xs[j]), expected[j]):
                wrong.append(j)

    threads = [threading.Thread(target=work, args=(j,)) for j in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_inputs_that_are_outputs_and_never_written_to():
    net = Graph.build()
    x = net.input("x")
    graph = net.output(x, net.add(ns.relu, x))
    given = rng.normal(size=40)
    same_again, y = graph.run({}, given)
    assert same_again is given
    same(y, ns.relu(given))


def test_errors_say_which_node():
    net = Graph.build()
    x, labels = net.input("x"), net.input("labels")
    graph = net.output(net.add(ns.cross_entropy, x, labels, name="loss"))
    x, labels = np.zeros((1, 3, 2)), np.full((1, 2), 5)
    with pytest.raises(ns.ArgumentError, match=r"^loss: cross_entropy: target has the label 5"):
        graph.run({}, x, labels)


def block(size: int, first: int, last: int, kept: bool = False) -> Block:
    return Block(Spec((size,), np.dtype(np.uint8)), first, last, kept)


def test_memory_goes_to_the_next_that_fits():
    shares, lasts = memory.shared([block(8, 0, 1), block(8, 1, 2), block(8, 2, 3)], 0)
    assert shares == [0, 1, 0]  # the second reads the first in step 1
    assert lasts == {0: 3, 1: 2}


def test_memory_is_not_held_where_it_would_cost():
    # the first 4 bytes would wait in steps 1 and 2, when there are 10 already
    blocks = [block(4, 0, 0), block(10, 1, 2), block(4, 3, 3)]
    assert memory.peak(blocks) == 10
    shares, _ = memory.shared(blocks, 0)
    assert shares == [0, 1, 1]  # that of 10 is there, and nobody else needs it
    assert memory.shared([block(10, 0, 0), block(4, 1, 2), block(4, 2, 2)], 0)[0] == [0, 1, 2]


def test_kept_and_small_blocks_are_apart():
    blocks = [block(8, 0, 0, kept=True), block(8, 1, 1), block(2, 2, 2), block(8, 3, 3, kept=True)]
    assert memory.shared(blocks, 4)[0] == [0, 1, 2, 3]


def test_no_plan_needs_more_than_none():
    for seed in range(40):
        r = np.random.default_rng(seed)
        blocks = []
        for at in range(12):
            blocks.append(block(int(r.integers(1, 9)), at, at + int(r.integers(0, 4))))
        shares, gone = memory.shared(blocks, 0)
        for step in range(16):
            there = [j for j in set(shares) if blocks[j].first <= step <= gone[j]]
            assert sum(blocks[j].nbytes for j in there) <= memory.peak(blocks)
        for a, one in enumerate(blocks):
            for b in range(a + 1, len(blocks)):
                if shares[a] == shares[b]:
                    assert one.last < blocks[b].first
