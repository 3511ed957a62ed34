"""Vectors of channels: the bits of vectors of pixels, exact on integers, whatever the cut."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns
from numseg.kernels.conv import choose, depthwise_channels, direct
from numseg.kernels.conv.depthwise_channels import TILES, _tile
from numseg.kernels.conv.problem import Axis, Problem
from numseg.ops.conv2d import cpu

CALLS = {
    "rows shorter than vectors": ((2, 16, 7, 7), 1, (3, 3), {"padding": 1}),
    "the last vector has few channels": ((1, 37, 14, 6), 1, (5, 5), {"padding": 2}),
    "several filters of a channel": ((2, 6, 8, 9), 3, (3, 2), {"padding": (1, 0, 0, 1)}),
    "stride": ((2, 20, 15, 14), 1, (3, 3), {"padding": 1, "stride": 2}),
    "stride beside dilation": (
        (1, 24, 19, 13),
        1,
        (3, 3),
        {"padding": 3, "stride": 2, "dilation": 3},
    ),
    "stride over the kernel": ((1, 16, 11, 11), 1, (2, 3), {"stride": (3, 4), "padding": 1}),
    "stride 3 of columns": ((1, 16, 9, 25), 1, (7, 5), {"padding": (6, 0, 3, 1), "stride": (1, 3)}),
    "taps that miss the image": ((1, 16, 5, 6), 1, (3, 3), {"padding": 12, "dilation": 12}),
    "planes shorter than vectors": ((3, 16, 2, 1), 1, (3, 3), {"padding": 1}),
    "more padding than image": ((1, 16, 3, 3), 1, (3, 3), {"padding": (4, 5, 6, 0)}),
    "bands": ((1, 16, 90, 33), 1, (3, 3), {"padding": 4, "dilation": 4, "stride": 2}),
}


def call(name, make, dtype):
    shape, filters, kernel, params = CALLS[name]
    arrays = make(shape), make((filters * shape[1], 1, *kernel)), make((filters * shape[1],))
    return [a.astype(dtype) for a in arrays], {"groups": shape[1], **params}


def problem(arrays, params) -> Problem:
    plan = ns.conv2d.plan(*arrays, **params)
    return cpu._problem(plan.geometry, arrays[0].itemsize)


def integers(shape):
    return np.random.default_rng(sum(shape)).integers(-4, 5, shape)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", CALLS)
def test_integers_are_exact(name, dtype):
    arrays, params = call(name, integers, dtype)
    p = problem(arrays, params)
    x, w, b = arrays
    y, saved = ns.conv2d.reference.forward(x, w, b, **params)
    gy = integers(y.shape).astype(dtype)
    gx, gw, _ = ns.conv2d.reference.backward(saved, gy)
    got = np.full_like(y, np.nan)
    depthwise_channels.forward(p)(x, w, b, got, None)
    np.testing.assert_array_equal(got, y)
    got = np.full_like(gw, np.nan)
    depthwise_channels.weight_gradient(p)(x, gy, got)
    np.testing.assert_array_equal(got, gw)
    if p.filters == 1:
        got = np.full_like(x, np.nan)
        depthwise_channels.input_gradient(p)(gy, w, None, got, None)
        np.testing.assert_array_equal(got, gx)


@pytest.mark.parametrize("name", CALLS)
def test_the_bits_are_those_of_vectors_of_pixels(name):
    (x, w, b), params = call(name, np.random.default_rng(0).standard_normal, np.float32)
    p = problem((x, w, b), params)
    y, expected = (np.empty(p.y_shape, np.float32) for _ in range(2))
    for bias in (b, None):
        depthwise_channels.forward(p)(x, w, bias, y, None)
        direct.forward(p)(x, w, bias, expected, None)
        assert y.tobytes() == expected.tobytes()


@pytest.mark.parametrize("room", [0, 6_000, 10**9])
def test_bits_do_not_depend_on_the_cut_nor_on_threads(room, monkeypatch):
    (x, w, b), params = call("bands", np.random.default_rng(1).standard_normal, np.float32)
    p = problem((x, w, b), params)
    y, gx = np.empty(p.y_shape, np.float32), np.empty_like(x)
    depthwise_channels.forward(p)(x, w, b, y, None)
    depthwise_channels.input_gradient(p)(y, w, None, gx, None)
    monkeypatch.setattr(depthwise_channels, "ROOM", room)
    for threads in (1, 2, 3):
        with ns.num_threads(threads):
            again, gx_again = np.empty_like(y), np.empty_like(x)
            depthwise_channels.forward(p)(x, w, b, again, None)
            depthwise_channels.input_gradient(p)(y, w, None, gx_again, None)
        assert (again.tobytes(), gx_again.tobytes()) == (y.tobytes(), gx.tobytes())


def test_gradients_of_weights_do_not_depend_on_threads():
    (x, w, _), params = call("bands", np.random.default_rng(1).standard_normal, np.float32)
    x = np.concatenate([x, -x, 2 * x], 1)
    w, params = np.concatenate([w] * 3), {**params, "groups": 48}
    p = problem((x, w, None), params)
    gy = np.random.default_rng(2).standard_normal(p.y_shape).astype(np.float32)
    seen = set()
    for threads in (1, 2, 3):
        with ns.num_threads(threads):
            gw = np.empty_like(w)
            depthwise_channels.weight_gradient(p)(x, gy, gw)
            seen.add(gw.tobytes())
    assert len(seen) == 1


def test_it_is_chosen_for_small_images():
    def chosen(table, shape, size, **params):
        _, c, *_ = shape
        w = (c, 1, size, size)
        g = ns.conv2d.plan(shape, w, padding=size // 2, groups=c, **params).geometry
        p = cpu._problem(g, 4)
        return next(a.plan for a in table if a.suits(p))

    channels = depthwise_channels
    assert chosen(choose.FORWARD, (1, 960, 3, 3), 3) is channels.forward  # less than any vector
    assert chosen(choose.FORWARD, (1, 64, 56, 56), 5) is channels.forward
    assert chosen(choose.FORWARD, (1, 64, 56, 56), 3) is not channels.forward  # a stencil
    assert chosen(choose.FORWARD, (1, 2, 56, 56), 5) is not channels.forward  # two channels
    assert chosen(choose.INPUT_GRADIENT, (1, 64, 56, 56), 3, stride=2) is channels.input_gradient
    assert chosen(choose.WEIGHT_GRADIENT, (1, 64, 7, 7), 3) is channels.weight_gradient
    assert chosen(choose.WEIGHT_GRADIENT, (1, 64, 112, 112), 3) is not channels.weight_gradient


def test_taps_that_meet_no_pixel_are_left_out():
    axis = Axis(size=5, outputs=5, taps=3, stride=1, dilation=12, pad=12)
    assert axis.met[2:] == Axis(5, 5, 1, 1, 12, 0, tap_first=1)[2:]
    beside = Axis(size=5, outputs=3, taps=2, stride=1, dilation=1, pad=9)
    assert beside.met.taps == 0


def test_a_row_is_tiles_of_its_own_length():
    assert [_tile(n) for n in (1, 2, 3, 4, 7, 8, 14, 28, 112)] == [1, 2, 2, 4, 7, 8, 7, 7, 8]
    assert all(_tile(n) in TILES and _tile(n) <= n for n in range(1, 200))


def test_an_epilogue_is_what_follows():
    (x, w, b), params = call("stride", np.random.default_rng(3).standard_normal, np.float32)
    p = problem((x, w, b), params)
    other = np.random.default_rng(4).standard_normal(p.y_shape).astype(np.float32)
    after = (ns.add, "x", {"other": other}), (ns.relu, "x", {})
    chained = ns.conv2d.fused({"x": x, "weight": w, "bias": b, **params}, after)
    expected = ns.relu(ns.add(ns.conv2d(x, w, b, **params), other))
    assert chained.tobytes() == expected.tobytes()
