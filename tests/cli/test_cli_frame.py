"""The frame of the command line: help, exit codes, one line for what the user can put right."""

from __future__ import annotations

import argparse
import subprocess
import sys

import pytest

import numseg
from numseg import ArgumentError, DeviceError, FileError, MissingExtra
from numseg.cli import commands, info, main


def test_the_commands_that_the_readme_lists():
    listed = {"demo", "train", "segment", "summary", "gradcheck", "info"}
    assert listed <= set(commands())


@pytest.mark.parametrize("command", commands())
def test_every_command_has_help_with_examples(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    assert f"usage: numseg {command}" in shown
    assert f"examples:\n  numseg {command}" in shown


def test_help_lists_every_command(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    words = capsys.readouterr().out.split()
    assert all(command in words for command in commands())


def test_version(capsys):
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"numseg {numseg.__version__}\n"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "numseg: error: the following arguments are required: COMMAND"),
        (["fly"], "numseg: error: argument COMMAND: invalid choice: 'fly'"),
        (["train"], "numseg train: error: the following arguments are required: DATA, --out"),
        (
            ["train", "scenes", "--out", "x", "--epochs", "many"],
            "numseg train: error: argument --epochs: invalid int value: 'many'",
        ),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(argv, message, capsys):
    with pytest.raises(SystemExit) as stop:
        main(argv)
    assert stop.value.code == 2
    shown = capsys.readouterr().err
    assert shown.startswith(message)
    assert shown.count("\n") == 1


def _failing(monkeypatch, error):
    def run(args: argparse.Namespace) -> None:
        raise error

    monkeypatch.setattr(info, "run", run)
    return main(["info"])


@pytest.mark.parametrize(
    "error",
    [
        ArgumentError("x must be 1"),
        FileError("x must\nbe   1"),
        DeviceError("x must be 1"),
        OSError("x must be 1"),
    ],
)
def test_user_errors_are_one_line_and_exit_code_2(monkeypatch, capsys, error):
    assert _failing(monkeypatch, error) == 2
    assert capsys.readouterr().err == "numseg info: error: x must be 1\n"


def test_a_missing_package(monkeypatch, capsys):
    assert _failing(monkeypatch, MissingExtra("wings", "air", "flying")) == 2
    assert "pip install 'numseg[air]'" in capsys.readouterr().err


def test_a_defect_keeps_its_traceback(monkeypatch):
    with pytest.raises(ZeroDivisionError):
        _failing(monkeypatch, ZeroDivisionError())


def test_interruption_says_what_was_kept(monkeypatch, capsys):
    stop = KeyboardInterrupt()
    stop.add_note("3 of 9 epochs are in x")
    assert _failing(monkeypatch, stop) == 130
    assert capsys.readouterr().err == "\nnumseg: interrupted: 3 of 9 epochs are in x\n"
    assert _failing(monkeypatch, KeyboardInterrupt()) == 130
    assert capsys.readouterr().err == "\nnumseg: interrupted\n"


def test_a_reader_that_goes_away_is_no_error():
    """As in ``numseg info | head -0``."""
    code = "import sys, os; from numseg.cli import main; sys.exit(main(['info']))"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as run:
        run.stdout.close()
        shown = run.stderr.read()
    assert run.returncode == 1
    assert shown == b""


def test_python_m_numseg():
    found = subprocess.run(
        [sys.executable, "-m", "numseg", "segment", "a", "--weights", "b", "--out", "c"],
        capture_output=True,
        text=True,
    )
    assert found.returncode == 2
    assert found.stderr == "numseg segment: error: b: no such file\n"


def test_help_imports_nothing_heavy():
    """Commands import what they need when they run."""
    code = (
        "import sys; from numseg.cli import make_parser; make_parser().format_help(); "
        "print([m for m in ('scipy', 'PIL', 'skimage', 'matplotlib', 'safetensors', 'tqdm', "
        "'numseg.training', 'numseg.data') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


def test_info_speaks_of_this_machine(capsys):
    assert main(["info"]) == 0
    shown = capsys.readouterr().out
    facts = {line.split()[0]: line.split(maxsplit=1)[1] for line in shown.splitlines()}
    assert facts["numseg"].startswith(numseg.__version__)
    assert facts["threads"] == str(numseg.get_num_threads())
    assert {"python", "numpy", "numba", "scipy", "cpu", "cache", "cuda"} <= set(facts)


def test_the_cache_is_measured_and_cleared(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("NUMSEG_CACHE_DIR", str(tmp_path))
    for name in ("numseg.ops.relu.cpu._forward-0123", ".writing-abc", "not-ours"):
        (tmp_path / name).write_bytes(bytes(50_000))
    main(["info"])
    assert f"{tmp_path} (2 compiled kernels, 0.1 MB)" in capsys.readouterr().out
    main(["info", "--clear-cache"])
    assert capsys.readouterr().out == f"removed 2 compiled kernels, 0.1 MB from {tmp_path}\n"
    assert [file.name for file in tmp_path.iterdir()] == ["not-ours"]
    main(["info", "--clear-cache"])
    assert "removed 0 compiled kernels" in capsys.readouterr().out
