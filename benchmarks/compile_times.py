"""How long an operator's first calls take, when nothing is in the cache of compiled kernels.

    python -m benchmarks.compile_times [--rows NAME] [--save]

Each operator runs in a process of its own with an empty cache, on one thread: what a call in
float32 takes that is the first one, forward and then backward, without imports: neither numseg's
nor those that Numba puts off until it compiles for the first time. CPU seconds (of the process and
its children) are nearly the same on a busy machine, but where a core is shared by two threads of
the machine's; seconds by the clock are not.
``--save`` writes ``results/compile_times.json``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numba
import numpy as np

from numseg import faces
from numseg.bench.run import _machine, _versions
from numseg.files import write_whole
from numseg.operator import Operator
from numseg.ops.registry import OPERATORS
from numseg.testing import cases

FILE = Path(__file__).parent / "results" / "compile_times.json"
PARTS = "forward", "backward"
LIMIT = 5.0
"""CPU seconds that an operator may take, forward and backward together."""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", default="", help="only operators whose name contains this")
    parser.add_argument("--save", action="store_true", help=f"write {FILE.name}")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    if args.one:
        print(json.dumps(first_calls(OPERATORS[args.one])))
        return 0
    print(f"{'CPU seconds':32}  forward backward together  (by the clock)")
    rows = {}
    for name in (name for name in OPERATORS if args.rows in name):
        rows[name] = row = _in_a_process(name)
        cpu, wall = ([row[part][kind] for part in PARTS] for kind in ("cpu", "wall"))
        mark = "  over the limit" if sum(cpu) > LIMIT else ""
        figures = "".join(f"{seconds:9.2f}" for seconds in (*cpu, sum(cpu), sum(wall)))
        print(f"{name:32}{figures}{mark}", flush=True)
        for kernel, seconds in row["kernels"]:
            print(f"    {kernel:60}{seconds:6.2f}")
        if args.save:
            result = {"machine": _machine(), "versions": _versions(), "limit": LIMIT, "rows": rows}
            write_whole(FILE, (json.dumps(result, indent=1) + "\n").encode())
    return 0


def _in_a_process(name: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "NUMSEG_CACHE_DIR": cache, "NUMSEG_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "benchmarks.compile_times", "--one", name]
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def first_calls(op: Operator[..., Any]) -> dict[str, Any]:
    """In this process. The call is the largest of the operator's first cases."""
    drawn = [case.arguments("reals", np.float32) for case in cases.drawn(op, 20, full=True)]
    arguments = max(drawn, key=lambda case: (_given(case), sum(map(_size, case.values()))))
    faces.module(op, "cpu")
    numba.njit(lambda: None)()
    with _kernels() as kernels:
        (y, saved), forward = _timed(lambda: op.forward(**arguments))
        first = y[0] if isinstance(y, tuple) else y
        gy = np.ones(first.shape, first.dtype)
        _, backward = _timed(lambda: op.backward(saved, gy) if op.differentiable else ())
    return {"forward": forward, "backward": backward, "kernels": kernels}


def _given(arguments: dict[str, Any]) -> int:
    return sum(value is not None for value in arguments.values())


def _size(value: Any) -> int:
    parts = value if isinstance(value, list) else [value]
    return sum(part.size for part in parts if isinstance(part, np.ndarray))


def _timed(call: Any) -> tuple[Any, dict[str, float]]:
    before, start = os.times(), time.perf_counter()
    result = call()
    wall, after = time.perf_counter() - start, os.times()
    cpu = sum(b - a for a, b in zip(before[:4], after[:4], strict=True))
    return result, {"cpu": round(cpu, 2), "wall": round(wall, 2)}


@contextlib.contextmanager
def _kernels() -> Iterator[list[tuple[str, float]]]:
    """Which kernels are compiled, and the CPU seconds of each, its rules included."""
    from numba.core import event

    found: list[tuple[str, float]] = []
    began: list[float] = []

    class Listener(event.Listener):
        def on_start(self, event: Any) -> None:
            began.append(time.process_time())

        def on_end(self, event: Any) -> None:
            seconds = time.process_time() - began.pop()
            if not began:  # not one that another kernel calls
                function = event.data["dispatcher"].py_func
                name = f"{function.__module__.removeprefix('numseg.')}.{function.__name__}"
                found.append((name, round(seconds, 2)))

    with event.install_listener("numba:compile", Listener()):
        yield found


if __name__ == "__main__":
    sys.exit(main())
