"""``python -m benchmarks``: ``numseg bench``, with results and picture kept in ``results/``.
With ``--device cuda``, that of a GPU (gpu.py)."""

from __future__ import annotations

import sys
from pathlib import Path

from numseg.cli import main

RESULTS = Path(__file__).parent / "results"

if __name__ == "__main__":
    arguments = sys.argv[1:]
    if arguments[:2] == ["--device", "cuda"]:
        from benchmarks import gpu

        sys.exit(gpu.main(arguments[2:]))
    if "--save" in arguments:
        arguments.remove("--save")
        arguments += ["--out", str(RESULTS), "--plot", str(RESULTS / "ratios.png")]
    sys.exit(main(["bench", *arguments]))
