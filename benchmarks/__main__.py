"""``python -m benchmarks``: the workload table, for one thread and for two.

Each number of threads has a process of its own, for BLAS libraries choose theirs when they load.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

TABLES = ("conv2d", "operators", "workload")
RESULTS = Path(__file__).parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("tables", nargs="*", default=TABLES, help=f"of {', '.join(TABLES)}")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rows", default="", help="only rows that contain this")
    parser.add_argument("--seconds", type=float, default=1.0, help="for each row and direction")
    parser.add_argument("--save", action="store_true", help=f"write JSON into {RESULTS}")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        measure(options)
        return
    for threads in options.threads:
        names = "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "NUMSEG_NUM_THREADS"
        environment = {**os.environ, **dict.fromkeys(names, str(threads))}
        mine = ["--child", "--threads", str(threads)]  # of two, the later counts
        command = [sys.executable, "-m", "benchmarks", *sys.argv[1:], *mine]
        subprocess.run(command, env=environment, check=True)


def measure(options: argparse.Namespace) -> None:
    from benchmarks.timing import in_turns

    threads = options.threads[0]
    for table in options.tables:
        rows: list[dict[str, Any]] = []
        print(f"\n{table}, {threads} thread{'s' if threads > 1 else ''}, median ms (quartiles)")
        for row, direction, calls, flops in importlib.import_module(f"benchmarks.{table}").cases():
            if options.rows not in row:
                continue
            times = in_turns(calls, options.seconds)
            rows.append({"row": row, "direction": direction, "flops": flops, "ms": times})
            print(line(rows[-1]), flush=True)
        for peer in sorted({name for row in rows for name in row["ms"]} - {"numseg"}):
            for direction in ("forward", "forward and backward"):
                print(f"{peer}, {direction}: {summary(rows, peer, direction)}")
        if options.save:
            save(table, threads, rows)


def ratio(row: dict[str, Any], peer: str) -> float:
    return row["ms"][peer]["median"] / row["ms"]["numseg"]["median"]


def line(row: dict[str, Any]) -> str:
    parts = [f"{row['row']:33s} {row['direction']:21s}"]
    for name, t in row["ms"].items():
        parts.append(f"{name} {t['median']:7.2f} ({t['low']:.2f}-{t['high']:.2f})")
        if name == "numseg":
            parts.append(f"{row['flops'] / t['median'] / 1e6:5.0f} GFLOP/s")
        else:
            parts.append(f"{ratio(row, name):5.2f}x")
    return "  ".join(parts)


def summary(rows: list[dict[str, Any]], peer: str, direction: str) -> str:
    ratios = {
        r["row"]: ratio(r, peer) for r in rows if peer in r["ms"] and r["direction"] == direction
    }
    mean = math.exp(sum(map(math.log, ratios.values())) / len(ratios))
    least = min(ratios, key=ratios.__getitem__)
    return f"geometric mean of ratios {mean:.2f}, least {ratios[least]:.2f} ({least})"


def save(table: str, threads: int, rows: list[dict[str, Any]]) -> None:
    import llvmlite.binding
    import numba
    import numpy

    versions = {"python": platform.python_version(), "numpy": numpy.__version__}
    versions["numba"] = numba.__version__
    if "torch" in sys.modules:
        versions["torch"] = sys.modules["torch"].__version__
    machine = {"cpu": llvmlite.binding.get_host_cpu_name(), "cores": os.cpu_count()}
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{table}-{threads}.json"
    content = {"machine": machine, "versions": versions, "threads": threads, "rows": rows}
    file.write_text(json.dumps(content, indent=1) + "\n")
    print(f"wrote {file}")


if __name__ == "__main__":
    main()
