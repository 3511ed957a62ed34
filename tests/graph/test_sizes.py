"""Sizes that a network takes: known rules, the rule against trying every size, and errors."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

import numseg as ns
from numseg.graph import Axis, Builder, Graph, Value, ones


def conv(net: Builder, x: Value, name: str, kernel: int = 3, **attributes: object) -> Value:
    weight = net.param(f"{name}.weight", (1, 1, kernel, kernel), ones)
    return net.add(ns.conv2d, x, weight, name=name, **attributes)


def chain(*nodes: tuple[object, dict[str, object]], centred: bool = False) -> Graph:
    """Operators of one array, one after the other; a kernel's size is a convolution."""
    net = Graph.build()
    x = net.input("x", centred=centred)
    for number, (operator, attributes) in enumerate(nodes):
        if isinstance(operator, int):
            x = conv(net, x, f"n{number}", operator, **attributes)
        else:
            x = net.add(operator, x, name=f"n{number}", **attributes)
    return net.output(x)


POOL = (ns.max_pool2d, {"kernel_size": 3, "stride": 2, "padding": 1})


def encoder_decoder(skip: bool = True) -> Graph:
    """Halves twice and doubles twice; what was there before is added, so sizes are 4 k."""
    net = Graph.build()
    x = net.input("x")
    a = net.add(ns.max_pool2d, x, 2, name="a")
    b = net.add(ns.max_pool2d, a, 2, name="b")
    y = net.add(ns.upsample_nearest2d, b, scale_factor=2, name="up_b")
    y = net.add(ns.add, y, a, name="sum_a")
    y = net.add(ns.upsample_nearest2d, y, scale_factor=2, name="up_a")
    return net.output(net.add(ns.add, y, x, name="sum_x") if skip else y)


def segnet() -> Graph:
    """Unpooling to the size that there was: takes every size."""
    net = Graph.build()
    x = net.input("x")
    y, switches = net.add(ns.max_pool2d, x, 2, ceil_mode=True, return_indices=True, results=2)
    y = conv(net, y, "conv", padding=1)
    return net.output(net.add(ns.max_unpool2d, y, switches, 2, output_size=x.size))


def rows_and_columns() -> Graph:
    net = Graph.build()
    x = net.input("x", centred=True)
    return net.output(net.add(ns.max_pool2d, x, (2, 3), stride=2, padding=(0, 1)))


# the rules, on paper
RULES = {
    "one pooling of stride 2": (chain((ns.max_pool2d, {"kernel_size": 2}), centred=True), 2, (2,)),
    "DeepLab: 32 k - 31": (chain(*[POOL] * 5, centred=True), 32, (1,)),
    "not centred, anything": (chain(*[POOL] * 5), 1, (1,)),
    "VGG's halvings, valid": (chain(*[(ns.max_pool2d, {"kernel_size": 2})] * 5), 1, (32,)),
    "FCN: pad 100": (
        chain((3, {"padding": 100}), *[(ns.max_pool2d, {"kernel_size": 2})] * 5, (7, {})), 1, (26,)
    ),
    "a window of 7 at dilation 2": (chain((7, {"dilation": 2})), 1, (13,)),
    "a ResNet's stem": (chain((7, {"stride": 2, "padding": 3}), POOL, centred=True), 4, (1,)),
    "TensorFlow's same": (
        chain(*[(3, {"stride": 2, "padding": "same"})] * 2, centred=True), 4, (1,)
    ),
    "stride 3": (chain((3, {"stride": 3}), (2, {}), centred=True), 3, (6,)),
    "encoder and decoder": (encoder_decoder(), 4, (4,)),
    "without the last skip": (encoder_decoder(skip=False), 4, (4, 5)),
    "SegNet": (segnet(), 1, (1,)),
    "pooling by a fixed number of bins": (
        chain((ns.adaptive_avg_pool2d, {"output_size": 4}), (3, {})), 1, (1,)
    ),
    "U-Net": (ns.nets.unet(1, 1, width=1, depth=2), 4, (44,)),
    "U-Net, same": (ns.nets.unet(1, 1, width=1, depth=3, padding="same"), 8, (8,)),
}  # fmt: skip


@pytest.mark.parametrize("case", RULES)
def test_the_rule_is_that_of_the_paper_and_of_trying_every_size(case: str):
    graph, step, firsts = RULES[case]
    found = graph.legal_inputs((1, 1, None, None))
    assert (found.rows.step, found.rows.firsts) == (step, firsts)
    assert found.columns == found.rows
    smallest = min(firsts)
    assert graph.smallest_input((1, 1, None, None)) == (1, 1, smallest, smallest)

    def fits(rows: int, columns: int) -> bool:
        try:
            graph.shapes((1, 1, rows, columns))
        except ns.ArgumentError:
            return False
        return True

    most = smallest + 2 * step + 8
    assert [size for size in range(1, most) if fits(size, smallest)] == found.rows.up_to(most - 1)
    for rows, columns in itertools.product(range(smallest, most, 5), repeat=2):
        assert fits(rows, columns) == ((rows, columns) in found)


def test_the_paper_s_unet_and_what_is_printed():
    found = ns.nets.unet(1, 2).legal_inputs()
    assert str(found) == "rows and columns: 16 k + 188"
    assert found.stride == 16
    assert (572, 572) in found
    assert (572, 570) not in found
    assert found.rows.up_to(240) == [188, 204, 220, 236]
    assert list(itertools.islice(found.rows, 2)) == [188, 204]
    assert str(segnet().legal_inputs((1, 1, None, None))) == "rows and columns: 1 or more"


def test_one_pixel_that_is_made_many_asks_for_no_size():
    """The mean of the image, at its size again: with align_corners its pixels do not advance."""
    net = Graph.build()
    x = net.input("x")
    mean = net.add(ns.global_avg_pool2d, net.add(ns.max_pool2d, x, 2, name="pool"))
    y = net.add(ns.upsample_bilinear2d, mean, x.size, align_corners=True)
    assert str(net.output(y).legal_inputs((1, 3, None, None))) == "rows and columns: 2 or more"


def test_rows_and_columns_are_apart():
    graph = rows_and_columns()  # no square fits
    found = graph.legal_inputs((1, 1, None, None))
    assert (found.rows, found.columns) == (Axis(2, (2,)), Axis(2, (1,)))
    assert str(found) == "rows: 2 k + 2; columns: 2 k + 1"
    assert graph.smallest_input((1, 1, None, None)) == (1, 1, 2, 1)
    # one of them may be given
    assert graph.legal_inputs((1, 1, None, 7)).rows == Axis(2, (2,))


def classifier(pools: int = 2, side: int = 3, most: float = math.inf) -> Graph:
    """A linear layer that takes a map of one size."""
    net = Graph.build()

    def check(x: ns.Spec) -> None:
        if max(x.shape[2:]) > most:
            raise ns.ArgumentError(f"x is larger than {most}")

    y = net.input("x", check)
    for number in range(pools):
        y = net.add(ns.max_pool2d, y, 2, name=f"pool{number}")
    weight = net.param("weight", (2, side * side), ones)
    return net.output(net.add(ns.linear, net.add(ns.flatten, y), weight, name="fc"))


@pytest.mark.parametrize(
    ("graph", "smallest", "largest"),
    [
        (classifier(), 12, 15),
        (classifier(most=13), 12, 13),
        (classifier(pools=0, side=28), 28, 28),
        (classifier(pools=5, side=7), 224, 255),
        (ns.nets.alexnet(3, 2, width=6, variant="paper"), 199, 230),
        (ns.nets.googlenet(3, 2, width=0.02, variant="paper", aux=True), 191, 238),
    ],
)
def test_a_largest_size(graph: Graph, smallest: int, largest: int):
    channels = 3 if "fc" not in {node.name for node in graph.nodes} else 1
    found = graph.legal_inputs((1, channels, None, None))
    sizes = list(range(smallest, largest + 1))
    assert list(found.rows) == list(found.columns) == sizes == found.rows.up_to(4096)
    assert (largest, smallest) in found
    assert (largest + 1, smallest) not in found
    text = f"{smallest} to {largest}" if smallest < largest else f"{smallest}"
    assert str(found) == f"rows and columns: {text}"
    assert graph.smallest_input((1, channels, None, None)) == (1, channels, smallest, smallest)
    for size, word in ((smallest - 1, "at least"), (largest + 1, "at most")):
        near = smallest if size < smallest else largest
        with pytest.raises(ns.ArgumentError, match=f"^x has {size} rows, .* takes {near} {word}"):
            graph.shapes((1, channels, size, smallest))
    with pytest.raises(ns.ArgumentError, match=f"the largest size is {largest}, but 5000 was"):
        found.rows.from_on(5000)
    assert str(graph.receptive_fields((1, channels, None, None)))


def test_inputs_that_go_together_grow_together():
    net = Graph.build()
    x, y = net.input("x"), net.input("y")
    graph = net.output(net.add(ns.add, net.add(ns.max_pool2d, x, 2), net.add(ns.max_pool2d, y, 2)))
    shapes = (1, 3, None, None), (1, 3, None, None)
    assert graph.smallest_input(*shapes) == ((1, 3, 2, 2), (1, 3, 2, 2))
    with pytest.raises(ns.ArgumentError, match=r"^x has 1 columns, but this network takes 2 at"):
        graph.shapes((1, 3, 4, 1), (1, 3, 4, 1))
    # two sizes that do not go together are no matter of legal sizes
    with pytest.raises(ns.ArgumentError, match=r"^add1: add: "):
        graph.shapes((1, 3, 4, 4), (1, 3, 8, 4))


def test_nearest():
    axis = Axis(8, (20, 9))
    assert [s for s in range(30) if s in axis] == [9, 17, 20, 25, 28]
    assert axis.nearest(17) == (17,)
    assert axis.nearest(18) == (17, 20)
    assert axis.nearest(8) == (9,)
    assert axis.nearest(26) == (25, 28)
    assert axis.from_on(21) == 25
    assert str(axis) == "8 k + 20, 8 k + 9"


# -- errors ---------------------------------------------------------------------------------------


def test_an_error_names_the_nearest_before_any_work():
    graph = encoder_decoder()
    with pytest.raises(ns.ArgumentError) as error:
        graph.run({}, np.zeros((1, 1, 8, 9)))
    assert str(error.value) == (
        "x has 9 columns; the nearest that this network takes are 8 and 12 "
        "(sum_x: add: x has shape (1, 1, 8, 8) and other (1, 1, 8, 9): they do not broadcast)"
    )
    with pytest.raises(ns.ArgumentError, match=r"^x has 3 rows, but this network takes 4 at least"):
        graph.forward({}, np.zeros((1, 1, 3, 3)))


def test_an_error_that_is_no_size_s_stays_what_it_is():
    graph = ns.nets.unet(1, 2, width=2, depth=1)
    with pytest.raises(ns.ArgumentError, match=r"^x has 3 channels, but this network takes 1$"):
        graph.shapes((1, 3, 17, 18))
    with pytest.raises(ns.ArgumentError, match=r"^x has shape \(17, 18\), expected 4 axes"):
        graph.shapes((17, 18))
    with pytest.raises(ns.ArgumentError, match=r"^x has 3 channels, but this network takes 1$"):
        graph.legal_inputs((1, 3, None, None))
    with pytest.raises(ns.ArgumentError, match=r"^x has shape \(None, 1, 9, 9\): None stands for"):
        graph.smallest_input((None, 1, 9, 9))
    with pytest.raises(ns.ArgumentTypeError, match=r"^x must be a shape, got 5$"):
        graph.legal_inputs(5)
    net = Graph.build()
    net.input("a")
    with pytest.raises(ns.ArgumentError, match="b: centred is for the first input, a"):
        net.input("b", centred=True)


# -- receptive fields for every size --------------------------------------------------------------


def test_size_stride_and_offset_of_a_chain_by_hand():
    # 7 x 7 / 2, padding 3: from -3 to 3 about 0. Pooling 3 x 3 / 2, padding 1: 7 + 2 * 2 = 11, 4.
    # 3 x 3 at dilation 2 without padding: 11 + 4 * 4 = 27, its middle tap two pixels further: 8
    graph = chain((7, {"stride": 2, "padding": 3}), POOL, (3, {"dilation": 2}))
    fields = graph.receptive_fields((1, 1, None, None))
    assert fields["n0"][1:] == ((7, 7), (2, 2), (0, 0))
    assert fields["n1"][1:] == ((11, 11), (4, 4), (0, 0))
    assert fields["n2"][1:] == ((27, 27), (4, 4), (8, 8))
    assert str(fields).splitlines()[-1].split() == ["n2", "27", "4", "8"]
    with pytest.raises(ns.ArgumentError, match="node must be one of 'n0', 'n1', 'n2', got 'n3'"):
        fields["n3"]


def test_up_and_down():
    # a transposed 4 x 4 / 2, cropped by 1: o reads floor and ceil of o / 2 - 1/4: halves the stride
    net = Graph.build()
    x = net.add(ns.max_pool2d, net.input("x"), 2, name="pool")
    w = net.param("w", (1, 1, 4, 4), ones)
    graph = net.output(net.add(ns.conv_transpose2d, x, w, stride=2, padding=1, name="up"))
    fields = graph.receptive_fields((1, 1, None, None))
    assert fields["pool"][1:] == ((2, 2), (2, 2), (Fraction(1, 2), Fraction(1, 2)))
    assert fields["up"][1:] == ((4, 4), (1, 1), (0, 0))


def test_what_depends_on_the_size_is_left_open():
    # "same" of stride 2 pads an even map at one end: the offset depends on the size, here on that
    # of the second level; the size of the field and the stride do not
    graph = chain((1, {"stride": 2}), (3, {"stride": 2, "padding": "same"}))
    fields = graph.receptive_fields((1, 1, None, None))
    assert fields["n0"][1:] == ((1, 1), (2, 2), (0, 0))
    assert fields["n1"][1:] == ((5, 5), (4, 4), None)
    assert graph.receptive_fields((1, 1, 8, 8))["n1"].offset == (2, 2)
    assert graph.receptive_fields((1, 1, 9, 9))["n1"].offset == (0, 0)
    graph = chain((3, {}), (ns.adaptive_avg_pool2d, {"output_size": 2}))
    fields = graph.receptive_fields((1, 1, None, None))
    assert fields["n1"][1:] == (None, None, None)


def test_a_gate_of_the_whole_image_lies_everywhere():
    net = Graph.build()
    x = net.add(ns.max_pool2d, net.input("x"), 2, name="pool")
    gate = net.add(ns.sigmoid, net.add(ns.global_avg_pool2d, x), name="gate")
    y = net.add(ns.multiply, x, gate, name="gated")
    graph = net.output(conv(net, y, "conv"))
    fields = graph.receptive_fields((1, 1, None, None))
    assert fields["conv"][1:] == (None, (2, 2), (Fraction(5, 2), Fraction(5, 2)))
    rows = graph.receptive_field("gated", (1, 1, 12, 12)).rows
    np.testing.assert_array_equal(rows, [[0, 11]] * 6)
