"""FCN's crops, from the geometry of the network."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns
from numseg.graph import Graph, zeros


def conv(net, name, x, kernel, **params):
    w = net.param(f"{name}.weight", (1, 1, kernel, kernel), zeros)
    return net.add(ns.conv2d, x, w, name=name, **params)


def up(net, name, x, kernel, stride):
    w = net.param(f"{name}.weight", (1, 1, kernel, kernel), zeros)
    return net.add(ns.conv_transpose2d, x, w, stride=stride, name=name)


def fcn(stride: int, wrong: int = 0) -> Graph:
    """The geometry of FCN-32s, 16s or 8s: VGG-16 with a padding of 100, one channel."""
    net = Graph.build()
    x = net.input("data")
    skips = {}
    for block, count in enumerate((2, 2, 3, 3, 3), 1):
        for j in range(count):
            x = conv(net, f"conv{block}_{j}", x, 3, padding=100 if block == 1 and j == 0 else 1)
        x = net.add(ns.max_pool2d, x, 2, ceil_mode=True, name=f"pool{block}")
        skips[block] = x
    x = conv(net, "fc7", conv(net, "fc6", x, 7), 1)
    x = conv(net, "score", x, 1)
    for block, offset in ((4, 5), (3, 9)):
        if 2**block < stride:
            break
        x = up(net, f"up{block}", x, 4, 2)
        skip = conv(net, f"score{block}", skips[block], 1)
        skip = net.add(ns.crop, skip, x.size, offset + wrong, name=f"crop{block}")
        x = net.add(ns.add, skip, x, name=f"fuse{block}")
    return net.output(up(net, "upscore", x, 2 * stride, stride))


SHAPE = (1, 1, 75, 100)


def test_fcn_32s():
    net = fcn(32)
    assert net.crop_offset("upscore", "data", SHAPE) == (19, 19)


def test_fcn_16s():
    net = fcn(16)
    assert net.crop_offset("score4", "up4", SHAPE) == (5, 5)
    assert net.crop_offset("upscore", "data", SHAPE) == (27, 27)


def test_fcn_8s():
    net = fcn(8)
    assert net.crop_offset("score4", "up4", SHAPE) == (5, 5)
    assert net.crop_offset("score3", "up3", SHAPE) == (9, 9)
    assert net.crop_offset("upscore", "data", SHAPE) == (31, 31)


def test_a_crop_in_another_place_is_noticed():
    net = fcn(16, wrong=1)
    with pytest.raises(ns.ArgumentError, match="the pixels that fuse4 reads do not lie together"):
        net.crop_offset("upscore", "data", SHAPE)


def test_pixels_that_do_not_match():
    net = fcn(32)
    with pytest.raises(ns.ArgumentError, match="a pixel measures 32 pixels of the input, but 1"):
        net.crop_offset("score", "data", SHAPE)
    with pytest.raises(ns.ArgumentError, match=r"no pixel lies on the first one: .* number -19"):
        net.crop_offset("data", "upscore", SHAPE)
    with pytest.raises(ns.ArgumentError, match="name must be one of 'data', 'conv1_0'"):
        net.crop_offset("nonsense", "data", SHAPE)


def test_rows_and_columns_have_their_own_offset():
    net = Graph.build()
    x = net.input("x")
    a = net.add(ns.pad, x, (1, 1, 2, 2), name="padded")
    graph = net.output(a)
    assert graph.crop_offset("padded", "x", (1, 1, 4, 4)) == (1, 2)
    y = ns.crop(ns.pad(np.ones((1, 1, 4, 4)), (1, 1, 2, 2)), 4, offset=(1, 2))
    assert (y == 1).all()
