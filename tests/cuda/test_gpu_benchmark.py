"""The benchmark that waits for a GPU runs, as far as it can without one."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

from numseg.cli import main
from numseg.cuda import runtime
from numseg.errors import DeviceError

if not runtime.simulated():
    pytest.skip("NUMBA_ENABLE_CUDASIM=1 pytest tests/cuda", allow_module_level=True)

from numseg.bench import gpu

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "gpu.py"


@pytest.fixture(scope="module")
def benchmark() -> dict[str, Any]:
    return runpy.run_path(str(BENCHMARK))


def test_the_dry_run_makes_every_call(
    benchmark: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    benchmark["main"](["--dry-run"])
    lines = capsys.readouterr().out.splitlines()
    names = [case.name for case in gpu.cases(tiny=True)]
    expected = [f"{n}, {d}: kernels, call" for n in names for d in ("forward", "backward")]
    crf = "dense_crf 3x2, 2 labels, 1 iterations"
    expected += [f"{crf}, lattices: kernels", f"{crf}, iterations: kernels"]
    expected += [f"{crf}, forward: kernels, call", f"{crf}, backward: kernels"]
    assert lines == [*expected, "dry run: nothing was measured, nothing was written"]


def test_the_command_line_makes_the_calls_of_some_rows(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--device", "cuda", "--dry-run", "--rows", "relu"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "relu, forward: kernels, call",
        "relu, backward: kernels, call",
        "dry run: nothing was measured, nothing was written",
    ]


def test_the_command_line_does_not_measure_the_simulator(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["bench", "--device", "cuda", "--out", str(tmp_path / "results")]) == 2
    said = "numseg bench: error: the simulator has no times worth measuring: add --dry-run\n"
    assert capsys.readouterr().err == said
    assert not list(tmp_path.iterdir())


def test_the_crf_agrees_with_the_cpu_s() -> None:
    assert all(contest.agree() < 1e-5 for contest in gpu.crf(2, 3, 2, 1))


def test_the_simulator_is_not_measured(benchmark: dict[str, Any]) -> None:
    with pytest.raises(SystemExit, match="no times worth measuring"):
        benchmark["main"]([])


def test_a_row_of_results(monkeypatch: pytest.MonkeyPatch) -> None:
    """The arithmetic of the figures, on a clock of our own: every call takes two milliseconds."""
    turns: list[str] = []
    contenders = {"kernels": lambda: turns.append("a"), "torch": lambda: turns.append("b")}
    monkeypatch.setattr(gpu, "_milliseconds", lambda run, repeats: run() or 2.0)
    contest = gpu.Contest("case", "forward", contenders, lambda: 0.0, 8_000_000, 6 * 10**9)
    row = gpu.measure(contest, 4, (lambda: turns.append("copy"), 16_000_000))
    assert turns[-6:] == ["a", "b", "copy"] * 2
    assert row["kernels_ms"] == row["torch_ms"] == {"median": 2.0, "quartiles": [2.0, 2.0]}
    assert row["gigabytes_per_second"] == pytest.approx(4)
    assert row["share_of_copy"] == pytest.approx(0.5)
    assert row["teraflops"] == pytest.approx(3)
    wrong = contest._replace(agree=lambda: 0.5)
    with pytest.raises(DeviceError, match=r"case forward differs by 0\.5"):
        gpu.measure(wrong, 4, (lambda: None, 1))
