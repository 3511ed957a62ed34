"""Runs of numbers that go past the caches: lines written whole, and what is before and after."""

from __future__ import annotations

import numpy as np
import pytest

from numseg.kernels.machine.jit import kernel
from numseg.kernels.machine.vector_copy import copy_nontemporal, fence_nontemporal


@kernel()
def _stream(source, s0, target, t0, count):
    copy_nontemporal(source, s0, target, t0, count)
    fence_nontemporal()


@pytest.mark.parametrize(
    ("given", "wanted"), [("f4", "f4"), ("f8", "f8"), ("i4", "i8"), ("i8", "i8")]
)
def test_a_run_from_anywhere_to_anywhere(given, wanted):
    source = (np.arange(100) - 50).astype(given)
    for t0 in range(18):
        for count in (0, 1, 5, 15, 16, 17, 33, 64):
            target = np.full(100, 77, wanted)
            expected = target.copy()
            expected[t0 : t0 + count] = source[3 : 3 + count]
            _stream(source, 3, target, t0, count)
            np.testing.assert_array_equal(target, expected, str((t0, count)))
