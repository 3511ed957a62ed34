"""numseg conform: the verdict, the exit codes, the files, the names."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from numseg.cli import main
from numseg.testing import guarded, isolated

needs_forks = pytest.mark.skipif(
    not isolated.Isolated.possible(), reason="this system has no forks"
)

MODULE = """
import numpy as np

def relu(x):
    return np.maximum(x, 0, dtype=x.dtype)

def leaky(x, slope):
    return np.where(x > 0, x, slope * x)

def align(feat, boxes, size, scale=1.0, samples=2):
    import numseg
    return numseg.roi_align(feat, boxes, size, scale * scale, samples)

def scaled(x, boxes, output_size, spatial_scale, aligned):
    import numseg
    return numseg.roi_align(x, boxes, output_size, spatial_scale, aligned=aligned)

def hangs(x):
    import time
    time.sleep(60)

def behind(x):
    import ctypes
    if x.size > 1:
        ctypes.string_at(x.ctypes.data + x.nbytes, 1)
    return np.maximum(x, 0, dtype=x.dtype)

def itself(x):
    return x if (x > 0).all() else np.maximum(x, 0, dtype=x.dtype)

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


def test_what_was_not_tried_is_said_and_has_an_exit_code_by_option(
    module: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ask = ["conform", f"{module}:align", "--operator", "roi_align", "--cases", "20", "--finite"]
    assert main(ask) == 0
    shown = capsys.readouterr().out
    assert "NOT TRIED: its arguments scale and samples" in shown
    assert "try --map spatial_scale=scale\n" in shown
    assert main([*ask, "--strict"]) == 3
    mapped = [*ask, "--map", "spatial_scale=scale", "--map", "sampling_ratio=samples"]
    assert main(mapped) == 1
    ask = ["conform", f"{module}:relu", "--cases", "20", "--strict"]
    assert main(ask) == 0


def test_flags_are_written_as_people_write_them(
    module: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ask = ["conform", f"{module}:scaled", "--operator", "roi_align", "--cases", "10", "--finite"]
    for flag in ("true", "True"):
        assert main([*ask, "--fix", f"aligned={flag}"]) == 0
        assert "aligned=True" in capsys.readouterr().out


@needs_forks
def test_a_timeout_ends_a_kernel_that_hangs(
    module: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ask = ["conform", f"{module}:hangs", "--operator", "relu", "--timeout", "0.3"]
    assert main(ask) == 2
    shown = capsys.readouterr().err
    assert "gave up after 3 calls of relu without an answer" in shown
    assert "no result within 0.3 seconds:\nx = np." in shown  # at once, beside the bar


@needs_forks
def test_guards_find_a_read_beyond_an_array(
    module: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if not guarded.possible():
        pytest.skip("needs Linux with glibc")
    ask = ["conform", f"{module}:behind", "--operator", "relu", "--cases", "20"]
    assert main(ask) == 0
    assert main([*ask, "--guard"]) == 1
    assert "it reads beyond the end of x" in capsys.readouterr().out


def test_what_is_allowed_is_no_fault(module: str, capsys: pytest.CaptureFixture[str]) -> None:
    ask = ["conform", f"{module}:itself", "--operator", "relu", "--cases", "20"]
    assert main(ask) == 1
    assert "y lies in the memory of x" in capsys.readouterr().out
    assert main([*ask, "--allow", "alias"]) == 0


def test_a_defect_of_ours_does_not_mean_that_it_deviates(
    module: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*args: object, **options: object) -> None:
        raise ZeroDivisionError("ours")

    monkeypatch.setattr("numseg.testing.conformance", broken)
    assert main(["conform", f"{module}:relu"]) == 4
    assert "ZeroDivisionError: ours" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("def relu(x:\n", "SyntaxError"),
        ("import numpy as np\nnp.nothing\n", "AttributeError: module 'numpy' has no attribute"),
        ("raise SystemExit(0)\n", "SystemExit: 0"),
        ("import no_such_package\n", "No module named 'no_such_package'"),
    ],
)
def test_a_file_that_cannot_be_imported_is_one_line(
    text: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "broken.py"
    file.write_text(text)
    assert main(["conform", f"{file}:relu"]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith(f"numseg conform: error: cannot import {file}: ")
    assert says in shown
    assert shown.count("\n") == 1


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
        (["numpy.linag:norm", "--operator", "relu"], "(is it numpy.linalg?)"),
        (["nunpy:abs", "--operator", "relu"], "cannot import nunpy: No module named 'nunpy'"),
        (["numpy:maximun", "--operator", "add"], "numpy has no function 'maximun' (is it maximum"),
        (["math:pi", "--operator", "relu"], "math has no function 'pi', it is of type float"),
        (["numpy:maximum", "--operator", "add", "--fix", "x=1"], "add has no parameter 'x'"),
        (["onnx:Rellu", "--operator", "relu"], "(is it Relu?)"),
        (
            ["math:sin", "--operator", "relu", "--json", "no/such/file"],
            "there is no folder no/such",
        ),
        (["math:sin", "--operator", "relu", "--ulps", "nan"], "ulps must lie in"),
        (["math:sin", "--operator", "relu", "--timeout", "-1"], "timeout must lie in"),
        (
            ["math:sin", "--operator", "relu", "--timeout", "1", "--same-process"],
            "timeout: a call is ended only in a process of its own",
        ),
        (["math:sin", "--guard", "--same-process"], "--guard works in a process of its own"),
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
