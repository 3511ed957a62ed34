"""Threads: every unit once, whatever the number of threads, and whatever goes wrong."""

from __future__ import annotations

import contextlib
import gc
import threading
import time
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import numseg as ns
from numseg.kernels.machine import threads as parallel
from numseg.kernels.machine.threads import launch


@pytest.fixture(autouse=True)
def _split(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Launches are split however small, and the number of threads is put back."""
    monkeypatch.setattr(parallel, "SERIAL_WORK", 0)
    before = parallel._threads
    yield
    parallel._threads = before


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
@pytest.mark.parametrize("units", [0, 1, 2, 3, 8, 29, 100])
def test_every_unit_is_covered_once(threads: int, units: int) -> None:
    visits = np.zeros(units, int)

    def kernel(start: int, stop: int, visits: Any) -> None:
        time.sleep(0.0001)  # so that helpers get their turn
        visits[start:stop] += 1

    with ns.num_threads(threads):
        launch(kernel, units, 1, visits)
    assert (visits == 1).all()


def test_helpers_help() -> None:
    seen = set()
    meet = threading.Barrier(3, timeout=10)

    def kernel(start: int, stop: int) -> None:
        if len(seen) < 3:
            seen.add(threading.current_thread())
            meet.wait()  # passes only when three threads are in a chunk at once

    with ns.num_threads(3):
        launch(kernel, 3, 1)
    assert len(seen) == 3


def test_small_launches_stay_on_the_calling_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "SERIAL_WORK", 100)
    calls: list[tuple[int, int]] = []
    with ns.num_threads(4):
        launch(lambda start, stop: calls.append((start, stop)), 10, 100)
    assert calls == [(0, 10)]


def test_quick_launches_stay_there_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """However much work they say they are; and slow ones are shared, however little."""
    monkeypatch.setattr(parallel, "SERIAL_WORK", 131_072)
    calls: list[tuple[int, int]] = []

    def quick(start: int, stop: int) -> None:
        calls.append((start, stop))

    def slow(start: int, stop: int) -> None:
        calls.append((start, stop))
        time.sleep(0.01)

    with ns.num_threads(2):
        for kernel, work, shared in ((quick, 10**9, False), (slow, 50, True)):
            launch(kernel, 8, work)
            calls.clear()
            launch(kernel, 8, work)
            assert (len(calls) > 1) == shared
            assert sum(stop - start for start, stop in calls) == 8


def test_what_a_closure_holds_is_given_back() -> None:
    """A launch's time is remembered by its code, or every call's arrays would be kept."""

    def run_on(array: np.ndarray) -> None:
        def fill(start: int, stop: int) -> None:
            array[start:stop] = 1

        launch(fill, len(array), 10**9)

    array = np.zeros(64)
    alive = weakref.ref(array)
    with ns.num_threads(2):
        run_on(array)
        run_on(array)
    assert (array == 1).all()
    del array
    gc.collect()
    assert alive() is None


def test_a_job_that_a_thread_finds_late_holds_no_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    late: list[Any] = []

    class Busy:
        def ask(self, job: Any, helpers: int) -> None:
            late.append(job)

    monkeypatch.setattr(parallel, "_pool", Busy())
    array = np.zeros(64)
    alive = weakref.ref(array)
    with ns.num_threads(2):
        launch(lambda start, stop, a: a[start:stop].fill(1), 64, 10**9, array)
    assert (array == 1).all()
    assert len(late) == 1
    del array
    gc.collect()
    assert alive() is None
    late[0].help()  # and there is nothing left to do


def test_an_error_in_any_chunk_reaches_the_caller_and_stops_the_others() -> None:
    for bad in range(8):
        ran: list[int] = []

        def kernel(start: int, stop: int, bad: int = bad, ran: list[int] = ran) -> None:
            if start == bad:
                raise ZeroDivisionError(f"chunk {bad}")
            ran.append(start)

        with ns.num_threads(2), pytest.raises(ZeroDivisionError, match=f"chunk {bad}"):
            launch(kernel, 8, 1)
        count = len(ran)
        time.sleep(0.005)
        assert len(ran) == count  # nothing runs on after the error
    test_every_unit_is_covered_once(2, 29)


def test_the_caller_waits_for_helpers_that_have_begun() -> None:
    """An error on the calling thread does not leave a helper writing into the caller's arrays."""
    main = threading.current_thread()
    begun, finished = threading.Event(), threading.Event()

    def kernel(start: int, stop: int) -> None:
        if threading.current_thread() is main:
            begun.wait(10)
            raise KeyboardInterrupt
        begun.set()
        time.sleep(0.05)
        finished.set()

    with ns.num_threads(2), pytest.raises(KeyboardInterrupt):
        launch(kernel, 8, 1)
    assert finished.is_set()


def test_a_late_helper_touches_nothing() -> None:
    ran: list[int] = []
    job = parallel._Job(ran.append, 5)
    job.finish()
    job.help()
    assert ran == []


def test_launches_nest() -> None:
    total = np.zeros((6, 6), int)

    def inner(start: int, stop: int, row: Any) -> None:
        row[start:stop] += 1

    def outer(start: int, stop: int) -> None:
        for unit in range(start, stop):
            launch(inner, 6, 1, total[unit])

    with ns.num_threads(3):
        launch(outer, 6, 1)
    assert (total == 1).all()


@pytest.mark.parametrize("started", [0, 1])
def test_threads_that_cannot_be_started_are_done_without(
    monkeypatch: pytest.MonkeyPatch, started: int
) -> None:
    start, starts = threading.Thread.start, iter([True] * started)

    def refuse(thread: threading.Thread) -> None:
        if not next(starts, False):
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(parallel, "_pool", parallel._Pool())
    monkeypatch.setattr(threading.Thread, "start", refuse)
    test_every_unit_is_covered_once(4, 29)
    assert parallel._pool._size == started


def test_a_finished_job_is_not_kept_alive() -> None:
    """An idle pool holds no arrays."""
    import gc
    import weakref

    class Big(np.ndarray[Any, Any]):
        pass

    array = np.zeros(10).view(Big)
    gone = weakref.ref(array)
    with ns.num_threads(3):
        launch(lambda start, stop, a: None, 10, 1, array)
    del array
    for _ in range(100):
        gc.collect()
        if gone() is None:
            return
        time.sleep(0.01)
    pytest.fail("the pool keeps the arrays of a finished launch")


def test_set_num_threads() -> None:
    ns.set_num_threads(3)
    assert ns.get_num_threads() == 3
    for bad, message in [
        (0, "threads must be at least 1, got 0"),
        (10**9, "threads must be at most 1024, got 1000000000"),
        (1.5, "threads must be an integer, got 1.5"),
        (None, "threads must be an integer, got None"),
    ]:
        with pytest.raises(ns.ArgumentError, match=message):
            ns.set_num_threads(bad)  # type: ignore[arg-type]
        with pytest.raises(ns.ArgumentError, match=message), ns.num_threads(bad):  # type: ignore[arg-type]
            pass
    assert ns.get_num_threads() == 3


def test_num_threads_holds_for_the_block_and_the_thread() -> None:
    ns.set_num_threads(5)
    inside = {}

    def other() -> None:
        inside["other thread"] = ns.get_num_threads()
        with ns.num_threads(4):
            both.wait(10)
            both.wait(10)
        inside["other thread, after"] = ns.get_num_threads()

    both = threading.Barrier(2)
    with ns.num_threads(2):
        thread = threading.Thread(target=other)
        thread.start()
        both.wait(10)
        assert ns.get_num_threads() == 2
        with contextlib.suppress(ValueError), ns.num_threads(3):
            assert ns.get_num_threads() == 3
            raise ValueError
        assert ns.get_num_threads() == 2
    both.wait(10)
    thread.join()
    assert ns.get_num_threads() == 5
    assert inside == {"other thread": 5, "other thread, after": 5}


def test_many_python_threads_call_operators_at_once() -> None:
    rng = np.random.default_rng(0)
    xs = rng.standard_normal((6, 2, 3, 9, 9)).astype(np.float32)
    w = rng.standard_normal((4, 3, 3, 3)).astype(np.float32)

    def network(x: Any) -> tuple[bytes, ...]:
        y, saved_conv = ns.conv2d.forward(x, w, padding=1)
        z, saved_pool = ns.max_pool2d.forward(y, 2)
        (gy,) = ns.max_pool2d.backward(saved_pool, z)
        gx, gw, _ = ns.conv2d.backward(saved_conv, gy)
        return z.tobytes(), gx.tobytes(), gw.tobytes()

    with ns.num_threads(1):
        expected = [network(x) for x in xs]
    ns.set_num_threads(2)
    found: dict[tuple[int, int], Any] = {}

    def caller(number: int) -> None:
        for k in range(5):
            found[number, k] = network(xs[number])

    threads = [threading.Thread(target=caller, args=(i,)) for i in range(len(xs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {(i, k): expected[i] for i in range(len(xs)) for k in range(5)}


@pytest.mark.parametrize("value", ["none", "0", "-2", "1.5", "99999999"])
def test_a_wrong_number_in_the_environment_is_named(run_script: Any, value: str) -> None:
    done = run_script("import numseg", check=False, NUMSEG_NUM_THREADS=value)
    assert done.returncode == 1
    assert "NUMSEG_NUM_THREADS must be" in done.stderr
    assert value in done.stderr


def test_the_environment_sets_the_number_of_threads(run_script: Any) -> None:
    done = run_script("import numseg; print(numseg.get_num_threads())", NUMSEG_NUM_THREADS="7")
    assert done.stdout.strip() == "7"


PREPARE = """
import os, sys, threading
import numpy as np
import numseg as ns
from numseg.kernels.machine import threads as parallel
parallel.SERIAL_WORK = 0
ns.set_num_threads(3)
x = np.random.default_rng(0).standard_normal((4, 4, 8, 8))
"""


def test_a_forked_child_computes_the_same(run_script: Any) -> None:
    done = run_script(
        PREPARE
        + """
expected = ns.max_pool2d(x, 2)
children = []
for _ in range(3):
    child = os.fork()
    if child == 0:
        same = ns.max_pool2d(x, 2).tobytes() == expected.tobytes()
        new = ns.relu(x).tobytes() == ns.relu.reference(x).tobytes()  # compiled in the child
        os._exit(0 if same and new else 1)
    children.append(child)
codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
same = ns.max_pool2d(x, 2).tobytes() == expected.tobytes()
print(codes, same)
""",
        PYTHONWARNINGS="ignore::DeprecationWarning",  # Python 3.12 warns of fork with threads
    )
    assert done.stdout.strip() == "[0, 0, 0] True"


def test_a_fork_while_another_thread_holds_the_locks(run_script: Any) -> None:
    """The pool's lock and the compiler's: a child must not wait for a thread it does not have."""
    done = run_script(
        PREPARE
        + """
from numba.core.compiler_lock import global_compiler_lock
held, let_go = threading.Event(), threading.Event()
def hold():
    with parallel._pool._lock:
        with global_compiler_lock:
            held.set()
            let_go.wait(0.3)
        let_go.wait()
thread = threading.Thread(target=hold)
ns.relu(x)  # numba is loaded
thread.start()
held.wait()
child = os.fork()
if child == 0:
    ok = ns.max_pool2d(x, 2).tobytes() == ns.max_pool2d.reference(x, 2).tobytes()
    os._exit(0 if ok else 1)
let_go.set()
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
""",
        PYTHONWARNINGS="ignore::DeprecationWarning",
    )
    assert done.stdout.strip() == "0"


def test_ctrl_c_interrupts_and_the_next_call_works(run_script: Any) -> None:
    done = run_script(
        PREPARE
        + """
import signal
ns.relu(x)
threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    while True:
        ns.max_pool2d(x, 2)
except KeyboardInterrupt:
    print("interrupted", ns.relu(x).tobytes() == ns.relu.reference(x).tobytes())
"""
    )
    assert done.stdout.strip() == "interrupted True"


def test_calls_at_exit_work(run_script: Any) -> None:
    done = run_script(
        PREPARE
        + """
import atexit
expected = ns.relu(x).tobytes()
class Late:
    def __del__(self, relu=ns.relu, x=x):
        relu(x)
late = Late()
atexit.register(lambda: print(ns.relu(x).tobytes() == expected))
"""
    )
    assert done.stdout.strip() == "True"
    assert done.stderr == ""
