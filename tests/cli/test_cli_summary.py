"""numseg summary."""

from __future__ import annotations

from pathlib import Path

import pytest

from numseg.cli import main

SMALL = ["summary", "unet", "--input", "3x8x12", "--width", "2", "--depth", "1", "--classes", "4"]


def test_the_table_is_the_graph_s(capsys: pytest.CaptureFixture[str]):
    from numseg.nets import unet

    assert main(SMALL) == 0
    expected = unet(3, 4, width=2, depth=1, padding="same").summary((1, 3, 8, 12))
    tiles = "exact tiles: halo 9 before and 9 after, step 2"
    assert capsys.readouterr().out == f"{expected}\n{tiles}\n"


def test_a_network_that_cannot_be_cut(capsys: pytest.CaptureFixture[str]):
    assert main(["summary", "mobilenet_v2", "--set", "width=0.1", "--input", "3x64x64"]) == 0
    shown = capsys.readouterr().out.splitlines()[-1]
    assert shown.startswith("no exact tiles: ")


def test_the_paper_s_network(capsys: pytest.CaptureFixture[str]):
    assert main(["summary", "unet", "--input", "1x572x572", "--padding", "valid"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2].startswith("31,030,658 parameters, ")
    assert lines[-1] == "exact tiles: halo 15 before and 199 after, step 16"
    head = ["head", "conv2d", "1x2x388x388", "130", "19.4", "M", "204", "1", "92"]
    assert lines[-4].split() == head


def test_defaults(capsys: pytest.CaptureFixture[str]):
    assert main(["summary", "unet"]) == 0
    assert "1x2x256x256" in capsys.readouterr().out


def test_any_argument(capsys: pytest.CaptureFixture[str]):
    assert main([*SMALL, "--set", "up=bilinear", "--set", "dropout=0.5"]) == 0
    shown = capsys.readouterr().out
    assert "up1.bilinear" in shown
    assert "mid.dropout" in shown


def test_a_network_that_is_not_there(capsys: pytest.CaptureFixture[str]):
    assert main(["summary", "vnet"]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("numseg summary: error: net must be one of ")
    assert "'unet'," in shown
    assert shown.endswith(", or module:name, got 'vnet'\n")


def test_dot(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "unet.dot"
    assert main([*SMALL, "--norm", "--dot", str(file)]) == 0
    text = file.read_text()
    assert text.startswith("digraph {")
    assert '"enc1.norm1" [label="enc1.norm1\\nbatch_norm\\n1x2x8x12"];' in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--input", "3x9x8"], "x has 9 rows; the nearest that this network takes are 8 and 10"),
        (["--width", "0"], "width must be at least 1, got 0"),
        (["--set", "up=cubic"], "up must be one of 'conv_transpose', 'bilinear', 'nearest'"),
        (["--dot", "/dev/null/unet.dot"], "cannot write /dev/null/unet.dot"),
    ],
)
def test_user_errors(options: list[str], message: str, capsys: pytest.CaptureFixture[str]):
    assert main([*SMALL, *options]) == 2
    err = capsys.readouterr().err
    assert err.startswith("numseg summary: error: ")
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--input", "256x256"], "expected CxHxW, as in 3x256x256, got 256x256"),
        (["--depth", "deep"], "invalid int value: 'deep'"),
        (["--padding", "full"], "invalid choice: 'full'"),
    ],
)
def test_wrong_options(options: list[str], message: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as stop:
        main([*SMALL, *options])
    assert stop.value.code == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
