"""``numseg segment``: pictures of any kind, and nothing half-written."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageOps

from numseg.cli import main
from numseg.data import SCENE_CLASSES, read_image, read_mask, read_pair
from numseg.training import (
    Checkpoint,
    load_network,
    make_network,
    predict,
    predict_logits,
    save_checkpoint,
)

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


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_mask_lies_on_the_picture_that_one_sees(tmp_path, weights, orientation):
    """A photograph that is stored turned is segmented as it is shown; read as a pair, too."""
    tag = Image.Exif()
    tag[0x0112] = orientation
    picture, out = tmp_path / "p.png", tmp_path / "m.png"
    Image.fromarray(COLOUR).save(picture, exif=tag)
    assert main(["segment", str(picture), "--weights", str(weights), "--out", str(out)]) == 0
    shown = np.asarray(ImageOps.exif_transpose(Image.open(picture)))
    upright = tmp_path / "upright.png"
    Image.fromarray(shown).save(upright)
    argv = ["segment", str(upright), "--weights", str(weights), "--out", str(tmp_path / "u.png")]
    assert main(argv) == 0
    assert out.read_bytes() == (tmp_path / "u.png").read_bytes()
    assert (tmp_path / "m.overlay.png").read_bytes() == (tmp_path / "u.overlay.png").read_bytes()
    image, labels = read_pair(picture, out)
    np.testing.assert_array_equal(image, shown.transpose(2, 0, 1))
    np.testing.assert_array_equal(labels, read_mask(tmp_path / "u.png"))


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.png", "b (2).JPG", ".hidden", "notes.txt"):
        if name.endswith(("png", "JPG")):
            PICTURES["colour.png"].save(folder / name, "PNG")
        else:
            (folder / name).write_text("")
    return folder


def test_folders_and_several_pictures(tmp_path, weights, photos, capsys):
    other = tmp_path / "c.png"
    PICTURES["grey.png"].save(other)
    out = tmp_path / "masks"
    argv = ["segment", str(photos), str(other), "--weights", str(weights), "--out", str(out)]
    assert main(argv) == 0
    names = [f"{stem}{end}" for stem in ("a", "b (2)", "c") for end in (".overlay.png", ".png")]
    assert sorted(path.name for path in out.iterdir()) == names
    single = tmp_path / "single.png"
    argv = ["segment", str(photos / "a.png"), "--weights", str(weights), "--out", str(single)]
    capsys.readouterr()
    assert main(argv) == 0
    assert (out / "a.png").read_bytes() == single.read_bytes()
    assert "3/3" not in capsys.readouterr().err


def test_overlays_in_a_folder_of_their_own(tmp_path, weights, photos):
    out, seen = tmp_path / "masks", tmp_path / "seen"
    argv = ["segment", str(photos), "--weights", str(weights), "--out", str(out)]
    assert main([*argv, "--overlay", str(seen)]) == 0
    names = ["a.png", "b (2).png"]
    assert [sorted(p.name for p in folder.iterdir()) for folder in (out, seen)] == [names, names]


def test_one_that_cannot_be_read_does_not_stop_the_others(tmp_path, weights, photos, capsys):
    (photos / "aa.png").write_bytes(b"no picture")
    out = tmp_path / "masks"
    assert main(["segment", str(photos), "--weights", str(weights), "--out", str(out)]) == 2
    said = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert "aa.png: cannot be read as a picture" in said[0]
    assert said[1] == "numseg segment: error: 1 of 3 pictures were not segmented"
    assert sorted(p.name for p in out.glob("*[!y].png")) == ["a.png", "b (2).png"]


def test_what_would_be_lost_in_a_folder(tmp_path, weights, photos, capsys):
    (tmp_path / "more").mkdir()
    PICTURES["grey.png"].save(tmp_path / "more" / "a.jpg")
    (tmp_path / "empty").mkdir()
    before = sorted(tmp_path.rglob("*"))
    for argv, message in (
        ([photos, tmp_path / "more", "--out", tmp_path / "o"], "a.png would be written over"),
        ([photos, "--out", photos], "masks would be written among the pictures in"),
        ([photos, "--out", tmp_path / "o.png"], "is a folder, which will hold masks: call it one"),
        ([tmp_path / "empty", "--out", tmp_path / "o"], "empty: has no pictures (.jpg, "),
        ([photos, "--out", weights], "is a folder, which will hold masks"),
        ([photos / "a.png", "--out", tmp_path / "m.jpg"], ".tiff or .zarr, not in .jpg"),
        ([photos / "a.png", "--out", tmp_path / "m.png", "--overlay", tmp_path / "o.tif"],
         "an overlay ends in .png, not in .tif"),
        ([photos / "a.png", "--out", "/proc/m.png"], "cannot write /proc/m.png"),
    ):  # fmt: skip
        assert main(["segment", *map(str, argv), "--weights", str(weights)]) == 2
        shown = capsys.readouterr().err
        assert message in shown
        assert shown.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_masks_show_the_colours_the_network_was_trained_with(tmp_path, weights):
    _, checkpoint = load_network(weights)
    colours = [[10 * i, 0, 255 - i] for i in range(8)]
    save_checkpoint(weights, checkpoint._replace(about=checkpoint.about | {"colours": colours}))
    picture, out = tmp_path / "p.png", tmp_path / "m.png"
    PICTURES["colour.png"].save(picture)
    assert main(["segment", str(picture), "--weights", str(weights), "--out", str(out)]) == 0
    shown = np.asarray(Image.open(out).convert("RGB"))
    np.testing.assert_array_equal(shown, np.array(colours, np.uint8)[read_mask(out)])


def test_the_second_of_two_files_that_cannot_be_written_leaves_no_first(tmp_path, weights, capsys):
    picture, out = tmp_path / "p.png", tmp_path / "m.png"
    PICTURES["colour.png"].save(picture)
    argv = ["segment", str(picture), "--weights", str(weights), "--out", str(out)]
    assert main([*argv, "--overlay", str(tmp_path / "p.png" / "o.png")]) == 2
    assert "cannot write" in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["p.png", "w.safetensors"]


# -- weights that others wrote --------------------------------------------------------------------


def test_weights_of_a_network_by_name(tmp_path, capsys):
    from numseg.interop import weights as files

    picture, out, file = tmp_path / "p.png", tmp_path / "m.png", tmp_path / "w.pth"
    PICTURES["colour.png"].save(picture)
    graph = make_network(NET)
    files.save(file, graph.init(0))
    argv = ["segment", str(picture), "--weights", str(file), "--out", str(out)]
    assert main(argv) == 2
    assert (
        "w.pth is no checkpoint that numseg wrote: --net says for which" in capsys.readouterr().err
    )
    argv += ["--net", "unet"]
    argv += [part for n, v in NET.items() if n != "name" for part in ("--set", f"{n}={v}")]
    assert main(argv) == 2
    assert "the network gives 8 classes, the data has 21" in capsys.readouterr().err
    assert not out.exists()
    assert main([*argv, "--classes", "a,b,c,d,e,f,g,h"]) == 0
    expected = predict(graph, graph.init(0), read_image(picture))
    np.testing.assert_array_equal(read_mask(out), expected)


def test_weights_of_torchvision_get_normalised_colours(tmp_path):
    from numseg import nets
    from numseg.interop import torchvision
    from numseg.interop import weights as files

    picture, out, file = tmp_path / "p.png", tmp_path / "m.png", tmp_path / "w.pth"
    PICTURES["colour.png"].save(picture)
    trained = nets.fcn_resnet50(width=1, aux=True).init(0)
    files.save(file, trained)
    argv = ["segment", str(picture), "--weights", str(file), "--out", str(out)]
    assert main([*argv, "--net", "fcn_resnet50", "--set", "width=1"]) == 0
    graph = nets.fcn_resnet50(width=1)
    mean, std = (
        np.float32(given).reshape(3, 1, 1) for given in (torchvision.MEAN, torchvision.STD)
    )
    x = (read_image(picture).astype(np.float32) / 255 - mean) / std
    x = np.pad(x, ((0, 0), (0, 3), (0, 2)), mode="symmetric")  # to 16 x 24: scores at stride 8
    scores = graph.run(torchvision.match(graph, trained), x[None])
    np.testing.assert_array_equal(read_mask(out), scores[0, :, :13, :22].argmax(0))


def test_options_for_others_weights_are_not_for_checkpoints(tmp_path, weights, capsys):
    argv = ["segment", "p.png", "--weights", str(weights), "--out", str(tmp_path / "m.png")]
    for option in (["--classes", "a,b"], ["--key", "model"], ["--set", "width=2"]):
        assert main([*argv, *option]) == 2
        err = capsys.readouterr().err
        assert f"{option[0]} is for weights that others wrote, not for" in err


@pytest.mark.parametrize(
    ("name", "more"), [([], []), (["crf-as-rnn"], ["--srgb", "8", "--iterations", "2"])]
)
def test_refined_by_a_crf(tmp_path, weights, name, more):
    """What numseg crf makes of the network's energies."""
    picture, out = tmp_path / "p.png", tmp_path / "m.png"
    PICTURES["colour.png"].save(picture)
    argv = ["segment", str(picture), "--weights", str(weights), "--out", str(out), "--crf", *name]
    assert main([*argv, *more]) == 0
    graph, checkpoint = load_network(weights)
    logits = predict_logits(graph, checkpoint.params, read_image(picture), tile=5)
    np.testing.assert_array_equal(
        logits.argmax(0), predict(graph, checkpoint.params, read_image(picture))
    )
    np.save(tmp_path / "u.npy", -logits)
    argv = ["crf", str(picture), str(tmp_path / "u.npy"), "--out", str(tmp_path / "wanted.npy")]
    assert main([*argv, "--settings", *(name or ["deeplab-v2-vgg"]), *more]) == 0
    np.testing.assert_array_equal(read_mask(out), np.load(tmp_path / "wanted.npy").argmax(0))


def test_options_of_a_crf_are_for_one(tmp_path, weights, capsys):
    argv = ["segment", "p.png", "--weights", str(weights), "--out", str(tmp_path / "m.png")]
    assert main([*argv, "--srgb", "8"]) == 2
    assert "--srgb is for --crf, not for a network alone" in capsys.readouterr().err


def test_settings_of_a_crf_that_are_none(tmp_path, weights, capsys):
    picture, out = tmp_path / "p.png", tmp_path / "m.png"
    PICTURES["colour.png"].save(picture)
    argv = ["segment", str(picture), "--weights", str(weights), "--out", str(out), "--crf", "mine"]
    assert main(argv) == 2
    assert "must be one of 'crf-as-rnn', " in capsys.readouterr().err
    assert not out.exists()
