"""Few rows by weights that are read once: the bits of the same rows among many."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns


@pytest.mark.parametrize(("filters", "channels"), [(8, 1), (21, 129), (40, 300)])
def test_bits_do_not_depend_on_how_many_rows_there_are(filters, channels):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((9, channels), np.float32)
    w = rng.standard_normal((filters, channels), np.float32)
    b = rng.standard_normal(filters, np.float32)
    images, kernels = x[:, :, None, None], w[:, :, None, None]
    many, of_pixels = ns.linear(x, w, b), ns.conv2d(images, kernels, b)
    for rows in 1, 2, 4:
        np.testing.assert_array_equal(ns.linear(x[:rows], w, b), many[:rows])
        np.testing.assert_array_equal(ns.conv2d(images[:rows], kernels, b), of_pixels[:rows])


def test_integers_are_exact():
    rng = np.random.default_rng(1)
    x, w = rng.integers(-9, 10, (2, 131)), rng.integers(-9, 10, (37, 131))
    y = ns.linear(x.astype(np.float32), w.astype(np.float32))
    np.testing.assert_array_equal(y, x @ w.T)
