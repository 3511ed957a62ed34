"""numseg weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from numseg.cli import main
from numseg.interop import weights

ARRAYS = {"conv.weight": np.ones((2, 1, 3, 3), np.float32), "n": np.array(3)}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    weights.save(tmp_path / "w.pth", ARRAYS)
    return tmp_path / "w.pth"


def test_the_list(file: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["weights", str(file)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "conv.weight  2x1x3x3   float32",
        "n            1 number  int64",
        "2 arrays, 19 numbers, 80 bytes",
    ]


@pytest.mark.parametrize("ending", [".npz", ".safetensors", ".pt"])
def test_another_format(ending: str, file: Path, capsys: pytest.CaptureFixture[str]):
    out = file.with_name(f"out{ending}")
    assert main(["weights", str(file), "--to", str(out)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(out)
    for name, array in weights.load(out).items():
        np.testing.assert_array_equal(array, ARRAYS[name], strict=True)


def test_a_network(file: Path, capsys: pytest.CaptureFixture[str]):
    from numseg.nets import pnet

    params = pnet().init()
    weights.save(file, params)
    assert main(["weights", str(file), "--net", "pnet"]) == 0
    assert capsys.readouterr().out.endswith("they are the parameters of pnet\n")
    net = ["--net", "unet", "--set", "in_channels=3", "--set", "classes=2", "--set", "depth=1"]
    assert main(["weights", str(file), *net, "--to", str(file.with_name("o.npz"))]) == 2
    err = capsys.readouterr().err.splitlines()
    assert err[0].endswith("16 parameters expected, 13 given: 16 missing, 13 unexpected:")
    assert len(err) == 30  # a line for each name
    assert not file.with_name("o.npz").exists()


def test_files_that_mean_harm(file: Path, capsys: pytest.CaptureFixture[str]):
    file.write_bytes(b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.")
    assert main(["weights", str(file)]) == 2
    err = capsys.readouterr().err
    assert "w.pth: its pickle wants 'os.system', which no state dict needs; nothing was run" in err
    assert err.count("\n") == 1
    weights.save(file, {"\x1b[31mred\n": np.ones(1)})
    assert main(["weights", str(file)]) == 0
    assert capsys.readouterr().out.startswith("\\x1b[31mred\\n  1  float64\n")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--to", "w.h5"], "--to's ending must be one of '.safetensors', '.npz', '.pth', '.pt'"),
        (["--to", "w.pth"], "w.pth would be written over itself"),
        (["--to", "/dev/null/w.pth"], "cannot write /dev/null/w.pth"),
        (["--key", "model"], "has no tensors under the key 'model': '' (2)"),
        (["--set", "a=b"], "--set is for networks, not for a file without --net"),
        (["--net", "vnet"], "net must be one of "),
    ],
)
def test_user_errors(
    options: list[str], message: str, file: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):  # fmt: skip
    monkeypatch.chdir(file.parent)
    assert main(["weights", "w.pth", *options]) == 2
    err = capsys.readouterr().err
    assert err.startswith("numseg weights: error: ")
    assert message in err
    assert err.count("\n") == 1
