"""``numseg bench``: rows, files and picture; what is missing is said in one line."""

from __future__ import annotations

import importlib.util
import itertools
import json
from pathlib import Path

import numpy as np
import pytest

import numseg as ns
from numseg import device
from numseg.bench import conv2d, layers, report, timing
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
        (["conv2d", "--input", "3x8x8"], "--input is for --net, not for tables"),
        (["conv2d", "--dry-run"], "--dry-run is for --device cuda, not for --device cpu"),
        (
            ["--device", "cuda", "--threads", "1"],
            "--threads is for --device cpu, not for --device cuda",
        ),
        (
            ["conv2d", "--device", "cuda"],
            "conv2d is a table of --device cpu, cuda has one of its own",
        ),
        (["conv2d", "--net", "unet"], "--net is a table of its own, so conv2d cannot be one"),
        (
            ["--net", "a.safetensors"],
            "--net takes a network by name, not a file, got a.safetensors",
        ),
    ],
)
def test_bad_words(words: list[str], says: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", *words]) == 2
    assert capfd.readouterr().err.strip() == f"numseg bench: error: {says}"


def test_a_gpu_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(device, "cuda_available", lambda: False)
    monkeypatch.setattr(device, "describe_cuda", lambda: "no device")
    for more in ([], ["--dry-run"]):
        assert main(["bench", "--device", "cuda", *more]) == 2
        said = "numseg bench: error: device is 'cuda', but there is none: no device\n"
        assert capfd.readouterr() == ("", said)


@pytest.mark.skipif(importlib.util.find_spec("torch") is not None, reason="PyTorch is installed")
def test_layers_need_pytorch(capfd: pytest.CaptureFixture[str]) -> None:
    words = ["--net", "unet", "--set", "width=2", "--set", "depth=1", "--input", "3x8x8"]
    assert main(["bench", *words, *FAST]) == 2
    assert "pip install 'numseg[bench]'" in capfd.readouterr().err


def test_layers_are_the_nodes_that_differ() -> None:
    graph = ns.nets.unet(3, 21, padding="same", width=4, depth=1)
    x = np.zeros((1, 3, 8, 8), np.float32)
    for training in (False, True):
        found = layers.layers(graph, graph.init(), x, training)
        names = [name for layer in found for node in layer.nodes for name in node.split(" + ")]
        assert sorted(names) == sorted(node.name for node in graph.nodes)
        assert len({layers.label(layer) for layer in found}) == len(found) < len(graph.nodes)
        assert sum(len(layer.nodes) * layer.flops for layer in found) == sum(
            plan.flops for plan in graph.plans(x, training=training).values()
        )
    first = found[0]  # of a training step, whose image wants no gradient
    assert layers.label(first) == "conv2d 1x3x8x8 4x3x3x3 padding=1"
    assert first.needs == ("weight", "bias")


def test_what_layers_lose_counts_as_often_as_they_occur() -> None:
    def row(name: str, occurs: int, ours: float, theirs: float | None) -> dict[str, object]:
        ms = {"numseg": {"median": ours}, "torch": {"median": theirs}}
        if theirs is None:
            del ms["torch"]
        return {"row": name, "occurs": occurs, "flops": 4e6, "bytes": 1e6, "ms": ms}

    rows = [
        row("a", 1, 4.0, 3.0),
        row("b", 3, 2.0, 1.0),
        row("c", 2, 1.0, 2.0),
        row("d", 1, 8.0, None),
    ]
    most = limits.Limits(fma_gflops=4.0, micro_kernel_gflops=3.0, copy_gbytes=10.0)
    lines = layers.losses(rows, most).splitlines()
    assert [line.split() for line in lines[2:6]] == [
        ["b", "3", "2.000", "30.0%", "50%", "1.000", "0.50", "3.00"],
        ["a", "1", "4.000", "20.0%", "25%", "3.000", "0.75", "1.00"],
        ["d", "1", "8.000", "40.0%", "12%", "-", "-", "-"],
        ["c", "2", "1.000", "10.0%", "100%", "2.000", "2.00", "-2.00"],
    ]
    assert lines[-3:] == [
        "all layers: 20.0 ms; at the machine's limits 7.0 ms",
        "PyTorch: 10.0 ms, 12.0 ms of the layers it has, ratio 0.83",
        "at PyTorch's speed where that is higher: 4.0 ms (20%) less",
    ]


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
