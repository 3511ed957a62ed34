"""Is one version of numseg slower than another? The workload table, in turns.

    python -m benchmarks.two_versions BEFORE AFTER            # two checkouts of numseg
    python -m benchmarks.two_versions BEFORE AFTER --threads 2 --rows conv --out ratios.json

Each checkout runs in a process of its own that makes every row's arrays once. For each row and
direction the two take turns (A B A B); a time is the median of a turn's calls, a ratio the median
of the turns' ratios, before / after: below 1 the later version is the slower one. Needs PyTorch and
torchvision, which the table's rows are stated with. Let the machine do nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

WORKER = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
import torch
torch.set_num_threads(1)
import numseg as ns
from numseg.bench import timing, workload
ns.set_num_threads(int(sys.argv[1]))
cases = {}
for case in workload.cases(sys.argv[2]):
    cases[f"{case.row} | {case.direction}"] = case.calls["numseg"]
print(json.dumps(list(cases)), flush=True)
for line in sys.stdin:
    call = cases[json.loads(line)]
    timing._burst(call)
    times = sorted(timing._burst(call))
    print(json.dumps(times[len(times) // 2]), flush=True)
"""


class Version:
    """A process that runs one checkout."""

    def __init__(self, checkout: Path, threads: int, rows: str) -> None:
        command = [sys.executable, "-c", WORKER, str(threads), rows]
        self._process = subprocess.Popen(
            command, cwd=checkout, env={**os.environ, "PYTHONPATH": str(checkout)}, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        self.rows: list[str] = self._answer()

    def milliseconds(self, row: str) -> float:
        print(json.dumps(row), file=self._process.stdin, flush=True)
        return float(self._answer())

    def _answer(self) -> Any:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise SystemExit("two_versions: a version's process ended; its error is above")
        return json.loads(line)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rows", default="", metavar="TEXT", help="only rows that contain TEXT")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the ratios as JSON")
    args = parser.parse_args(arguments)
    before, after = (
        Version(path.resolve(), args.threads, args.rows) for path in (args.before, args.after)
    )
    found = {}
    for row in before.rows:
        if row not in after.rows:
            print(f"{row}: not in {args.after}")
            continue
        turns = [(before.milliseconds(row), after.milliseconds(row)) for _ in range(args.turns)]
        ratio = statistics.median(old / new for old, new in turns)
        old, new = (statistics.median(times) for times in zip(*turns, strict=True))
        found[row] = {"before_ms": old, "after_ms": new, "ratio": ratio}
        print(f"{row:<64} {old:9.3f} {new:9.3f} ms  {ratio:5.2f}", flush=True)
    print(f"geometric mean {statistics.geometric_mean(r['ratio'] for r in found.values()):.3f}")
    if args.out:
        args.out.write_text(json.dumps({"threads": args.threads, "rows": found}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
