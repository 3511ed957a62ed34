"""Small pooling windows, which have kernels of their own: rows of all lengths around a vector's,
with pixels off the image and without, for every kind of vector."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import numseg as ns
from numseg.kernels.machine import target as simd

WIDTHS = 1, 2, 5, *range(7, 12), *range(15, 20), *range(31, 36), *range(63, 68)
PADS = (0, 0, 0, 0), (1, 1, 1, 1), (0, 1, 1, 0), (1, 0, 0, 1), (2, 1, 2, 1), (1, 2, 0, 2)


def images(kinds, h, w, dtype):
    """One of each kind: integers with many ties, with zeros of both signs, NaN, infinities."""
    rng = np.random.default_rng(h * w)
    x = rng.integers(-2, 3, (1, len(kinds), h, w)).astype(dtype)
    for image, kind in zip(x[0], kinds, strict=True):
        some = rng.random((h, w)) < 0.4
        if kind == "zeros":
            image[...] = np.where(some, 0.0, -0.0)
        elif kind != "ties":
            image[some] = kind
    return x


def calls(size, pads, stride):
    kernel = {"kernel_size": size, "stride": stride}
    for pad, ceil in itertools.product(pads, (False, True)):
        if max(pad) < size:
            yield {**kernel, "padding": pad, "ceil_mode": ceil}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [2, 3])
def test_maxima_of_small_windows(size, dtype):
    kinds = "ties", "zeros", np.nan, np.inf, -np.inf
    for w, call in itertools.product(WIDTHS, calls(size, PADS, 2)):
        x = images(kinds, 2 + w % 4, w, dtype)
        try:
            y, indices = ns.max_pool2d.reference(x, **call, return_indices=True)
        except ns.ArgumentError:  # the window is larger than the image
            continue
        found, places = ns.max_pool2d(x, **call, return_indices=True)
        np.testing.assert_array_equal(places, indices, str((w, call)))
        np.testing.assert_array_equal(found, y, str((w, call)))
        np.testing.assert_array_equal(np.signbit(found[0, 1]), np.signbit(y[0, 1]))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [2, 3])
def test_sums_of_small_windows(size, dtype):
    for w, call in itertools.product(WIDTHS, calls(size, PADS, 2)):
        x = images(("ties", "zeros"), 2 + w % 4, w, dtype)
        try:
            y = ns.avg_pool2d.reference(x, **call, divisor_override=1)
        except ns.ArgumentError:  # the window is larger than the image
            continue
        found, saved = ns.avg_pool2d.forward(x, **call, divisor_override=1)
        np.testing.assert_array_equal(found, y, str((w, call)))
        grad = images(("ties", "ties"), *y.shape[2:], dtype)
        gradients = [op.backward(saved, grad)[0] for op in (ns.avg_pool2d, ns.avg_pool2d.reference)]
        np.testing.assert_array_equal(*gradients, str((w, call)))


@pytest.mark.parametrize("target", sorted({"avx512", "avx2", "plain"} - {simd.TARGET.name}))
def test_every_kind_of_vector(target):
    """In a process of its own, for the choice is made once."""
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(Path(__file__))]
    environment = {**os.environ, "NUMSEG_SIMD": target}
    done = subprocess.run(
        [*tests, "-k", "small_windows and 32"], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
