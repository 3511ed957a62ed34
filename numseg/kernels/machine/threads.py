"""Threads: one pool, and ``launch``, which splits a kernel's output units among them.

A unit (an image row, a plane, a channel) is computed by one thread in a fixed order, so the bits do
not depend on the number of threads. The pool is Python's, not Numba's: kernels release the GIL, any
number of Python threads may call operators at once, a forked child makes its own pool, and there is
no spinning OpenMP team to starve a BLAS. docs/decisions/0002 gives the reasons and the cost.

The thread that launches works too, and never waits for a helper that has not begun: when there is
nothing left to take it closes the job, and a helper that comes later touches nothing. So a launch
within a launch, a pool whose threads could not be started, and the end of the interpreter need no
special care.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import threading
import time
import types
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from queue import Empty, SimpleQueue
from typing import Any, ClassVar

import numpy as np

from numseg import checks, forks
from numseg.errors import ArgumentTypeError

SERIAL_WORK = 131_072
"""Up to so many elementary steps a launch stays on the calling thread: they take about as long as
sharing them would."""

STEP_NS = 0.75
"""Nanoseconds of such a step, so that what takes less than 100 microseconds is not shared. Kernels
count steps of their own kinds, which take from a tenth of that to ten times as much: once a launch
was timed, its time counts. (A quarter of what a call of 0.4 milliseconds takes on one thread is
what another thread saves at all; of less, it saves nothing.)"""

CHUNKS_PER_THREAD = 4
"""More chunks than threads, so that a thread that was interrupted does not hold up the rest. (Half
as many for a small launch: it takes some microseconds to begin one.)"""

ROUNDS = 5_000
"""How often a thread that waits looks again before it sleeps: some 100 microseconds. To wake it
would take about as long, and the next operator of a network comes sooner."""

MOST_THREADS = 1024


def _default_threads() -> int:
    if chosen := os.environ.get("NUMSEG_NUM_THREADS"):
        try:
            return checks.integer("NUMSEG_NUM_THREADS", int(chosen), 1, MOST_THREADS)
        except ValueError:
            raise ArgumentTypeError(
                f"NUMSEG_NUM_THREADS must be an integer from 1 to {MOST_THREADS}, got {chosen!r}"
            ) from None
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


_threads = min(_default_threads(), MOST_THREADS)
_threads_here: ContextVar[int | None] = ContextVar("numseg_threads", default=None)


def get_num_threads() -> int:
    """How many threads a CPU kernel may use."""
    return _threads_here.get() or _threads


def set_num_threads(threads: int) -> None:
    """Let CPU kernels use ``threads`` threads. Results do not depend on it, to the last bit.

    The start value is ``NUMSEG_NUM_THREADS`` or the number of cores this process may run on.
    """
    global _threads
    _threads = checks.integer("threads", threads, 1, MOST_THREADS)


@contextlib.contextmanager
def num_threads(threads: int) -> Iterator[None]:
    """``with num_threads(1):`` run the block with another number of threads.

    Holds for the current thread or task, like :func:`numseg.use`.
    """
    token = _threads_here.set(checks.integer("threads", threads, 1, MOST_THREADS))
    try:
        yield
    finally:
        _threads_here.reset(token)


class _Job:
    """The chunks of one launch: whoever has time takes the next one."""

    def __init__(self, run: Callable[[int], None], chunks: int) -> None:
        self._run: Callable[[int], None] | None = run
        self._chunks = chunks
        self._ticket = itertools.count()  # next() is atomic
        self._closed = False
        self._helpers = np.zeros(1, np.int64)
        self._changed = threading.Condition()
        self.error: BaseException | None = None

    def work(self) -> None:
        """Run chunks until none is left, or one failed."""
        run = self._run
        while run and not self._closed and (chunk := next(self._ticket)) < self._chunks:
            run(chunk)

    def help(self) -> None:
        """The same, on another thread."""
        with self._changed:
            if self._closed:
                return
            self._helpers[0] += 1
        try:
            self.work()
        except BaseException as error:
            self.error = error
            self._closed = True
        finally:
            with self._changed:
                self._helpers[0] -= 1
                self._changed.notify_all()

    def finish(self) -> None:
        """Let nobody in any more, and wait for those who are. A thread may find the job much later:
        till then, it holds no arrays."""
        with self._changed:
            self._closed = True
            helpers = int(self._helpers[0])
        if helpers:
            self._meet(helpers)
        self._run = None

    def _meet(self, helpers: int) -> None:
        from numseg.kernels.machine.spin_wait import spin_wait

        while helpers:
            spin_wait(self._helpers, helpers, ROUNDS)
            with self._changed:
                if self._helpers[0] == helpers:
                    self._changed.wait()
                helpers = int(self._helpers[0])


class _Pool:
    """Threads that wait for jobs. There are as many as were ever needed at once."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[_Job] = SimpleQueue()
        self._asked = np.zeros(1, np.int64)  # a number that grows with every job
        self._lock = threading.Lock()
        self._size = 0

    def ask(self, job: _Job, helpers: int) -> None:
        if self._size < helpers:
            self._grow(helpers)
        for _ in range(min(helpers, self._size)):
            self._jobs.put(job)
        self._asked[0] += 1

    def _grow(self, size: int) -> None:
        # brings in Numba, which importing numseg does not need
        from numseg.kernels.machine.spin_wait import spin_wait

        with self._lock:
            spin_wait(self._asked, -1, 1)  # compiled here, and not by threads that should help
            for number in range(self._size, size):
                name = f"numseg-{number + 1}"
                try:
                    threading.Thread(target=self._serve, name=name, daemon=True).start()
                except RuntimeError:  # no more threads, or the interpreter is shutting down
                    return
                self._size += 1

    def _serve(self) -> None:
        while True:
            self._next().help()  # and keep no name for it: a job holds arrays

    def _next(self) -> _Job:
        """Often it comes at once: then it is met awake."""
        from numseg.kernels.machine.spin_wait import spin_wait

        asked = int(self._asked[0])
        with contextlib.suppress(Empty):
            return self._jobs.get_nowait()
        spin_wait(self._asked, asked, ROUNDS)
        return self._jobs.get()


_pool = _Pool()


def _new_pool() -> None:
    """In a forked child the parent's threads do not exist."""
    global _pool
    _pool = _Pool()


forks.in_child(_new_pool)


class _Timed:
    """A launch, and how long those took before that were about as large, at best: an interrupted
    thread does not count."""

    _best: ClassVar[dict[tuple[Any, int], float]] = {}
    _MOST = 4096

    def __init__(self, kernel: Callable[..., None], work: int) -> None:
        self._kernel, self._work = kernel, max(work, 1)
        # a closure is another one for each call, and holds its arrays: its code stands for it
        stable = kernel.__code__ if isinstance(kernel, types.FunctionType) else kernel
        self._key = stable, work.bit_length()
        self._spans: list[int] = []

    @property
    def steps(self) -> int:
        """What the launch is worth."""
        found = self._best.get(self._key)
        return self._work if found is None else int(found * self._work / STEP_NS) + 1

    def run(self, start: int, stop: int, args: Sequence[Any]) -> None:
        begin = time.perf_counter_ns()
        self._kernel(start, stop, *args)
        self._spans.append(time.perf_counter_ns() - begin)

    def keep(self) -> None:
        """When all chunks are done."""
        found, best = sum(self._spans) / self._work, self._best
        if found < best.get(self._key, math.inf):
            if len(best) >= self._MOST:
                best.clear()
            best[self._key] = found


def launch(kernel: Callable[..., None], units: int, work: int, *args: Any) -> None:
    """Run ``kernel(start, stop, *args)`` so that ``[0, units)`` is covered once.

    ``work`` is the number of elementary steps in all; a small launch is not split, nor one that is
    known to be quick.
    """
    threads = min(get_num_threads(), units)
    if threads <= 1:
        if units > 0:
            kernel(0, units, *args)
        return
    timed = _Timed(kernel, work)
    work = timed.steps
    if work <= SERIAL_WORK:
        timed.run(0, units, args)
        timed.keep()
        return
    small = work <= threads * CHUNKS_PER_THREAD * SERIAL_WORK
    chunks = min(units, threads * CHUNKS_PER_THREAD // (2 if small else 1))

    def run(chunk: int) -> None:
        timed.run(units * chunk // chunks, units * (chunk + 1) // chunks, args)

    job = _Job(run, chunks)
    _pool.ask(job, threads - 1)
    try:
        job.work()
    finally:
        job.finish()
    if job.error is not None:
        raise job.error
    timed.keep()
