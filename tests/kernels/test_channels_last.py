"""Planes to channels side by side and back, of all sizes around a vector's, for every kind of
vector."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from numseg.kernels.machine import target as simd
from numseg.kernels.sampling import channels_last
from numseg.kernels.sampling.channels_last import LANES

PARTS = [(h, s0, s1) for h in (0, 1, 3) for s0, s1 in ((0, 0), (0, 1), (2, 9), (1, 17), (3, 36))]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("channels", [1, 5, LANES])
def test_lanes_are_planes_in_another_order(dtype, channels):
    for rows, s0, s1 in PARTS:
        planes = 1 + np.arange(channels * 5 * 40, dtype=dtype).reshape(channels, 5, 40)
        tile = channels_last.load(planes, 1, 1 + rows, s0, s1)
        pixels = tile.reshape(rows, s1 - s0, LANES)
        there = planes[:, 1 : 1 + rows, s0:s1]
        np.testing.assert_array_equal(pixels[..., :channels], there.transpose(1, 2, 0))
        assert not pixels[..., channels:].any()
        back = np.full_like(planes, -1)
        at = 40 + s0, 200, 40, channels
        channels_last.store_rows(tile.reshape(-1), rows, s1 - s0, back.reshape(-1), *at)
        wanted = np.full_like(planes, -1)
        wanted[:, 1 : 1 + rows, s0:s1] = there
        np.testing.assert_array_equal(back, wanted)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("channels", [3, LANES])
@pytest.mark.parametrize("pixels", [1, 7, 16, 49])
def test_lanes_of_a_run_touch_nothing_else(dtype, channels, pixels):
    planes = np.arange(2 + 60 * LANES, dtype=dtype)
    tile = np.full((pixels + 2) * LANES, -1, dtype)
    channels_last.to_channels_last(planes, 1, 60, channels, tile, LANES, pixels)
    there = planes[1:-1].reshape(LANES, 60)[:channels, :pixels]
    middle = tile[LANES:-LANES].reshape(pixels, LANES)
    np.testing.assert_array_equal(middle[:, :channels], there.T)
    assert (middle[:, channels:] == -1).all()
    assert (tile[:LANES] == -1).all()
    assert (tile[-LANES:] == -1).all()
    back = np.full_like(planes, -1)
    channels_last.to_planes(tile, LANES, pixels, back, 1, 60, channels)
    wanted = np.full_like(planes, -1)
    wanted[1:-1].reshape(LANES, 60)[:channels, :pixels] = there
    np.testing.assert_array_equal(back, wanted)


@pytest.mark.parametrize("target", sorted({"avx512", "avx2", "plain"} - {simd.TARGET.name}))
def test_every_kind_of_vector(target):
    """In a process of its own, for the choice is made once."""
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(Path(__file__))]
    environment = {**os.environ, "NUMSEG_SIMD": target}
    done = subprocess.run([*tests, "-k", "lanes_"], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "22 passed" in done.stdout
