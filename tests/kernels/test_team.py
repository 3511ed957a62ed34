"""Compiled kernels among threads, without the interpreter's lock."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest

import numseg as ns
from numseg.kernels.machine import team
from numseg.kernels.machine import threads as parallel
from numseg.kernels.machine.jit import kernel
from numseg.kernels.machine.threads import launch


class Parts(NamedTuple):
    scale: np.ndarray
    nothing: np.ndarray


@kernel()
def _visit(start, stop, visits, parts, flag, none, lanes, number):
    """Arguments of all kinds: an array, a record, a bool, None, a tuple, a float."""
    copy = visits  # counts a reference
    for unit in range(start, stop):
        extra = 1 if flag and none is None else 0
        copy[unit] += parts.scale[0] * number + len(lanes) + extra + len(parts.nothing)


@kernel()
def _fail(start, stop, limit):
    for unit in range(start, stop):
        if unit >= limit[0]:
            raise ValueError("a unit is too large")


@kernel()
def _any_number(start, stop, out, *numbers):
    for unit in range(start, stop):
        for number in numbers:
            out[unit] += number


@kernel()
def _answer(start, stop, out):
    out[start:stop] += 1
    return stop


@pytest.fixture(autouse=True)
def _split(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(parallel, "SERIAL_WORK", 0)
    before = parallel._threads
    yield
    parallel._threads = before


def parts() -> Parts:
    return Parts(np.array([3.0]), np.empty(0))


@pytest.mark.parametrize("threads", [2, 3, 7])
@pytest.mark.parametrize("units", [2, 3, 8, 29, 1000])
def test_every_unit_is_covered_once(threads: int, units: int) -> None:
    visits = np.zeros(units)
    with ns.num_threads(threads):
        for _ in range(20):
            visits[:] = 0
            launch(_visit, units, 10**9, visits, parts(), True, None, (0, 0), 2.0)
            assert (visits == 3 * 2 + 2 + 1).all()


def test_a_helper_helps_and_is_counted() -> None:
    visits = np.zeros(1 << 22)
    helped = set()
    real = team.shared

    def counted(*args: Any) -> int:
        found = real(*args)
        helped.add(found)
        return found

    with pytest.MonkeyPatch.context() as patch, ns.num_threads(2):
        patch.setattr(team, "shared", counted)
        patience = time.monotonic() + 60  # the machine's cores may be busy
        while 1 not in helped and time.monotonic() < patience:
            launch(_visit, len(visits), 10**12, visits, parts(), True, None, (0, 0), 2.0)
    assert helped <= {0, 1}
    assert 1 in helped


def test_an_error_reaches_the_caller() -> None:
    with ns.num_threads(3):
        for _ in range(5):
            launch(_fail, 100, 10**9, np.array([100]))
            with pytest.raises(ValueError, match="a unit is too large"):
                launch(_fail, 100, 10**9, np.array([7]))


def test_a_kernel_that_returns_something_is_called_in_python() -> None:
    out = np.zeros(50)
    with ns.num_threads(2):
        launch(_answer, 50, 10**9, out)
    assert (out == 1).all()


def test_arguments_of_any_number() -> None:
    out = np.zeros(50)
    with ns.num_threads(2):
        for numbers in ((2.0,), (3.0, 4.0)):
            for _ in range(2):
                launch(_any_number, 50, 10**9, out, *numbers)
    assert (out == 2 * 2 + 2 * 7).all()
    assert np.flatnonzero(team._known[_any_number].table[1:-2:2]).size == 2


def test_arrays_are_let_go() -> None:
    import sys

    visits = np.zeros(64)
    given = parts()
    with ns.num_threads(3):
        launch(_visit, 64, 10**9, visits, given, False, None, (0,), 1.0)
        before = sys.getrefcount(visits), sys.getrefcount(given.scale)
        for _ in range(50):
            launch(_visit, 64, 10**9, visits, given, False, None, (0,), 1.0)
        assert (sys.getrefcount(visits), sys.getrefcount(given.scale)) == before


def test_many_threads_launch_at_once() -> None:
    """Each has the helpers that the others leave, and a box has the job of one at a time."""
    wrong: list[int] = []

    def caller(number: int) -> None:
        visits = np.zeros(100 + number)
        for k in range(300):
            visits[:] = 0
            launch(_visit, len(visits), 10**9, visits, parts(), True, None, (0, 0), float(k))
            if not (visits == 3 * k + 3).all():
                wrong.append(number)

    with ns.num_threads(1):
        pass
    ns.set_num_threads(4)
    threads = [threading.Thread(target=caller, args=(i,)) for i in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert wrong == []


@kernel()
def _scale(start, stop, out, factors, more):
    for unit in range(start, stop):
        out[unit] = factors[unit % len(factors)] * more[0]


def test_threads_that_learn_an_address_at_once_learn_their_own() -> None:
    """All begin with the same kernel, each with other types of arguments, which nobody knew."""
    dtypes = [np.dtype(kind) for kind in ("f4", "f8", "i4", "i8", "i2", "u1")]
    begin, wrong = threading.Barrier(len(dtypes)), []

    def caller(dtype: Any) -> None:
        begin.wait()
        for more in (np.ones(1, dtype), np.ones((1, 1), dtype)[0], np.float64([1]), np.int64([1])):
            out, factors = np.zeros(50, dtype), np.arange(1, 6, dtype=dtype)
            for _ in range(20):
                launch(_scale, 50, 10**9, out, factors, more)
            if not (out == np.tile(factors, 10)).all():
                wrong.append(dtype)

    ns.set_num_threads(3)
    threads = [threading.Thread(target=caller, args=(dtype,)) for dtype in dtypes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not any(thread.is_alive() for thread in threads)
    assert wrong == []


def test_a_helper_that_comes_late_does_nothing() -> None:
    """A job that is done is withdrawn from boxes whose helpers have not begun."""
    pool = parallel._Pool()
    job, box = np.zeros(team.JOB_NUMBERS, np.int64), np.zeros(8, np.int64)
    at = box.ctypes.data
    assert at % 8 == 0
    box[0] = team.WAKING
    table = np.zeros(8, np.int64)
    visits = np.zeros(10)
    args = (visits, parts(), True, None, (0, 0), 2.0)
    job[team.CHUNKS // 8], job[team.UNITS // 8] = 4, 10
    assert team.share(job.ctypes.data, table.ctypes.data, at, 1, *args) == team.UNKNOWN
    assert not visits.any()
    team._learn(_visit, table, int(job[team.KERNEL // 8]), args)
    assert team.share(job.ctypes.data, table.ctypes.data, at, 1, *args) == 0
    assert (visits == 9).all()
    assert box[0] == team.WAKING
    assert box[team.JOB // 8] == 0
    assert pool.size == 0


def test_forked_children_share_too(run_script: Any) -> None:
    done = run_script(
        """
import os
import numpy as np
import numseg as ns
from numseg.kernels.machine import threads as parallel
parallel.SERIAL_WORK = 0
ns.set_num_threads(3)
x = np.random.default_rng(0).standard_normal((4, 8, 32, 32)).astype(np.float32)
expected = ns.relu(x).tobytes()
codes = []
for _ in range(5):
    child = os.fork()
    if child == 0:
        os._exit(0 if all(ns.relu(x).tobytes() == expected for _ in range(20)) else 1)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print(codes, ns.relu(x).tobytes() == expected)
""",
        PYTHONWARNINGS="ignore::DeprecationWarning",
    )
    assert done.stdout.strip() == "[0, 0, 0, 0, 0] True"
