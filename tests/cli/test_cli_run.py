"""numseg run: models on pictures and arrays. (numseg diff needs ONNX Runtime: tests/peers.)"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from numseg.cli import main
from numseg.data import encode_image, read_image

onnx = pytest.importorskip("onnx", reason="ONNX models need the onnx package")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A model that gives (x - 0.5) of three channels, summed; and a picture."""
    helper = onnx.helper
    info = helper.make_tensor_value_info
    weight = onnx.numpy_helper.from_array(np.ones((1, 3, 1, 1), np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"], name="c")], "g",
        [info("x", 1, ["n", 3, "h", "w"])], [info("y", 1, ["n", 1, "h", "w"])], [weight],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "m.onnx")
    image = np.zeros((3, 4, 6), np.uint8)
    image[:, 1, 2] = 255, 51, 102
    (tmp_path / "i.png").write_bytes(encode_image(image))
    return tmp_path


def test_a_picture_is_normalised(files: Path, capsys: pytest.CaptureFixture[str]):
    given = ["run", str(files / "m.onnx"), "--input", str(files / "i.png"), "--reference"]
    norm = ["--mean", "0,0.1,0.2", "--std", "1,2,4", "--multiple", "8"]
    out = ["--out", str(files / "y.npy"), "--out", str(files / "y.png")]
    assert main([*given, *norm, *out]) == 0
    y = np.load(files / "y.npy")
    assert y.shape == (1, 1, 8, 8)
    assert y[0, 0, 1, 2] == pytest.approx(1 + 0.1 / 2 + 0.2 / 4)
    assert y[0, 0, 0, 0] == pytest.approx(-0.1 / 2 - 0.2 / 4)
    assert y[0, 0, 7, 7] == 0
    assert "y: 1x1x8x8 float32, -0.1 to 1.1" in capsys.readouterr().out
    drawn = read_image(files / "y.png")
    assert drawn.shape == (3, 4, 6 + 4 + 6)
    assert (drawn[:, 1, 12] == 255).all()
    assert (drawn[:, 0, 10] == 0).all()


def test_channels_and_scale(files: Path):
    weights = ["--colours", "bgr", "--scale", "255", "--mean", "255,51,102"]
    given = ["run", str(files / "m.onnx"), "--input", f"x={files / 'i.png'}", "--reference"]
    assert main([*given, *weights, "--out", str(files / "y.npz")]) == 0
    y = np.load(files / "y.npz")["y"]
    assert y[0, 0, 1, 2] == pytest.approx(0, abs=1e-4)
    assert y[0, 0, 0, 0] == pytest.approx(-408)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--input", "none.png", "--out", "y.npy"], "none.png: no such file"),
        (["--input", "z=i.png", "--out", "y.npy"], "the model has no input 'z': x"),
        (["--input", "i.png", "--out", "y.jpg"], "a result ends in .png or .npy or .npz"),
        (["--input", "i.png", "--std", "0", "--out", "y.npy"], "--std is 0"),
        (["--input", "i.png", "--mean", "1,2", "--out", "y.npy"], "--mean has 2 numbers"),
        (["--input", "m.onnx", "--out", "y.npy"], "cannot be read as a picture"),
    ],
)
def test_one_line(files, arguments, told, capsys, monkeypatch):
    monkeypatch.chdir(files)
    assert main(["run", "m.onnx", *arguments]) == 2
    said = capsys.readouterr().err
    assert told in said
    assert said.count("\n") == 1
    assert not (files / "y.npy").exists()
