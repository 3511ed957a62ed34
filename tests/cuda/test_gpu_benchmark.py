"""The benchmark that waits for a GPU runs, as far as it can without one."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

from numseg.cuda import runtime

if not runtime.simulated():
    pytest.skip("NUMBA_ENABLE_CUDASIM=1 pytest tests/cuda", allow_module_level=True)

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "gpu.py"


@pytest.fixture(scope="module")
def benchmark() -> dict[str, Any]:
    return runpy.run_path(str(BENCHMARK))


def test_the_dry_run_makes_every_call(
    benchmark: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    benchmark["main"](["--dry-run"])
    lines = capsys.readouterr().out.splitlines()
    names = [case.name for case in benchmark["cases"](tiny=True)]
    expected = [f"{n}, {d}: kernels, call" for n in names for d in ("forward", "backward")]
    crf = "dense_crf 3x2, 2 labels, 1 iterations"
    expected += [f"{crf}, lattices: kernels", f"{crf}, iterations: kernels"]
    expected += [f"{crf}, forward: kernels, call", f"{crf}, backward: kernels"]
    assert lines == [*expected, "dry run: nothing was measured, nothing was written"]


def test_the_crf_agrees_with_the_cpu_s(benchmark: dict[str, Any]) -> None:
    assert all(contest.agree() < 1e-5 for contest in benchmark["crf"](2, 3, 2, 1))


def test_the_simulator_is_not_measured(benchmark: dict[str, Any]) -> None:
    with pytest.raises(SystemExit, match="no times worth measuring"):
        benchmark["main"]([])


def test_a_row_of_results(benchmark: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The arithmetic of the figures, on a clock of our own: every call takes two milliseconds."""
    turns: list[str] = []
    contenders = {"kernels": lambda: turns.append("a"), "torch": lambda: turns.append("b")}
    measure = benchmark["measure"]
    monkeypatch.setitem(measure.__globals__, "_milliseconds", lambda run, repeats: run() or 2.0)
    contest = benchmark["Contest"]("case", "forward", contenders, lambda: 0.0, 8_000_000, 6 * 10**9)
    row = measure(contest, 4, (lambda: turns.append("copy"), 16_000_000))
    assert turns[-6:] == ["a", "b", "copy"] * 2
    assert row["kernels_ms"] == row["torch_ms"] == {"median": 2.0, "quartiles": [2.0, 2.0]}
    assert row["gigabytes_per_second"] == pytest.approx(4)
    assert row["share_of_copy"] == pytest.approx(0.5)
    assert row["teraflops"] == pytest.approx(3)
    wrong = contest._replace(agree=lambda: 0.5)
    with pytest.raises(SystemExit, match=r"case forward differs by 0\.5"):
        measure(wrong, 4, (lambda: None, 1))
