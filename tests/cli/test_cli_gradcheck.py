"""numseg gradcheck: the table, the exit codes, the names."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

import numseg as ns
from numseg import faces
from numseg.cli import main
from numseg.testing import cases
from numseg.testing.cases import Case


def test_a_line_for_each_argument(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gradcheck", "conv2d", "relu", "--cases", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[1:-1]] == [
        ["conv2d", "x"],
        ["conv2d", "weight"],
        ["conv2d", "bias"],
        ["relu", "x"],
    ]
    assert lines[-1] == "2 of 2 operators agree with central differences"


def test_a_wrong_gradient_is_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def backward(x: Any, gy: Any, gx: Any, g: Any) -> None:
        gx[...] = gy

    monkeypatch.setattr(faces.module(ns.relu, "cpu"), "backward", backward)
    assert main(["gradcheck", "relu", "--cases", "5"]) == 1
    shown = capsys.readouterr().out
    assert "FAILED" in shown
    assert "print(gradcheck(ns.relu, inputs, seed=" in shown
    assert "0 of 1 operators" in shown


def test_kinks_are_counted_and_no_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ties = Case({"x": np.ones((1, 1, 2, 2))}, {"kernel_size": 2})
    monkeypatch.setattr(cases, "drawn", lambda *args, **kwargs: [ties])
    assert main(["gradcheck", "max_pool2d"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[:4] == ["max_pool2d", "x", "1", "1"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["conv2"], "there is no operator 'conv2'; is it conv2d"),
        (["relu", "--cases", "0"], "--cases must be at least 1, got 0"),
        (["relu", "--seed", "-1"], "--seed must be at least 0, got -1"),
    ],
)
def test_what_is_wrong_is_one_line(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["gradcheck", *arguments]) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith("numseg gradcheck: error: ")
    assert says in shown.err
    assert shown.err.count("\n") == 1


def test_without_hypothesis_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "numseg.testing.cases", raising=False)
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    monkeypatch.delattr("numseg.testing.cases", raising=False)
    assert main(["gradcheck", "relu"]) == 2
    assert "pip install 'numseg[test]'" in capsys.readouterr().err
