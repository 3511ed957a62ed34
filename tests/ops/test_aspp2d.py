"""aspp2d: values by hand, and the convolutions it is made of."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

RNG = np.random.default_rng(0)
ROW = np.array([[[[1.0, 2.0, 3.0, 6.0]]]])

both = pytest.mark.parametrize("op", [ns.aspp2d, ns.aspp2d.reference])


def filters(*rows: list[float]) -> list[np.ndarray]:
    return [np.array(row, float).reshape(1, 1, 1, -1) for row in rows]


@both
def test_branches_are_stacked_in_order_and_the_mean_comes_last(op):
    y = op(ROW, filters([10], [1, 0, 100]), filters([2])[0], np.array([0, 0, 0.5]), rates=(1, 2))
    assert y[0, :, 0].tolist() == [
        [10, 20, 30, 60],
        [300, 600, 1, 2],  # 100 times two to the right, and two to the left
        [6.5] * 4,  # twice the mean
    ]


@both
def test_branches_are_added_up(op):
    y = op(ROW, filters([10], [1, 0, 100]), filters([2])[0], np.array([0.5]), (1, 2), "sum")
    assert y[0, 0].tolist() == [[316.5, 626.5, 37.5, 68.5]]
    assert op(ROW, filters([10], [1, 1]), rates=[1, 1], combine="sum")[0, 0].tolist() == [
        [13, 25, 39, 66]
    ]


@both
def test_a_rate_beyond_the_image_leaves_the_centre(op):
    w = np.arange(1.0, 10).reshape(1, 1, 3, 3)
    x = RNG.integers(-3, 4, (2, 1, 3, 4)).astype(float)
    np.testing.assert_array_equal(op(x, [w], rates=[4]), 5 * x)


@both
def test_the_gradient_of_the_mean_is_shared_out(op):
    _, saved = op.forward(ROW, filters([0]), filters([2])[0], rates=[1])
    grad = np.array([[[[5.0, 0, 0, 0]], [[1.0, 2, 3, 10]]]])
    gx, gw, gw_pool, gb = op.backward(saved, grad)
    assert gx[0, 0].tolist() == [[2 * 16 / 4] * 4]
    assert gw.item() == 5
    assert gw_pool.item() == 16 * 3
    assert gb is None
    _, saved = op.forward(ROW, filters([0]), filters([2])[0], np.zeros(2), rates=[1])
    assert op.backward(saved, grad)[3].tolist() == [5, 16]


@pytest.mark.parametrize("rates", [(1, 6, 12, 18), (1, 12, 24, 36)])
def test_is_what_deeplab_v3_writes(rates):
    x = RNG.normal(size=(2, 3, 9, 7))
    ws = [RNG.normal(size=(4, 3, k, k)) for k in (1, 3, 3, 3)]
    w_pool, b = RNG.normal(size=(4, 3, 1, 1)), RNG.normal(size=20)
    level = ns.conv2d(x.mean((2, 3), keepdims=True), w_pool, b[16:])
    parts = [
        ns.conv2d(x, w, b[4 * k : 4 * k + 4], padding=0 if k == 0 else rate, dilation=rate)
        for k, (w, rate) in enumerate(zip(ws, rates, strict=True))
    ]
    parts.append(ns.upsample_bilinear2d(level, (9, 7)))
    y = ns.aspp2d(x, ws, w_pool, b, rates)
    np.testing.assert_allclose(y, ns.concat(parts), rtol=1e-12, atol=1e-12)


def test_is_what_deeplab_v2_writes():
    x = RNG.normal(size=(1, 3, 9, 7))
    ws, rates = [RNG.normal(size=(5, 3, 3, 3)) for _ in range(4)], (6, 12, 18, 24)
    parts = [ns.conv2d(x, w, padding=r, dilation=r) for w, r in zip(ws, rates, strict=True)]
    y = ns.aspp2d(x, ws, rates=rates, combine="sum")
    np.testing.assert_allclose(y, sum(parts), rtol=1e-12, atol=1e-12)


def test_plan():
    plan = ns.aspp2d.plan((1, 8, 33, 33), [(4, 8, 1, 1), (2, 8, 3, 3)], rates=(1, 6))
    assert plan.outputs[0].shape == (1, 6, 33, 33)
    rows, _ = plan.reach
    assert (rows.first, rows.last) == (-6, 6)
    assert plan.flops == 2 * 33 * 33 * 8 * (4 + 2 * 9)
    assert ns.aspp2d.plan((1, 8, 9, 9), [(4, 8, 1, 1)], (4, 8, 1, 1), rates=[1]).reach is None


@pytest.mark.parametrize("shape", [(0, 2, 3, 3), (1, 2, 0, 3), (1, 2, 3, 0)])
def test_gradients_of_an_image_without_pixels_are_zero(shape):
    y, saved = ns.aspp2d.forward(np.ones(shape), [np.ones((3, 2, 1, 1))], rates=[1])
    gx, gw = ns.aspp2d.backward(saved, y)[:2]
    assert gx.shape == shape
    assert not gw.any()
