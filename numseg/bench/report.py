"""What is said of measured rows: a line each, a summary, a picture."""

from __future__ import annotations

import math
from typing import Any

from numseg.files import optional
from numseg.kernels.machine.limits import Limits

DIRECTIONS = ("forward", "forward and backward")

VARIANTS = (" winograd4", " bilinear")
"""Rows that end so are another row with a faster algorithm, or with weights that allow one."""


def ratio(row: dict[str, Any], peer: str) -> float:
    """The peer's time / numseg's."""
    return row["ms"][peer]["median"] / row["ms"]["numseg"]["median"]


def line(row: dict[str, Any], limits: Limits) -> str:
    """Medians and quartiles in milliseconds, and how near numseg is to what the machine can do."""
    ours = row["ms"]["numseg"]["median"]
    parts = [f"{row['row']:36s} {row['direction']:21s}"]
    for name, t in row["ms"].items():
        parts.append(f"{name} {t['median']:8.3f} ({t['low']:.3f}-{t['high']:.3f})")
        if name == "numseg":
            parts.append(f"{row['flops'] / ours / 1e6:5.0f} GFLOP/s")
            parts.append(f"{limits.share(row['flops'], row['bytes'], ours):4.0%} of limit")
        else:
            parts.append(f"{ratio(row, name):5.2f}x")
    return "  ".join(parts)


def summaries(rows: list[dict[str, Any]]) -> list[str]:
    """For each peer and direction: the geometric mean of ratios, the least, and those below 1. The
    variants have a mean of their own."""
    lines = []
    for peer in sorted({name for row in rows for name in row["ms"]} - {"numseg"}):
        for direction in DIRECTIONS:
            timed = [r for r in rows if peer in r["ms"] and r["direction"] == direction]
            for kind, variants in (("", False), (" variants", True)):
                ratios = {
                    r["row"]: ratio(r, peer)
                    for r in timed
                    if r["row"].endswith(VARIANTS) == variants
                }
                if not ratios:
                    continue
                mean = math.exp(sum(map(math.log, ratios.values())) / len(ratios))
                below = sorted((value, name) for name, value in ratios.items() if value < 1)
                slower = "; ".join(f"{name} {value:.2f}" for value, name in below) or "none"
                lines.append(
                    f"{peer}, {direction}: geometric mean of {len(ratios)}{kind or ' rows'} "
                    f"{mean:.2f}; below 1: {slower}"
                )
    return lines


def plot(results: list[dict[str, Any]], file: str) -> None:
    """A bar for each row's ratio to each peer, on a logarithmic axis; a panel for each table."""
    Figure = optional("matplotlib.figure", "matplotlib", "bench", "drawing the ratios").Figure

    results = [result for result in results if result["rows"]]
    height = sum(0.16 * len(result["rows"]) + 1 for result in results)
    figure = Figure(figsize=(9, height), layout="constrained")
    panels = figure.subplots(
        len(results), 1, squeeze=False, height_ratios=[len(r["rows"]) + 6 for r in results]
    )[:, 0]
    for panel, result in zip(panels, results, strict=True):
        bars = [
            (f"{row['row']}, {row['direction'].replace('forward and backward', 'both')}, {peer}",
             ratio(row, peer), row["direction"])
            for row in result["rows"]
            for peer in row["ms"]
            if peer != "numseg"
        ]  # fmt: skip
        names, values, directions = zip(*reversed(bars), strict=True)
        colours = ["tab:blue" if d == "forward" else "tab:orange" for d in directions]
        panel.barh(range(len(names)), [v - 1 for v in values], left=1, color=colours)
        panel.set_yticks(range(len(names)), names, fontsize=6)
        panel.set_xscale("log")
        panel.axvline(1, color="black", linewidth=1)
        panel.margins(y=0.01)
        threads = result["threads"]
        panel.set_title(
            f"{result['table']}, {threads} thread{'s' if threads > 1 else ''}: "
            "peer's time / numseg's (right of 1: numseg is faster)",
            fontsize=8,
        )
    figure.savefig(file)
