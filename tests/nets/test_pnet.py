"""P-Net: the paper's sizes, and a heat map that is the 12 x 12 classifier slid over the image."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns
from numseg.nets import pnet


def test_sizes_and_parameters():
    net = pnet()
    assert sum(param.size for param in net.params) == 6632
    assert net.shapes((2, 3, 12, 12))["conv4_2"] == (2, 4, 1, 1)
    for size in range(12, 40):
        assert net.shapes((1, 3, size, 12))["probability"] == (1, 2, (size - 9) // 2, 1)
    field = net.receptive_field("probability", (1, 3, 32, 32))
    assert (field.size, field.stride) == ((12, 12), (2, 2))


def test_a_heat_map_is_the_classifier_slid_over_the_image():
    """Also on odd sizes, as far as windows are whole: the last row has 11 of its 12."""
    net = pnet()
    params = net.init(seed=3)
    x = np.random.default_rng(0).normal(size=(1, 3, 19, 22)).astype(np.float32)
    maps = net.run(params, x)
    assert [heat.shape for heat in maps] == [(1, 2, 5, 6), (1, 4, 5, 6)]
    for r in range((19 - 12) // 2 + 1):
        for c in range((22 - 12) // 2 + 1):
            window = x[:, :, 2 * r : 2 * r + 12, 2 * c : 2 * c + 12]
            for heat, alone in zip(maps, net.run(params, window), strict=True):
                np.testing.assert_allclose(
                    heat[:, :, r, c], alone[:, :, 0, 0], rtol=2e-6, atol=1e-6
                )


def test_by_the_definitions():
    net = pnet()
    params = net.init(seed=3, dtype=np.float64)
    x = np.random.default_rng(0).normal(size=(1, 3, 13, 14))
    fast = net.run(params, x)
    with ns.use("reference"):
        slow = net.run(params, x)
    for a, b in zip(fast, slow, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 3, 11, 12), "x has 11 rows, but P-Net takes 12 at least"),
        ((1, 3, 12, 11), "x has 11 columns, but P-Net takes 12 at least"),
        ((1, 1, 12, 12), "x has 1 channels, but P-Net takes 3"),
    ],
)
def test_other_sizes(shape, message):
    with pytest.raises(ns.ArgumentError, match=message):
        pnet().shapes(shape)
