"""The drawing of a network: everything is there, nothing lies on anything else."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from xml.etree import ElementTree

import pytest

import numseg as ns
from numseg.graph import Builder, Graph, Value, ones
from numseg.nets import blocks

Point = tuple[float, float]
Rect = tuple[float, float, float, float]


def residual(net: Builder, x: Value) -> Value:
    for name in "ab":
        y = blocks.conv(net, name, x, 4, 4, padding=1, norm="batch_norm", activation="relu")
        x = net.add(ns.relu, net.add(ns.add, y, x, name=f"{name}.sum"), name=f"{name}.out")
    return x


def dense(net: Builder, x: Value) -> Value:
    """Each reads all that were before it: many lines in one margin."""
    found = [x]
    for j in range(5):
        y = net.add(ns.concat, list(found), name=f"all{j}")
        found.append(blocks.conv(net, f"layer{j}", y, 4 * 2**j, 4 * 2**j, padding=1))
    return found[-1]


def pyramid(net: Builder, x: Value) -> Value:
    """Branches side by side, one of them longer and of another level."""
    rates = [blocks.conv(net, f"rate{r}", x, 4, 4, padding=r, dilation=r) for r in (1, 2, 4)]
    mean = blocks.conv(net, "mean", net.add(ns.global_avg_pool2d, x), 4, 4, 1)
    mean = net.add(ns.upsample_nearest2d, mean, x.size, name="spread")
    return net.add(ns.concat, [*rates, mean], name="stack")


def gated(net: Builder, x: Value) -> Value:
    gate = net.add(ns.sigmoid, net.add(ns.global_avg_pool2d, x), name="gate")
    return net.add(ns.multiply, x, gate, name="gated")


def classifier(net: Builder, x: Value) -> Value:
    x = net.add(ns.flatten, net.add(ns.max_pool2d, x, 2))
    return net.add(ns.linear, x, net.param("fc", (3, 4 * 8 * 8), ones), name="<fc> & co")


def strange(net: Builder, x: Value) -> Value:
    """Two outputs of different levels, far from one another."""
    y = blocks.conv(net, "down", x, 4, 4, stride=2, padding=1)
    z = blocks.conv(net, "down2", y, 4, 4, stride=2, padding=1)
    z = net.add(ns.upsample_nearest2d, z, scale_factor=4, name="up")
    return net.add(ns.add, net.add(ns.add, z, x, name="one"), x, name="two")


def made(make) -> Graph:
    net = Graph.build()
    return net.output(make(net, net.input("x")))


GRAPHS = {f.__name__: made(f) for f in (residual, dense, pyramid, gated, classifier, strange)}
GRAPHS |= {"unet": ns.nets.unet(4, 2, width=2, depth=3, padding="same", norm=True)}
SHAPE = (1, 4, 16, 16)


def rects(root: ElementTree.Element) -> list[Rect]:
    found = [r for r in root.iter() if r.tag.endswith("rect") and r.get("rx")]
    sides = ([float(r.get(n, "")) for n in ("x", "y", "width", "height")] for r in found)
    return [(x, y, x + w, y + h) for x, y, w, h in sides]


def lines(root: ElementTree.Element) -> Iterator[list[Point]]:
    for path in root.iter():
        if path.tag.endswith("path"):
            numbers = [float(n) for n in re.findall(r"-?\d+\.\d+", path.get("d", ""))]
            points = list(zip(numbers[::2], numbers[1::2], strict=True))
            yield points[:-3]  # without the arrow's tips


@pytest.mark.parametrize("name", GRAPHS)
def test_no_box_lies_on_another_and_no_line_crosses_one(name: str):
    graph = GRAPHS[name]
    root = ElementTree.fromstring(graph.to_svg(SHAPE))
    boxes = rects(root)
    for (l1, t1, r1, b1), (l2, t2, r2, b2) in itertools.combinations(boxes, 2):
        assert r1 <= l2 or r2 <= l1 or b1 <= t2 or b2 <= t1
    drawn = list(lines(root))
    for points in drawn:
        for (x1, y1), (x2, y2) in itertools.pairwise(points):
            for left, top, right, bottom in boxes:
                apart = (
                    max(x1, x2) <= left
                    or min(x1, x2) >= right
                    or max(y1, y2) <= top + 0.1
                    or min(y1, y2) >= bottom - 0.1
                )
                assert apart, (points, (left, top, right, bottom))
    # every line begins at the bottom of a box and ends at the top of one
    for points in drawn:
        (x, y), (end_x, end_y) = points[0], points[-1]
        assert any(abs(y - b) < 0.2 and left <= x <= r for left, _, r, b in boxes)
        assert any(abs(end_y - t) < 0.2 and left <= end_x <= r for left, t, r, _ in boxes)
    width, height = float(root.get("width", "")), float(root.get("height", ""))
    assert all(x >= 0 and r <= width and b <= height for x, _, r, b in boxes)
    assert all(0 <= x <= width for points in drawn for x, _ in points)


def test_what_stands_in_the_boxes():
    text = GRAPHS["unet"].to_svg(SHAPE)
    root = ElementTree.fromstring(text)
    words = ["".join(t.itertext()) for t in root.iter() if t.tag.endswith("text")]
    # one box: the level's name, then its convolutions with what follows each
    at = words.index("enc1")
    assert words[at : at + 8] == [
        "enc1", "conv1", "conv2d + batch_norm + relu", "2x16x16",
        "conv2", "conv2d + batch_norm + relu", "2x16x16", "field 5, stride 1",
    ]  # fmt: skip
    # a coarser map begins a box; a stack of two has two lines to it
    at = words.index("pool1")
    assert words[at : at + 3] == ["pool1", "max_pool2d", "2x8x8"]
    assert len(rects(root)) == 1 + 4 + 3 * 2
    assert len(list(lines(root))) == 1 + 3 + 3 + 3 + 3
    assert text == GRAPHS["unet"].to_svg(SHAPE)


def test_a_convolution_of_one_pixel_has_a_line_of_its_own():
    graph = made(lambda net, x: blocks.conv(net, "b", net.add(ns.relu, x, name="a"), 4, 4, 1))
    text = graph.to_svg(SHAPE)
    assert ">a<" in text
    assert ">b<" in text


def test_names_are_escaped_and_vectors_come_last():
    root = ElementTree.fromstring(GRAPHS["classifier"].to_svg(SHAPE))
    words = ["".join(t.itertext()) for t in root.iter() if t.tag.endswith("text")]
    assert "<fc> & co" in words
    assert words[-1] == "3"
    lefts = [left for left, *_ in rects(root)]
    assert lefts == sorted(lefts)
