"""Averages of regions of all widths around a vector's and a group's, for every kind of vector."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import numseg as ns
from numseg.kernels.machine import target as simd
from numseg.kernels.machine.vector_copy import NONTEMPORAL_BYTES

SHAPES = [  # of the images and of the bins
    ((1, 16, 24, 40), (7, 7)),
    ((2, 17, 40, 23), (4, 9)),
    ((1, 33, 9, 70), (17, 3)),
    ((2, 16, 3, 5), (8, 8)),
    ((1, 5, 30, 30), (1, 20)),
]
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
REGIONS = pytest.mark.parametrize(("shape", "bins"), SHAPES)


def _call(shape, bins, dtype, count=20):
    """Small integers, and boxes that begin and end at quarters of pixels, many of them outside."""
    rng = np.random.default_rng(sum(shape))
    n, _, h, w = shape
    first = np.stack([rng.integers(-16, 4 * size, count) for size in (w, h)], 1) / 4
    size = np.stack([b * 2.0 ** rng.integers(-2, 3, count) for b in bins[::-1]], 1)
    rois = np.concatenate([rng.integers(0, n, (count, 1)), first, first + size], 1)
    x, gy = (rng.integers(-4, 5, s) for s in (shape, (count, shape[1], *bins)))
    return x.astype(dtype), rois.astype(dtype), 4.0 * gy.astype(dtype)


@DTYPES
@REGIONS
@pytest.mark.parametrize("ratio", [1, 2, 4])
def test_regions_are_exact(shape, bins, dtype, ratio):
    x, rois, gy = _call(shape, bins, dtype)
    results = []
    for op in ns.roi_align, ns.roi_align.reference:
        y, saved = op.forward(x, rois, bins, sampling_ratio=ratio, aligned=True)
        results.append((y, *op.backward(saved, gy)))
    (y, gx, grois), (y_wanted, gx_wanted, wanted) = results
    np.testing.assert_array_equal(y, y_wanted)
    np.testing.assert_array_equal(gx, gx_wanted)
    # a bin's place is not exact where their number is no power of two; a term is some quarters
    bound = 8 * np.finfo(dtype).eps * np.abs(wanted).max()
    np.testing.assert_allclose(grois, wanted, rtol=0, atol=bound)
    assert bound < 1 / 64


@DTYPES
@REGIONS
def test_regions_divide_by_their_samples(shape, bins, dtype):
    """An average of equal numbers is that number, whatever their count."""
    x, rois, _ = _call(shape, bins, dtype)
    rois[:, 1:3], rois[:, 3:] = 0.5, [shape[3] - 0.5, shape[2] - 0.5]
    y = ns.roi_align(np.full_like(x, 5), rois, bins, sampling_ratio=3)
    np.testing.assert_allclose(y, 5, rtol=4 * np.finfo(dtype).eps)


@DTYPES
@pytest.mark.parametrize("shape", [(1, 17, 6, 6), (1, 32, 6, 6)])
def test_regions_are_the_same_in_a_large_result(shape, dtype):
    """It is written past the caches: its lines begin anywhere in a region's channels."""
    x, rois, _ = _call(shape, (5, 5), dtype, 40)
    some = ns.roi_align(x, rois, 5, sampling_ratio=1)
    many = NONTEMPORAL_BYTES // some.nbytes + 1
    y = ns.roi_align(x, np.tile(rois, (many, 1)), 5, sampling_ratio=1)
    np.testing.assert_array_equal(
        y.reshape(many, *some.shape), np.broadcast_to(some, (many, *some.shape))
    )


@DTYPES
def test_regions_keep_to_their_pixels_and_channels(dtype):
    """What is not a number stays in its channel, and where a region's bin reads it."""
    x, rois, gy = _call((1, 17, 20, 20), (3, 3), dtype, 4)
    rois[:, 1:] = [2, 2, 8, 8], [2, 2, 8, 8], [8, 2, 14, 8], [2, 8, 8, 14]
    x[0, 3, 12, 12] = np.nan
    y, saved = ns.roi_align.forward(x, rois, 3, sampling_ratio=2)
    assert np.isfinite(y).all()
    gy[0, 3, 0, 0], gy[3, 16] = np.nan, np.inf
    gx, _ = ns.roi_align.backward(saved, gy)
    assert (np.argwhere(~np.isfinite(gx))[:, 1:] >= (3, 2, 2)).all()
    nan = np.isnan(gx[0, :16])
    assert nan[3, 2:4, 2:4].all()
    assert nan.sum() == nan[3, 2:5, 2:5].sum()
    gy[3, 16], gy[3, 2] = 1, np.nan  # of the last region: the last block has another channel
    grois = ns.roi_align.backward(saved, gy)[1]
    assert np.isfinite(grois[1:3]).all()


@pytest.mark.parametrize("target", sorted({"avx512", "avx2", "plain"} - {simd.TARGET.name}))
def test_every_kind_of_vector(target):
    """In a process of its own, for the choice is made once."""
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(Path(__file__))]
    environment = {**os.environ, "NUMSEG_SIMD": target}
    done = subprocess.run(
        [*tests, "-k", "regions_ and 32"], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "23 passed" in done.stdout
