"""Launches on CUDA."""

from __future__ import annotations

from typing import Any

THREADS = 256
"""Threads in a block of a one-dimensional launch."""


def launch(kernel: Any, size: int, *args: Any) -> None:
    """Run ``kernel(*args)`` with at least ``size`` threads, one for each output element."""
    if size > 0:
        kernel[(size + THREADS - 1) // THREADS, THREADS](*args)
