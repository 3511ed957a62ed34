"""Tables of rows, each number of threads in a process of its own: BLAS libraries choose theirs when
they load."""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numseg.errors import MissingExtra
from numseg.files import write_whole

TABLES = {
    "workload": "every operator and whole networks beside PyTorch and torchvision",
    "conv2d": "conv2d beside NumPy (im2col and matmul), and PyTorch where it is installed",
    "operators": "the other operators of a U-Net beside their obvious NumPy formulation",
}
PACKAGES = ("numseg", "numpy", "numba", "torch", "torchvision")


def run(
    tables: Sequence[str],
    threads: Sequence[int],
    rows: str,
    seconds: float,
    out: Path | None,
    net: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """Measure; the results, one of each table and number of threads. With ``out``, a JSON file
    each, written anew after every row. With ``net`` there is one table, of its layers
    (:func:`numseg.bench.layers.cases`)."""
    results = []
    for count in threads:
        names = "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "NUMSEG_NUM_THREADS"
        environment = {**os.environ, **dict.fromkeys(names, str(count))}
        for table in tables:
            order = json.dumps([table, count, rows, seconds, str(out) if out else None, net])
            command = [sys.executable, "-m", "numseg.bench.run", order]
            child = subprocess.Popen(
                command, env=environment, stdout=subprocess.PIPE, text=True, bufsize=1
            )
            assert child.stdout is not None
            result = None
            with child.stdout:
                for text in child.stdout:
                    if text.startswith(RESULT):
                        result = json.loads(text.removeprefix(RESULT))
                    else:
                        print(text, end="", flush=True)
            if child.wait() == MISSING:
                raise MissingExtra("torch or torchvision", "bench", f"the table {table}")
            if child.returncode != 0 or result is None:
                raise subprocess.CalledProcessError(child.returncode, command)
            results.append(result)
    return results


RESULT = "result: "
MISSING = 3
"""The child's exit code where a peer is not installed."""


def measure(
    table: str, threads: int, only: str, seconds: float, out: str | None, net: Any
) -> dict[str, Any]:
    """One table, in this process."""
    from numseg.bench import layers, report
    from numseg.bench.timing import in_turns
    from numseg.kernels.machine import limits

    most = limits.measure()
    result: dict[str, Any] = {
        "table": table,
        "threads": threads,
        "machine": _machine(),
        "versions": _versions(),
        "limits": most._asdict(),
        "rows": [],
    }
    print(f"\n{table}, {threads} thread{'s' if threads > 1 else ''}, median ms (quartiles)")
    print("limits: " + ", ".join(f"{n} {v:.0f}" for n, v in most._asdict().items()), flush=True)
    if net is None:
        cases = importlib.import_module(f"numseg.bench.{table}").cases(only)
    else:
        cases = layers.cases(net, only)
        result["net"] = net
    for case in cases:
        times = in_turns(case.calls, seconds)
        row = {**case._asdict(), "ms": times}
        del row["calls"]
        result["rows"].append(row)
        print(report.line(row, most), flush=True)
        if out is not None:
            content = json.dumps(result, indent=1) + "\n"
            write_whole(Path(out) / f"{table}-{threads}.json", content.encode())
    for text in report.summaries(result["rows"]):
        print(text)
    if net is not None and result["rows"]:
        print(layers.losses(result["rows"], most))
    return result


def _machine() -> dict[str, Any]:
    import llvmlite.binding

    return {"cpu": llvmlite.binding.get_host_cpu_name(), "cores": os.cpu_count()}


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


if __name__ == "__main__":
    try:
        print(RESULT + json.dumps(measure(*json.loads(sys.argv[1]))))
    except ModuleNotFoundError as error:
        if error.name not in ("torch", "torchvision"):
            raise
        sys.exit(MISSING)
