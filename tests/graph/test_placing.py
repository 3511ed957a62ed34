"""Parts written into their whole: the same bits, and nobody notices."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import numseg as ns
from numseg.graph import Builder, Graph, Value
from numseg.nets import blocks
from numseg.ops.concat.geometry import Geometry
from numseg.ops.concat.parts import parts

rng = np.random.default_rng(0)
SHAPE = (1, 4, 6, 8)


def conv(net: Builder, name: str, x: Value, channels: int, filters: int = 4) -> Value:
    return blocks.conv(net, name, x, channels, filters, padding=1, activation="relu")


def two(net: Builder, x: Value) -> Value:
    a, b = conv(net, "a", x, 4), conv(net, "b", x, 4)
    return net.add(ns.concat, [a, net.add(ns.tanh, b, name="t")], name="whole")


def dense(net: Builder, x: Value) -> Value:
    """Wholes within wholes: one array has them all."""
    x = conv(net, "first", x, 4)
    for j in range(3):
        y = conv(net, f"layer{j}", x, 4 + 4 * j)
        x = net.add(ns.concat, [x, y], name=f"whole{j}")
    return x


def skip(net: Builder, x: Value) -> Value:
    """A part that is read by others, too."""
    a = conv(net, "a", x, 4)
    b = net.add(ns.max_pool2d, a, 2, name="pool")
    b = net.add(ns.upsample_nearest2d, b, scale_factor=2, name="up")
    return conv(net, "last", net.add(ns.concat, [b, a], name="whole"), 8)


def view(net: Builder, x: Value) -> Value:
    """What cannot be written anywhere else is copied."""
    a = net.add(ns.reshape, conv(net, "a", x, 4), SHAPE, name="view")
    return net.add(ns.concat, [a, conv(net, "b", x, 4)], name="whole")


def composite(net: Builder, x: Value) -> Value:
    a = net.add(ns.separable_conv2d, x, *(
        net.param(name, shape, blocks.initialiser("he_normal"))
        for name, shape in (("d", (4, 1, 3, 3)), ("p", (4, 4, 1, 1)))
    ), padding=1, name="a")  # fmt: skip
    return net.add(ns.concat, [conv(net, "b", x, 4), a], name="whole")


def rows(net: Builder, x: Value) -> Value:
    """Of one channel, rows are one run of memory, too."""
    a, b = conv(net, "a", x, 4, 1), conv(net, "b", x, 4, 1)
    return net.add(ns.concat, [a, b], 2, name="whole")


PLACED = {two: 2, dense: 6, skip: 2, view: 2, composite: 2, rows: 2}


# what is not done: parts that are no runs of memory, inputs, outputs, parts of two wholes
def columns(net: Builder, x: Value) -> Value:
    return net.add(ns.concat, [conv(net, "a", x, 4), conv(net, "b", x, 4)], -1, name="whole")


def given(net: Builder, x: Value) -> Value:
    return net.add(ns.concat, [x, conv(net, "a", x, 4)], name="whole")


def twice(net: Builder, x: Value) -> Value:
    a = conv(net, "a", x, 4)
    return net.add(ns.concat, [a, a], name="whole")


def switches(net: Builder, x: Value) -> Value:
    a, _ = net.add(ns.max_pool2d, x, 1, return_indices=True, results=2, name="pool")
    return net.add(ns.concat, [a, conv(net, "a", x, 4)], name="whole")


KEPT = (columns, given, twice, switches)


def made(make: Callable[[Builder, Value], Value], *others: str) -> Graph:
    net = Graph.build()
    graph = net.output(make(net, net.input("x")))
    return graph if not others else graph.at(*(v.source for v in graph.outputs), *others)


def placed(graph: Graph, shape: tuple[int, ...] = SHAPE) -> int:
    return len(graph._prepared([ns.Spec(shape)]).layout.parts)


@pytest.mark.parametrize(
    ("make", "batch"),
    [(make, batch) for make in (*PLACED, *KEPT) for batch in (1, 2) if (make, batch) != (view, 2)],
)
def test_the_bits_are_those_of_copies(make: Callable[[Builder, Value], Value], batch: int):
    graph = made(make)
    params = graph.init(seed=1)
    x = rng.normal(size=(batch, *SHAPE[1:])).astype(np.float32)
    before = x.copy()
    y = graph.run(params, x)
    expected, _ = graph.forward(params, x, training=False)
    np.testing.assert_array_equal(y, expected)
    kept = y.copy()
    graph.run(params, x + 1)  # no array is used again
    np.testing.assert_array_equal(y, kept)
    np.testing.assert_array_equal(x, before)
    assert y.flags.writeable
    with ns.use("reference"):
        np.testing.assert_allclose(graph.run(params, x), y, atol=1e-5)
    assert placed(graph, x.shape) == (PLACED.get(make, 0) if batch == 1 else 0)


def test_outputs_lie_apart():
    graph = made(two, "t")
    params, x = graph.init(), rng.normal(size=SHAPE).astype(np.float32)
    whole, part = graph.run(params, x)
    assert placed(graph) == 0
    assert not np.shares_memory(whole, part)
    np.testing.assert_array_equal(whole[:, 4:], part)


def test_a_part_goes_into_one_whole():
    net = Graph.build()
    x = net.input("x")
    a, b, c = (conv(net, name, x, 4) for name in "abc")
    first = net.add(ns.concat, [a, b], name="first")
    second = net.add(ns.concat, [a, c], name="second")
    graph = net.output(net.add(ns.add, first, second))
    assert placed(graph) == 2
    params, x = graph.init(), rng.normal(size=SHAPE).astype(np.float32)
    np.testing.assert_array_equal(graph.run(params, x), graph.forward(params, x, training=False)[0])


def test_parts_by_hand():
    every = slice(None)
    assert parts(Geometry(1, (2, 0, 3), 1, 6)) == [
        (every, slice(0, 2)), (every, slice(2, 2)), (every, slice(2, 5))
    ]  # fmt: skip
