"""Threads: one pool, and ``launch``, which splits a kernel's output units among them.

A unit (an image row, a plane, a channel) is computed by one thread in a fixed order, so the bits do
not depend on the number of threads. The pool is Python's, not Numba's: kernels release the GIL, any
number of Python threads may call operators at once, a forked child makes its own pool, and there is
no spinning OpenMP team to starve a BLAS. docs/decisions/0002 gives the reasons and the cost.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from numseg import checks

SERIAL_WORK = 32_768
"""Below this many elementary steps a launch stays on the calling thread (a hand-over costs about
as much as 20 microseconds of work)."""

CHUNKS_PER_THREAD = 4
"""More chunks than threads, so that a thread that was interrupted does not hold up the rest."""


def _default_threads() -> int:
    if chosen := os.environ.get("NUMSEG_NUM_THREADS"):
        return checks.integer("NUMSEG_NUM_THREADS", int(chosen), minimum=1)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


_threads = _default_threads()
_pool: ThreadPoolExecutor | None = None
_pool_lock = threading.Lock()


def get_num_threads() -> int:
    """How many threads a CPU kernel may use."""
    return _threads


def set_num_threads(threads: int) -> None:
    """Let CPU kernels use ``threads`` threads. Results do not depend on it, to the last bit.

    The start value is ``NUMSEG_NUM_THREADS`` or the number of cores this process may run on.
    """
    global _threads, _pool
    with _pool_lock:
        _threads = checks.integer("threads", threads, minimum=1)
        _pool = None  # calls that hold the old pool finish on it


@contextlib.contextmanager
def num_threads(threads: int) -> Iterator[None]:
    """``with num_threads(1):`` run the block with another number of threads."""
    before = get_num_threads()
    set_num_threads(threads)
    try:
        yield
    finally:
        set_num_threads(before)


def _helpers() -> ThreadPoolExecutor:
    global _pool
    with _pool_lock:
        if _pool is None:
            _pool = ThreadPoolExecutor(max(_threads - 1, 1), thread_name_prefix="numseg")
        return _pool


def _forget_pool() -> None:
    """In a forked child the parent's worker threads do not exist."""
    global _pool, _pool_lock
    _pool, _pool_lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)


def launch(kernel: Callable[..., None], units: int, work: int, *args: Any) -> None:
    """Run ``kernel(start, stop, *args)`` so that ``[0, units)`` is covered once.

    ``work`` is the number of elementary steps in all; a small launch is not split.
    """
    threads = min(_threads, units)
    if threads <= 1 or work <= SERIAL_WORK:
        if units > 0:
            kernel(0, units, *args)
        return
    chunks = min(units, threads * CHUNKS_PER_THREAD)
    ticket = itertools.count()  # next() is atomic

    def work_off() -> None:
        while (chunk := next(ticket)) < chunks:
            kernel(units * chunk // chunks, units * (chunk + 1) // chunks, *args)

    try:
        helpers = [_helpers().submit(work_off) for _ in range(threads - 1)]
    except RuntimeError:  # the interpreter is shutting down: this thread does it all
        helpers = []
    try:
        work_off()
    finally:
        for helper in helpers:
            if not helper.cancel():
                helper.result()
