"""numseg conform: the verdict, the exit codes, the files, the names."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from numseg.cli import main

MODULE = """
import numpy as np

def relu(x):
    return np.maximum(x, 0)

def leaky(x, slope):
    return np.where(x > 0, x, slope * x)

def pool(image, size, steps):
    import numseg
    return numseg.max_pool2d(image, size, steps)
"""


@pytest.fixture
def module(tmp_path: Path) -> str:
    """A file with functions to ask."""
    file = tmp_path / "mine.py"
    file.write_text(MODULE)
    return str(file)


def test_what_conforms_is_exit_code_0(module: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conform", f"{module}:relu", "--cases", "20"]) == 0
    shown = capsys.readouterr()
    assert "conforms: matches PyTorch, ONNX in 20 of 20 cases" in shown.out
    assert "relu" in shown.err  # the progress bar


def test_what_deviates_is_exit_code_1_and_json(
    module: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "report.json"
    ask = ["conform", f"{module}:leaky", "--operator", "relu", "--set", "slope=0.5"]
    assert main([*ask, "--cases", "20", "--finite", "--json", str(file)]) == 1
    assert "deviates: nearest is PyTorch, ONNX" in capsys.readouterr().out
    report = json.loads(file.read_text())
    assert report["conforms"] is False
    assert report["operator"] == "relu"
    assert report["deviations"][0]["part"] == "y"


def test_names_and_fixed_parameters(module: str, capsys: pytest.CaptureFixture[str]) -> None:
    ask = ["conform", f"{module}:pool", "--operator", "max_pool2d", "--cases", "20"]
    ask += ["--map", "kernel_size=size", "--map", "stride=steps", "--dtype", "float64"]
    assert main([*ask, "--fix", "stride=2", "--seed", "3"]) == 0
    shown = capsys.readouterr().out
    assert "kernel_size as size, stride as steps" in shown
    assert "stride=2" in shown
    assert "float32" not in shown


def test_a_module_of_this_folder(
    module: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    assert main(["conform", "mine:relu", "--cases", "5"]) == 0
    assert "mine:relu against relu" in capsys.readouterr().out
    sys.modules.pop("mine", None)


def test_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conform", "--list"]) == 0
    shown = capsys.readouterr().out
    assert "roi_align  torchvision.ops:roi_align  onnx:RoiAlign  ort:RoiAlign\n" in shown
    assert "detectron2 aligned=True" in shown


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "name a TARGET"),
        (["relu"], "expected module:function"),
        (["no.such.module:relu"], "cannot import no.such.module"),
        (["math:relu"], "math has no function 'relu'"),
        (["math:sin"], "which operator is math:sin? say --operator NAME"),
        (["math:sin", "--operator", "rel"], "there is no operator 'rel'; is it relu"),
        (["no/file.py:relu"], "no/file.py: there is no such file"),
        (["onnx:Nonsense", "--operator", "relu"], "relu has no ONNX node 'Nonsense'"),
        (["math:sin", "--operator", "relu", "--map", "x"], "--map wants NAME=VALUE, got 'x'"),
        (["math:sin", "--operator", "relu", "--cases", "0"], "cases must be at least 1, got 0"),
    ],
)
def test_what_is_wrong_is_one_line(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if arguments[:1] == ["relu"]:
        arguments = ["relu:", "--operator", "relu"]
    assert main(["conform", *arguments]) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith("numseg conform: error: ")
    assert says in shown.err
    assert shown.err.count("\n") == 1


def test_without_hypothesis_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    assert main(["conform", "math:sin", "--operator", "relu"]) == 2
    assert "pip install 'numseg[test]'" in capsys.readouterr().err
