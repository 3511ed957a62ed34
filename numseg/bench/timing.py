"""Timing in turns: A B A B, so that whatever slows the machine for a while slows all alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

Call = Callable[[], Any]


class Case(NamedTuple):
    """One line of a table."""

    row: str
    direction: str
    calls: dict[str, Call]
    """By contender."""
    flops: int
    """Floating-point operations of a call."""
    bytes: int
    """What a call at least reads and writes."""
    occurs: int = 1
    """How often it occurs, in a table of a network's layers."""


PAUSE = 0.05
"""Seconds before a turn. OpenBLAS and OpenMP keep their threads spinning for some time after a
call, on the cores that the next contender needs (numseg on two threads ran at the speed of one)."""

BURST = 0.06
"""Seconds of calls that warm up, and again of calls that count. After a pause cores sleep, and a
virtual machine may give the second one back only after tens of milliseconds: shorter turns measured
that, for whoever runs on two threads."""


def in_turns(
    calls: dict[str, Callable[[], object]], seconds: float, least: int = 5
) -> dict[str, dict[str, float]]:
    """Median and quartiles, in milliseconds, of each call: at least ``least`` turns, then as many
    as fit into ``seconds``. A turn is a pause, calls that warm up, and calls that count, by their
    median."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    begin = time.perf_counter()
    while min(map(len, times.values())) < least or time.perf_counter() - begin < seconds:
        for name, call in calls.items():
            time.sleep(PAUSE)
            _burst(call)
            times[name].append(statistics.median(_burst(call)))
    result = {}
    for name, values in times.items():
        low, median, high = statistics.quantiles(values, n=4)
        result[name] = {"median": median, "low": low, "high": high, "turns": len(values)}
    return result


def _burst(call: Callable[[], object]) -> list[float]:
    """Milliseconds of calls, one after the other: at least one, then as many as fit."""
    times: list[float] = []
    end = time.perf_counter() + BURST
    while not times or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        times.append(1e3 * (time.perf_counter() - start))
    return times
