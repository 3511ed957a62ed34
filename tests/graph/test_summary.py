"""What a graph looks like in print."""

from __future__ import annotations

import numseg as ns
from numseg.graph import Builder, Graph, Value, he_normal, ones, zeros


def block(net: Builder, x: Value) -> Value:
    h = net.add(
        ns.conv2d,
        x,
        net.param("conv.weight", (8, 3, 3, 3), he_normal),
        net.param("conv.bias", (8,), zeros),
        name="conv",
    )
    statistics = net.param("norm.mean", (8,), zeros), net.param("norm.var", (8,), ones)
    h = net.add(ns.batch_norm, h, *statistics, training=net.training, name="norm")
    return net.add(ns.max_pool2d, h, (2, 1), name="pool")


def small() -> Graph:
    net = Graph.build()
    return net.output(block(net, net.input("image")))


SUMMARY = """\
node   operator    output     parameters  mult-adds  field  stride  offset
--------------------------------------------------------------------------
image  input       1x3x10x10
conv   conv2d      1x8x8x8           224     14.1 k      3       1       1
norm   batch_norm  1x8x8x8                      768      3       1       1
pool   max_pool2d  1x8x4x8                      256    4x3     2x1   3/2x1
--------------------------------------------------------------------------
224 parameters (and 16 of state), 15.1 k mult-adds"""


def test_summary():
    # conv: 8 * 3 * 9 + 8 = 224 parameters; 512 outputs of 27 multiply-adds and a bias, which is
    # half of one: 512 * 27.5 = 14,080. norm: 3 operations for each of 512 values, so 768.
    # pool: 256 windows of 2 values: 512 operations
    summary = small().summary((1, 3, 10, 10))
    assert str(summary) == SUMMARY
    assert summary.parameters == 224
    assert summary.state == 16
    assert summary.multiply_adds == 14_080 + 768 + 256


def test_shared_parameters_count_once():
    net = Graph.build()
    w = net.param("w", (1, 1, 3, 3), ones)
    h = net.add(ns.conv2d, net.input("x"), w)
    summary = net.output(net.add(ns.conv2d, h, w)).summary((1, 1, 9, 9))
    assert [row.parameters for row in summary.rows] == [0, 9, 0]
    assert summary.parameters == 9


def test_figures_have_three_digits():
    from numseg.graph.summary import shortened

    assert [shortened(n) for n in (0.5, 12, 999, 999.5, 1234, 56_789, 999_499, 999_500)] == [
        "0.5", "12", "999", "1.00 k", "1.23 k", "56.8 k", "999 k", "1.00 M",
    ]  # fmt: skip


DOT = """\
digraph {
  node [shape=box];
  "image" [shape=ellipse];
  "conv" [label="conv\\nconv2d\\n1x8x8x8"];
  "image" -> "conv";
  "norm" [label="norm\\nbatch_norm\\n1x8x8x8"];
  "conv" -> "norm";
  "pool" [label="pool\\nmax_pool2d\\n1x8x4x8", style=bold];
  "norm" -> "pool";
}
"""


def test_dot():
    graph = small()
    assert graph.to_dot((1, 3, 10, 10)) == DOT
    assert '"conv" [label="conv\\nconv2d"];' in graph.to_dot()


def test_dot_quotes_names():
    net = Graph.build()
    x = net.input('"x" \\')
    assert '  "\\"x\\" \\\\" -> "relu1";' in net.output(net.add(ns.relu, x)).to_dot()
