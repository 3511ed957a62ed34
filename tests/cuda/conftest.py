"""These tests run on a GPU, or, slowly and with tiny shapes, on Numba's simulator of one:

NUMBA_ENABLE_CUDASIM=1 pytest tests/cuda
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="session")
def _hand_over_quickly() -> Iterator[None]:
    """The simulator waits for its threads in a busy loop that holds the interpreter."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)
    yield
    sys.setswitchinterval(before)
