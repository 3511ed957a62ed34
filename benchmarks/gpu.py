"""numseg's CUDA kernels on a real GPU: their tests, then their times beside PyTorch's.

    python -m benchmarks --device cuda                            # a GPU, numba-cuda and PyTorch
    NUMBA_ENABLE_CUDASIM=1 python -m benchmarks --device cuda --dry-run    # tiny, without times
    bash benchmarks/on_device.sh                                  # tests, times, all in 8 minutes

The rows and how they are measured are ``numseg bench --device cuda``'s (numseg/bench/gpu.py).
Results go to benchmarks/results/, under the name of the GPU and the commit.
"""

from __future__ import annotations

import argparse
import datetime
import subprocess
import sys
from pathlib import Path

from numseg.bench import gpu
from numseg.cuda.runtime import cuda_available, describe_cuda, simulated

ROOT = Path(__file__).parents[1]


def run_tests() -> str:
    command = [sys.executable, "-m", "pytest", "-q", "tests/cuda"]
    if subprocess.run(command, cwd=ROOT).returncode != 0:
        raise SystemExit("the tests failed on this GPU: figures would mean nothing")
    return "passed"


def commit() -> str:
    def git(*args: str) -> str:
        done = subprocess.run(["git", *args], cwd=ROOT, capture_output=True, text=True)
        return done.stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no")
    return (git("rev-parse", "--short", "HEAD") or "unknown") + ("-changed" if changed else "")


def main(argv: list[str] | None = None) -> None:
    description, _, _ = str(__doc__).partition("\n\n")
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--dry-run", action="store_true", help="every call once, tiny, no times")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--rows", default="", metavar="TEXT", help="only rows that contain TEXT")
    parser.add_argument("--skip-tests", action="store_true")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    options = parser.parse_args(argv)
    if not cuda_available():
        raise SystemExit(f"no GPU: {describe_cuda()}; --dry-run with NUMBA_ENABLE_CUDASIM=1 works")
    if options.dry_run:
        gpu.rehearse(options.rows)
        return
    if simulated():
        raise SystemExit("the simulator has no times worth measuring: add --dry-run")
    facts = {
        "commit": commit(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "tests": "skipped" if options.skip_tests else run_tests(),
    }
    gpu.run(options.rows, options.rounds, options.out, facts, facts["commit"])


if __name__ == "__main__":
    main()
