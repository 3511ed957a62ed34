"""A picture of what was measured on a GPU: PyTorch's time / numseg's, row by row.

python benchmarks/gpu_figure.py FOLDER      # draws FOLDER/gpu-*.json, where matplotlib is installed
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any


def draw(page: Path) -> None:
    """``gpu-<device>-<commit>.png`` beside the JSON file."""
    from matplotlib.figure import Figure

    results = json.loads(page.read_text())
    rows = [row for row in results["rows"] if "torch_ms" in row]
    if not rows:
        return
    names = [f"{row['case']}, {row['direction']}" for row in rows]
    figure = Figure(figsize=(9, 1 + 0.22 * len(rows)), layout="constrained")
    axes: Any = figure.subplots()
    axes.barh(names, [row["torch_ms"]["median"] / row["kernels_ms"]["median"] for row in rows])
    axes.axvline(1, color="black", linewidth=0.8)
    axes.invert_yaxis()
    axes.set_xlabel("PyTorch's time / numseg's")
    axes.set_title(results["device"], fontsize=9)
    figure.savefig(page.with_suffix(".png"), dpi=120)
    print(page.with_suffix(".png"))


if __name__ == "__main__":
    pages = sorted(Path(sys.argv[1]).glob("gpu-*.json"))
    if importlib.util.find_spec("matplotlib") is None:
        print("no picture: matplotlib is not installed")
    else:
        for found in pages:
            draw(found)
