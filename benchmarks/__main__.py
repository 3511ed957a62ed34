"""``python -m benchmarks``: ``numseg bench``, with results and picture kept in ``results/``."""

from __future__ import annotations

import sys
from pathlib import Path

from numseg.cli import main

RESULTS = Path(__file__).parent / "results"

if __name__ == "__main__":
    arguments = sys.argv[1:]
    if "--save" in arguments:
        arguments.remove("--save")
        arguments += ["--out", str(RESULTS), "--plot", str(RESULTS / "ratios.png")]
    sys.exit(main(["bench", *arguments]))
