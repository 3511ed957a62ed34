"""``numseg bench``: rows, files and picture; what is missing is said in one line."""

from __future__ import annotations

import importlib.util
import itertools
import json
from pathlib import Path

import pytest

from numseg.bench import conv2d, report, timing
from numseg.cli import main
from numseg.kernels.machine import limits

FAST = ["--threads", "1", "--seconds", "0"]


def test_a_row_is_measured_written_and_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    out, plot = tmp_path / "new" / "results", tmp_path / "ratios.svg"
    asked = ["bench", "operators", "--rows", "bed_of_nails", "--out", str(out), "--plot", str(plot)]
    assert main([*asked, *FAST]) == 0
    said = capfd.readouterr().out
    assert "bed_of_nails2d 2 4x64@64" in said
    assert "of limit" in said
    assert "numpy, forward: geometric mean of 1 rows" in said
    result = json.loads((out / "operators-1.json").read_text())
    assert [row["direction"] for row in result["rows"]] == ["forward", "forward and backward"]
    assert all(row["ms"]["numpy"]["median"] > 0 for row in result["rows"])
    assert result["limits"]["copy_gbytes"] > 0
    assert "bed_of_nails2d" in plot.read_text()


@pytest.mark.skipif(importlib.util.find_spec("torch") is not None, reason="PyTorch is installed")
def test_a_missing_peer_is_named(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "workload", *FAST]) == 2
    assert "pip install 'numseg[bench]'" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["pooling"], "TABLE must be one of 'workload', 'conv2d', 'operators', got 'pooling'"),
        (["conv2d", "--threads", "0"], "--threads must be at least 1, got 0"),
    ],
)
def test_bad_words(words: list[str], says: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", *words]) == 2
    assert capfd.readouterr().err.strip() == f"numseg bench: error: {says}"


def test_ratios_and_shares() -> None:
    def row(name: str, ours: float, theirs: float) -> dict[str, object]:
        ms = {n: {"median": t, "low": t, "high": t} for n, t in (("numseg", ours), ("x", theirs))}
        return {"row": name, "direction": "forward", "flops": 4e6, "bytes": 1e6, "ms": ms}

    rows = [row("a", 1.0, 4.0), row("b", 2.0, 2.0), row("c", 2.0, 1.0)]
    line, variants = report.summaries([*rows, row("a winograd4", 1.0, 8.0)])
    assert line == "x, forward: geometric mean of 3 rows 1.26; below 1: c 0.50"
    assert variants == "x, forward: geometric mean of 1 variants 8.00; below 1: none"
    most = limits.Limits(fma_gflops=4.0, micro_kernel_gflops=3.0, copy_gbytes=10.0)
    assert most.share(4e6, 1e6, 2.0) == 0.5  # 1 ms of multiply-adds, 0.1 of copying
    assert "50% of limit" in report.line(rows[1], most)


def test_turns_alternate() -> None:
    order: list[str] = []
    calls = {name: (lambda name=name: order.append(name)) for name in "ab"}
    times = timing.in_turns(calls, 0, least=2)
    changes = [a for a, b in itertools.pairwise(order) if a != b]
    assert changes == ["a", "b", "a"]
    assert times["a"]["turns"] == 2


def test_rows_are_chosen_by_their_whole_name() -> None:
    (row, *_), *_ = conv2d.cases("conv depthwise 3x3 256", prefix="conv ")
    assert row == "conv depthwise 3x3 256 @64"
    assert not list(conv2d.cases("conv depthwise 3x3 256"))
