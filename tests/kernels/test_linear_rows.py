"""Lines that are stretched, of all lengths around a vector's, for every kind of vector."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import numseg as ns
from numseg.kernels.machine import target as simd
from numseg.kernels.sampling import linear_rows

LENGTHS = 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33
FACTORS = 1.0, 1.3, 2.0, 3.5, 8.0, 20.0, 0.6


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_stretched_lines(dtype):
    """Against a sum in float64, so close that a number read elsewhere, or weighed by its
    neighbour's weight, does not pass: numbers differ by whole units."""
    rng = np.random.default_rng(0)
    for w in LENGTHS:
        x = rng.permutation(3 * w).reshape(1, 1, 3, w).astype(dtype)
        for factor in FACTORS:
            size = 4, max(int(w * factor), 1)
            for align in (False, True):
                y = ns.upsample_bilinear2d(x, size, align_corners=align)
                expected = ns.upsample_bilinear2d.reference(x, size, align_corners=align)
                bound = 8 * np.finfo(dtype).eps * 3 * w
                np.testing.assert_allclose(y, expected, rtol=0, atol=bound, err_msg=f"{w, size}")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_end_of_stretched_lines(dtype):
    """After the last pixel comes the last pixel again, with a weight of 0: 0 * inf is NaN."""
    for w in LENGTHS:
        x = np.ones((1, 1, 2, w), dtype)
        x[..., -1] = np.inf
        y = ns.upsample_bilinear2d(x, (4, 3 * w))
        np.testing.assert_array_equal(y, ns.upsample_bilinear2d.reference(x, (4, 3 * w)))
        assert np.isnan(y[..., 1:3, -1]).all()
        assert np.isinf(y[..., 1:3, -3]).all() or w == 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gradients_of_stretched_lines(dtype):
    """Planes of 5 rows: units end within planes, and planes within units."""
    rng = np.random.default_rng(1)
    for w in LENGTHS:
        for factor in FACTORS:
            oh, ow = max(int(5 * factor), 1), max(int(w * factor), 1)
            _, saved = ns.upsample_bilinear2d.forward(np.zeros((3, 2, 5, w), dtype), (oh, ow))
            gy = rng.permutation(6 * oh * ow).reshape(3, 2, oh, ow).astype(dtype)
            gx = ns.upsample_bilinear2d.backward(saved, gy)[0]
            matrix = ns.upsample_bilinear2d.matrix((1, 1, 5, w), (oh, ow))
            expected = (gy.reshape(6, -1).astype(float) @ matrix).reshape(gx.shape)
            bound = 8 * (factor + 2) ** 2 * np.finfo(dtype).eps * gy.size
            np.testing.assert_allclose(gx, expected, rtol=0, atol=bound, err_msg=f"{w, oh, ow}")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("at", [(0, 0), (4, 7), (9, 13)])
def test_the_gradient_of_an_infinity(dtype, at):
    """Of 10 x 14 outputs of 5 x 7 pixels the last are read with weights 1 and 0: 0 * inf is NaN."""
    gy = np.ones((1, 4, 10, 14), dtype)
    gy[0, 1, *at] = np.inf
    _, saved = ns.upsample_bilinear2d.forward(np.zeros((1, 4, 5, 7), dtype), (10, 14))
    _, defined = ns.upsample_bilinear2d.reference.forward(np.zeros((1, 4, 5, 7), dtype), (10, 14))
    gx = ns.upsample_bilinear2d.backward(saved, gy)[0]
    expected = ns.upsample_bilinear2d.reference.backward(defined, gy)[0]
    assert np.isfinite(gx).sum() == 4 * 35 - {(0, 0): 4, (4, 7): 4, (9, 13): 1}[at]
    np.testing.assert_array_equal(np.isnan(gx), np.isnan(expected))
    np.testing.assert_array_equal(np.isinf(gx), np.isinf(expected))


@pytest.mark.parametrize("itemsize", [4, 8])
def test_vectors_only_where_all_lanes_are_within_reach(itemsize):
    lanes = simd.TARGET.vector_bytes // itemsize
    left = np.arange(2 * lanes - 1) // 2
    assert linear_rows.reads(left, itemsize).start.tolist() == [0, lanes - 1]
    assert linear_rows.reads(left[: lanes - 1], itemsize).start.tolist() == []
    far = np.arange(2 * lanes) * 2
    assert linear_rows.reads(far, itemsize).start.tolist() == []


@pytest.mark.parametrize("target", sorted({"avx512", "avx2", "plain"} - {simd.TARGET.name}))
def test_every_kind_of_vector(target):
    """In a process of its own, for the choice is made once."""
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(Path(__file__))]
    environment = {**os.environ, "NUMSEG_SIMD": target}
    done = subprocess.run(
        [*tests, "-k", "not every_kind"], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "14 passed" in done.stdout
