"""Timing in turns: A B A B, so that whatever slows the machine for a while slows all alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable


def in_turns(
    calls: dict[str, Callable[[], object]], seconds: float, least: int = 5
) -> dict[str, dict[str, float]]:
    """Median and quartiles, in milliseconds, of each call: at least ``least`` turns, then as many
    as fit into ``seconds``. Each call has been made once before."""
    for call in calls.values():
        call()
    times: dict[str, list[float]] = {name: [] for name in calls}
    begin = time.perf_counter()
    while min(map(len, times.values())) < least or time.perf_counter() - begin < seconds:
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            times[name].append(1e3 * (time.perf_counter() - start))
    result = {}
    for name, values in times.items():
        low, median, high = statistics.quantiles(values, n=4)
        result[name] = {"median": median, "low": low, "high": high, "turns": len(values)}
    return result
