"""``numseg evaluate`` and ``numseg profile``; overlays while training."""

from __future__ import annotations

import json
import os
import re
import sys
import warnings

import numpy as np
import pytest

from numseg.cli import main
from numseg.data import SCENE_CLASSES, encode_image, encode_mask, read_image, scenes
from numseg.training import (
    Checkpoint,
    evaluate,
    load_checkpoint,
    load_network,
    make_network,
    save_checkpoint,
    scores,
)

NET = {"name": "unet", "in_channels": 3, "classes": 8, "width": 2, "depth": 1, "padding": "same"}
PARTS = ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation")


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "w.safetensors"
    about = {"net": NET, "classes": list(SCENE_CLASSES)}
    save_checkpoint(path, Checkpoint(make_network(NET).init(0), {}, 1, [], about))
    return str(path)


@pytest.fixture
def folder(tmp_path):
    """Five scenes in VOC's layout; the names of two have what no file name of ours has."""
    data = scenes(5, (16, 24), seed=3)
    names = ["a", "b (2)", "sub/c", os.fsdecode("d ü".encode()), "e"]
    root = tmp_path / "data"
    for part in (*PARTS, "JPEGImages/sub", "SegmentationClass/sub"):
        (root / part).mkdir(parents=True)
    for name, (image, labels, _) in zip(names, data, strict=True):
        (root / f"JPEGImages/{name}.png").write_bytes(encode_image(image))
        (root / f"SegmentationClass/{name}.png").write_bytes(encode_mask(labels))
    (root / "ImageSets/Segmentation/val.txt").write_bytes(os.fsencode("\n".join(names)))
    return root


def test_the_figures_are_the_libraries(tmp_path, weights, folder, capsys):
    out = tmp_path / "report"
    assert main(["evaluate", weights, str(folder), "--out", str(out), "--worst", "2"]) == 0
    shown = capsys.readouterr().out
    graph, checkpoint = load_network(weights)
    matrix = evaluate(graph, checkpoint.params, scenes(5, (16, 24), seed=3))
    written = json.loads((out / "evaluation.json").read_text())
    assert written["confusion"] == matrix.tolist()
    assert written["classes"] == list(SCENE_CLASSES)
    assert written["mean_iou"] == scores(matrix).mean_iou
    assert re.search(
        rf"all +{scores(matrix).mean_iou:.3f} +{scores(matrix).pixel_accuracy:.3f}\n", shown
    )
    by_picture = sorted((entry["mean_iou"], entry["name"]) for entry in written["pictures"])
    assert [os.fsencode(name).decode() for _, name in by_picture[:2]] == re.findall(
        r"^  0\.\d{3}  (.*)$", shown, re.M
    )
    drawn = list((out / "worst").iterdir())
    assert len(drawn) == 2
    assert {read_image(path).shape for path in drawn} == {(3, 16, 3 * 24 + 8)}
    assert read_image(out / "confusion.png").shape[0] == 3


def test_weights_that_others_wrote(tmp_path, weights, folder, capsys):
    """The same figures as the checkpoint's; the classes are those of the data."""
    from numseg.interop import weights as files

    file, classes = str(tmp_path / "w.pth"), ["--classes", ",".join(SCENE_CLASSES)]
    files.save(file, load_checkpoint(weights).params)
    assert main(["evaluate", weights, str(folder), *classes]) == 0
    expected = capsys.readouterr().out
    net = [part for n, v in NET.items() if n != "name" for part in ("--set", f"{n}={v}")]
    assert main(["evaluate", file, str(folder), *classes, "--net", "unet", *net]) == 0
    assert capsys.readouterr().out == expected
    assert main(["evaluate", file, str(folder), "--net", "unet", *net]) == 2
    assert "the network gives 8 classes, the data has 21" in capsys.readouterr().err


def test_the_networks_classes_are_those_of_the_folder(tmp_path, weights, folder, capsys):
    assert main(["evaluate", weights, str(folder), "--classes", "a,b,c,d,e,f,g,h"]) == 2
    message = "was trained on 8 classes (sky, mountain, meadow, ...), but the data has 8 (a, b, c,"
    assert message in capsys.readouterr().err
    assert main(["evaluate", weights, "coins"]) == 2
    assert "but the data has 2 (background, coin)" in capsys.readouterr().err


def test_scenes_are_those_that_training_held_out(tmp_path, capsys):
    size = ["--count", "6", "--size", "16"]
    small = ["--crop", "16", "--width", "2", "--depth", "1", "--epochs", "1"]
    assert main(["train", "scenes", *size, *small, "--out", str(tmp_path / "r")]) == 0
    trained = capsys.readouterr().out
    assert main(["evaluate", str(tmp_path / "r/checkpoint.safetensors"), "scenes", *size]) == 0
    table = [line for line in trained.splitlines() if line.startswith("  ")]
    assert capsys.readouterr().out.splitlines()[: len(table)] == table


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["W", "scenes", "--held-out-list", "x"], "--held-out-list is for folders in VOC's layout"),
        (["W", "coins", "--count", "3"], "--count is for generated scenes, not for coins"),
        (["W", "F", "--size", "3"], "--size is for generated scenes, not for "),
        (["W", "F", "--out", "x.png"], "--out x.png: is a folder, which will hold the report"),
        (["W", "F", "--out", "/proc/x"], "cannot write /proc/x/evaluation.json"),
        (["W", "F", "--worst", "-1"], "--worst must be at least 0, got -1"),
        (["none", "F"], "none: no such file"),
        (["W", "F", "--classes", "none.txt"], "none.txt: no such file"),
        (["W", "F", "--label-map", "0:0"], "--label-map wants NUMBER=CLASS,..., got '0:0'"),
        (["W", "F", "--label-map", "a=b"], "--label-map wants NUMBER=CLASS,..., got 'a=b'"),
    ],
)
def test_what_cannot_be_evaluated(weights, folder, capsys, argv, message):
    given = {"W": weights, "F": str(folder)}
    assert main(["evaluate", *(given.get(word, word) for word in argv)]) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert shown.count("\n") == 1


def test_a_missing_package_is_said_before_the_work(tmp_path, weights, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert main(["evaluate", weights, "nowhere", "--out", str(tmp_path / "r")]) == 2
    assert "drawing the picture needs matplotlib" in capsys.readouterr().err


def test_a_missing_progress_bar_is_one_line(tmp_path, weights, folder, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    out = str(tmp_path / "new")
    segment = ["segment", str(folder / "JPEGImages"), "--weights", weights, "--out", out]
    for argv in (["evaluate", weights, str(folder)], segment, [*SCENES, "--out", out]):
        assert main(argv) == 2
        shown = capsys.readouterr().err
        assert "a progress bar needs tqdm, which is not installed" in shown
        assert shown.count("\n") == 1
    assert not (tmp_path / "new").exists()


# -- training on a folder -------------------------------------------------------------------------

TINY = ["--width", "2", "--depth", "1", "--crop", "16", "--batch", "2", "--epochs", "1"]
CLASSES = "no 0 0 0\nyes #dc143c\n"


def test_masks_of_colours_by_a_file_of_classes(tmp_path, folder, capsys):
    """Read by their colours, drawn in their colours, kept in the checkpoint, evaluated."""
    from PIL import Image

    for path in (folder / "SegmentationClass").rglob("*.png"):
        yes = np.asarray(Image.open(path))[..., None] == 2
        Image.fromarray(np.where(yes, (220, 20, 60), 0).astype(np.uint8)).save(path)
    lists = folder / "ImageSets/Segmentation"
    (lists / "train.txt").write_bytes((lists / "val.txt").read_bytes())
    (tmp_path / "classes.txt").write_text(CLASSES)
    options = ["--classes", str(tmp_path / "classes.txt")]
    out = tmp_path / "run"
    argv = ["train", str(folder), *options, *TINY, "--out", str(out), "--overlays", "2"]
    assert main([*argv, "--drop-last"]) == 0
    about = load_checkpoint(out / "checkpoint.safetensors").about
    assert (about["classes"], about["colours"]) == (["no", "yes"], [[0, 0, 0], [220, 20, 60]])
    assert about["recipe"]["sampling"]["drop_last"] is True
    assert sorted(path.name for path in (out / "overlays").iterdir()) == [
        "0000-a.png", "0002-sub-c.png"
    ]  # fmt: skip
    weights = str(out / "checkpoint.safetensors")
    capsys.readouterr()
    assert main(["evaluate", weights, str(folder)]) == 2  # numbers are asked for
    assert "is a picture of mode RGB, expected palette indices" in capsys.readouterr().err
    assert main(["evaluate", weights, str(folder), *options]) == 0
    assert "yes" in capsys.readouterr().out


def test_masks_of_0_and_255(tmp_path, folder, capsys):
    from PIL import Image

    for path in (folder / "SegmentationClass").rglob("*.png"):
        yes = np.asarray(Image.open(path)) == 2
        Image.fromarray(np.where(yes, 255, 0).astype(np.uint8)).save(path)
    argv = ["train", str(folder), "--train-list", "val", "--classes", "no, yes", *TINY, "--out"]
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert main([*argv, str(tmp_path / "a")]) == 0
    shown = capsys.readouterr().err.splitlines()
    said = [line for line in shown if line.startswith("numseg train: warning: the labels of the 5")]
    assert [line.endswith(" or numseg train --label-map 0=0,255=1") for line in said] == [True] * 2
    assert main([*argv, str(tmp_path / "b"), "--label-map", "0=0,255=1"]) == 0
    assert main([*argv, str(tmp_path / "c"), "--ignore-index", "none"]) == 2
    assert "holds label 255, but there are 2 classes" in capsys.readouterr().err


SCENES = ["train", "scenes", "--count", "4", "--size", "16", *TINY]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([*SCENES, "--classes", "a"], "--classes is for folders in VOC's layout, not for scenes"),
        ([*SCENES, "--ignore-index", "0"], "--ignore-index is for folders in VOC's layout"),
        (["train", "coins", "--train-list", "x"], "--train-list is for folders in VOC's layout"),
        (["train", "data", "--count", "3"], "--count is for generated scenes, not for data"),
        ([*SCENES, "--out", "x.safetensors"], "--out x.safetensors: is a folder, which will hold"),
        ([*SCENES, "--out", "w.txt"], "--out w.txt: is a file, expected a folder"),
        ([*SCENES, "--overlays", "-1"], "--overlays must be at least 0, got -1"),
        ([*SCENES, "--drop-last", "--batch", "5"], "drop_last leaves no batch: batch is 5, but an"),
    ],
)
def test_options_that_do_not_apply(tmp_path, monkeypatch, capsys, argv, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w.txt").write_bytes(b"")
    assert main([*argv, *([] if "--out" in argv else ["--out", "out"])]) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert shown.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["w.txt"]


def test_resuming_what_is_not_there_is_said(tmp_path, capsys):
    argv = [*SCENES, "--out", str(tmp_path / "r"), "--resume"]
    path = tmp_path / "r" / "checkpoint.safetensors"
    said = f"numseg train: there is no {path} yet: it trains from the start\n"
    assert main(argv) == 0
    assert said in capsys.readouterr().err
    assert main(argv) == 0
    assert said not in capsys.readouterr().err


def test_the_layout_is_explained(capsys):
    for command in ("train", "evaluate"):
        with pytest.raises(SystemExit):
            main([command, "--help"])
        shown = capsys.readouterr().out
        for part in PARTS:
            assert f"FOLDER/{part}/" in shown


# -- summary and profile --------------------------------------------------------------------------


def test_a_checkpoint_in_short_and_in_time(weights, capsys):
    assert main(["summary", weights, "--input", "3x8x12"]) == 0
    expected = make_network(NET).summary((1, 3, 8, 12))
    tiles = "exact tiles: halo 9 before and 9 after, step 2"
    assert capsys.readouterr().out == f"{expected}\n{tiles}\n"
    assert main(["profile", weights, "--input", "3x8x12", "--runs", "1"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"^enc1\.conv1 ", shown, re.M)
    assert "medians of 1 run\n" in shown


@pytest.mark.parametrize("command", ["summary", "profile"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["W", "--width", "3"], "--width is for networks by name, not for a checkpoint"),
        (["W", "--set", "a=1"], "--set is for networks by name, not for a checkpoint"),
        (["W", "--input", "1x8x8"], "--input has 1 channels, but "),
        (["W", "--input", "3x9x8"], "x has 9 rows; the nearest that this network takes"),
        (["unet", "--net", "a:b"], "--net is for checkpoints, not for unet"),
        (["none.safetensors"], "none.safetensors: no such file"),
    ],
)
def test_what_a_checkpoint_knows_itself(weights, capsys, command, options, message):
    assert main([command, *(weights if word == "W" else word for word in options)]) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert shown.count("\n") == 1


def test_a_description_is_called_what_it_is(tmp_path, capsys):
    argv = ["summary", "unet", "--width", "2", "--depth", "1", "--dot"]
    assert main([*argv, str(tmp_path / "unet.png")]) == 2
    assert "a description for Graphviz ends in .dot or .gv, not in .png" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
