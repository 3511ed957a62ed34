"""numseg draw."""

from __future__ import annotations

from pathlib import Path

import pytest

from numseg.cli import main
from numseg.nets import unet

SMALL = ["draw", "unet", "--input", "3x8x12", "--width", "2", "--depth", "1", "--classes", "4"]


def test_a_drawing_is_the_graph_s(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    graph = unet(3, 4, width=2, depth=1, padding="same")
    for name, expected in (
        ("net.svg", graph.to_svg((1, 3, 8, 12))),
        ("net.dot", graph.to_dot((1, 3, 8, 12))),
        ("net", graph.to_svg((1, 3, 8, 12))),
    ):
        assert main([*SMALL, "--out", str(tmp_path / name)]) == 0
        assert (tmp_path / name).read_text() == expected
        assert capsys.readouterr().out == f"{len(graph.nodes)} nodes in {tmp_path / name}\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--out", "net.png"], "a drawing ends in .svg or .dot or .gv, not in .png"),
        (["--out", "net.svg", "--input", "3x9x8"], "the nearest that this network takes are 8"),
        (["--out", "/dev/null/net.svg"], "cannot write /dev/null/net.svg"),
    ],
)
def test_user_errors(options: list[str], message: str, capsys: pytest.CaptureFixture[str]):
    assert main([*SMALL, *options]) == 2
    err = capsys.readouterr().err
    assert err.startswith("numseg draw: error: ")
    assert message in err
