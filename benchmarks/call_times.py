"""What a call costs on small arrays, in microseconds: ``python -m benchmarks.call_times``.

One thread, medians of ten thousand calls each; PyTorch's beside them where it is installed. Below
that, the time of ``import numseg`` in a fresh process, the median of ten.
"""

from __future__ import annotations

import importlib.util
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import numseg as ns

CALLS = 10_000


def microseconds(call: Callable[[], Any]) -> float:
    """The median of single calls, after some that warm up."""
    for _ in range(100):
        call()
    times = []
    for _ in range(CALLS):
        start = time.perf_counter_ns()
        call()
        times.append(time.perf_counter_ns() - start)
    return statistics.median(times) / 1000


def calls() -> dict[str, tuple[Callable[[], Any], Callable[[Any], Callable[[], Any]]]]:
    """By name: numseg's call, and what makes PyTorch's of ``torch``."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, 8, 8, 8), np.float32)
    weight, bias = rng.standard_normal((8, 8, 3, 3), np.float32), np.zeros(8, np.float32)
    state = np.zeros(8, np.float32), np.ones(8, np.float32)

    def peer(call: Callable[..., Any], *arrays: Any) -> Callable[[Any], Callable[[], Any]]:
        def make(torch: Any) -> Callable[[], Any]:
            tensors = [torch.from_numpy(a) for a in arrays]
            return lambda: call(torch, *tensors)

        return make

    return {
        "conv2d 3x3, 8 > 8 @8": (
            lambda: ns.conv2d(x, weight, bias, padding=1),
            peer(lambda t, *a: t.nn.functional.conv2d(*a, padding=1), x, weight, bias),
        ),
        "relu": (lambda: ns.relu(x), peer(lambda t, a: t.nn.functional.relu(a), x)),
        "max_pool2d 2x2": (
            lambda: ns.max_pool2d(x, 2),
            peer(lambda t, a: t.nn.functional.max_pool2d(a, 2), x),
        ),
        "add": (lambda: ns.add(x, x), peer(lambda t, a: a + a, x)),
        "concat": (lambda: ns.concat([x, x]), peer(lambda t, a: t.cat([a, a], 1), x)),
        "batch_norm": (
            lambda: ns.batch_norm(x, *state),
            peer(lambda t, *a: t.nn.functional.batch_norm(*a), x, *state),
        ),
    }


def import_seconds() -> float:
    """Of ``import numseg`` alone, without starting Python."""
    code = "import time; a = time.perf_counter(); import numseg; print(time.perf_counter() - a)"
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True) for _ in range(10)]
    return statistics.median(float(run.stdout) for run in runs)


def main() -> None:
    ns.set_num_threads(1)
    torch: Any = None
    if importlib.util.find_spec("torch"):
        import torch

        torch.set_num_threads(1)
    for name, (ours, make) in calls().items():
        theirs = f"{microseconds(make(torch)):6.1f} us by PyTorch" if torch else ""
        print(f"{name:<24} {microseconds(ours):6.1f} us {theirs}")
    print(f"{'import numseg':<24} {import_seconds():6.3f} s")


if __name__ == "__main__":
    main()
