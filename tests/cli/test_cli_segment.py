"""``numseg segment``: pictures of any kind, and nothing half-written."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from numseg.cli import main
from numseg.data import SCENE_CLASSES, read_image, read_mask
from numseg.training import Checkpoint, load_network, make_network, predict, save_checkpoint

NET = {"name": "unet", "in_channels": 3, "classes": 8, "width": 2, "depth": 1, "padding": "same"}


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "w.safetensors"
    about = {"net": NET, "classes": list(SCENE_CLASSES)}
    save_checkpoint(path, Checkpoint(make_network(NET).init(0), {}, 1, [], about))
    return path


RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (13, 22, 3)).astype(np.uint8)
PICTURES = {
    "colour.png": Image.fromarray(COLOUR),
    "grey.png": Image.fromarray(COLOUR[..., 0]),
    "deep.png": Image.fromarray(COLOUR[..., 0].astype(np.uint16) * 257),
    "clear.png": Image.fromarray(np.dstack([COLOUR, COLOUR[..., 0]])),
    "small.jpg": Image.fromarray(COLOUR[:1, :1]),
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_mask_and_an_overlay_of_the_pictures_size(tmp_path, weights, capsys, name):
    picture, out = tmp_path / name, tmp_path / "new" / "mask.png"
    PICTURES[name].save(picture)
    assert main(["segment", str(picture), "--weights", str(weights), "--out", str(out)]) == 0
    graph, checkpoint = load_network(weights)
    expected = predict(graph, checkpoint.params, read_image(picture))
    np.testing.assert_array_equal(read_mask(out), expected)
    overlay = out.with_name("mask.overlay.png")
    assert read_image(overlay).shape == (3, *expected.shape)
    shown = capsys.readouterr().out.splitlines()
    assert shown[:2] == [str(out), str(overlay)]
    shares = [float(line.split()[0]) for line in shown[2:]]
    assert sum(shares) == pytest.approx(100, abs=0.05)


def test_tiles_and_an_overlay_elsewhere(tmp_path, weights):
    picture = tmp_path / "p.png"
    PICTURES["colour.png"].save(picture)
    argv = ["segment", str(picture), "--weights", str(weights)]
    assert main([*argv, "--out", str(tmp_path / "a.png")]) == 0
    overlay = tmp_path / "seen.png"
    tiled = ["--out", str(tmp_path / "b.png"), "--tile", "4", "--overlay", str(overlay)]
    assert main([*argv, *tiled]) == 0
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert overlay.is_file()


def _broken_picture(path):
    path.write_bytes(path.read_bytes()[:60])
    return "p.png: cannot be read as a picture"


def _broken_weights(path):
    weights = path.with_name("w.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1])
    return "w.safetensors: is damaged or not a safetensors file"


def _no_picture(path):
    path.unlink()
    return "p.png: no such file"


@pytest.mark.parametrize("breaks", [_broken_picture, _broken_weights, _no_picture])
def test_broken_files_are_one_line_and_leave_nothing(tmp_path, weights, capsys, breaks):
    picture, out = tmp_path / "p.png", tmp_path / "mask.png"
    PICTURES["colour.png"].save(picture)
    message = breaks(picture)
    before = sorted(tmp_path.iterdir())
    assert main(["segment", str(picture), "--weights", str(weights), "--out", str(out)]) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert shown.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before


def test_nothing_is_written_over_what_is_read(tmp_path, weights, capsys):
    picture = tmp_path / "p.png"
    PICTURES["colour.png"].save(picture)
    before = picture.read_bytes()
    argv = ["segment", str(picture), "--weights", str(weights), "--out"]
    assert main([*argv, str(picture)]) == 2
    assert main([*argv, str(tmp_path / "m.png"), "--overlay", str(weights)]) == 2
    assert main([*argv, str(tmp_path / "m.png"), "--overlay", str(tmp_path / "m.png")]) == 2
    assert capsys.readouterr().err.count("would be written over") == 3
    assert picture.read_bytes() == before
