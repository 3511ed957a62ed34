"""Threads: one pool, and ``launch``, which splits a kernel's output units among them.

A unit (an image row, a plane, a channel) is computed by one thread in a fixed order, so the bits do
not depend on the number of threads. The pool is Python's, not Numba's: kernels release the GIL, any
number of Python threads may call operators at once, a forked child makes its own pool, and there is
no spinning OpenMP team to starve a BLAS. docs/decisions/0002 gives the reasons and the cost.

The thread that launches works too, and never waits for a helper that has not begun: when there is
nothing left to take it closes the job, and a helper that comes later touches nothing. So a launch
within a launch, a pool whose threads could not be started, and the end of the interpreter need no
special care.

Compiled kernels are shared in compiled code (:mod:`numseg.kernels.machine.team`); functions of
Python, as a job that each thread calls with the interpreter's lock.
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

SERIAL_WORK = 65_536
"""Up to so many elementary steps a launch stays on the calling thread: to share it costs some 20
microseconds, and that its numbers come from another core's cache."""

STEP_NS = 0.75
"""Nanoseconds of such a step, so that what takes less than 50 microseconds is not shared. Kernels
count steps of their own kinds, which take from a tenth of that to ten times as much: once a launch
was timed, its time counts."""

CHUNKS_PER_THREAD = 4
"""More chunks than threads, so that a thread that was interrupted does not hold up the rest. (As
many as threads for a small launch: for each, kernels clear and fill memory of their own.)"""

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


def address(array: np.ndarray[Any, Any]) -> int:
    """Of its data. ``array.ctypes`` imports something each time, which at exit is an error."""
    found: int = array.__array_interface__["data"][0]
    return found


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
        self._queues: list[SimpleQueue[_Job | None]] = []
        self._numbers = np.zeros((MOST_THREADS + 1) * 8, np.int64)
        at = address(self._numbers)
        self._boxes = at + -at % 64
        self._first = -at % 64 // 8  # of the numbers, that of the first box
        self._asked = np.zeros(1, np.int64)  # a number that grows with every job of the queues
        self._lock = threading.Lock()
        self._team: Any = None

    @property
    def size(self) -> int:
        return len(self._queues)

    def ask(self, job: _Job, helpers: int) -> None:
        """Have the job called by so many helpers, when they come to it."""
        if self.size < helpers:
            self._grow(helpers)
        for queue in self._queues[:helpers]:
            queue.put(job)
        self._asked[0] += 1

    def share(self, kernel: Callable[..., None], units: int, chunks: int, helpers: int,
              args: tuple[Any, ...]) -> int:  # fmt: skip
        """Do all chunks of a compiled kernel, and say how many helpers did some; -1: nothing was
        done, as it is not to be called by address."""
        if self.size < helpers:
            self._grow(helpers)
        count = min(helpers, self.size)
        self._wake(count)
        found: int = self._team.shared(kernel, units, chunks, self._boxes, count, args)
        return found

    def _wake(self, count: int) -> None:
        for number, queue in enumerate(self._queues[:count]):
            state = self._first + number * self._team.BOX_BYTES // 8
            if self._numbers[state] == self._team.ASLEEP and self._team.wake(
                self._boxes + number * self._team.BOX_BYTES
            ):
                queue.put(None)

    def _grow(self, size: int) -> None:
        # brings in Numba, which importing numseg does not need, and is not to be had at exit
        from numseg.kernels.machine import team

        with self._lock:
            self._team = team
            box = np.zeros(8, np.int64)  # of nobody: compiled here, and not by who should help
            team.serve(address(box), address(self._asked), -1, 0)
            team.wake(address(box))
            for number in range(self.size, size):
                queue: SimpleQueue[_Job | None] = SimpleQueue()
                thread = threading.Thread(
                    target=self._serve, args=(number, queue), name=f"numseg-{number + 1}",
                    daemon=True,
                )  # fmt: skip
                try:
                    thread.start()
                except RuntimeError:  # no more threads, or the interpreter is shutting down
                    return
                self._queues.append(queue)

    def _serve(self, number: int, queue: SimpleQueue[_Job | None]) -> None:
        box, asked = self._boxes + number * self._team.BOX_BYTES, address(self._asked)
        while True:
            before = int(self._asked[0])
            try:
                job = queue.get_nowait()
            except Empty:
                self._team.serve(box, asked, before, ROUNDS)  # often the next one comes at once
                job = None if self._asked[0] != before else queue.get()
            if job is not None:
                job.help()
            job = None  # which holds arrays


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
        self.took(sum(self._spans))

    def took(self, nanoseconds: int) -> None:
        """Of all threads."""
        found, best = nanoseconds / self._work, self._best
        if found < best.get(self._key, math.inf):
            if len(best) >= self._MOST:
                best.clear()
            best[self._key] = found


def _compiled(kernel: Callable[..., None]) -> bool:
    return hasattr(kernel, "overloads")


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
    chunks = min(units, threads * (1 if small else CHUNKS_PER_THREAD))
    begin = time.perf_counter_ns()
    if _compiled(kernel) and (helped := _pool.share(kernel, units, chunks, threads - 1, args)) >= 0:
        timed.took((time.perf_counter_ns() - begin) * (1 + helped))
        return

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
