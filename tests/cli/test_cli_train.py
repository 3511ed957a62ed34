"""``numseg train`` and ``numseg demo``, with settings that take moments."""

from __future__ import annotations

import re
import sys

import numpy as np
import pytest
from PIL import Image

from numseg.cli import demo, main
from numseg.data import encode_mask, read_image, scenes
from numseg.training import load_checkpoint, load_network

TINY = ["--width", "2", "--depth", "1", "--crop", "16", "--batch", "2", "--epochs", "2"]
SCENES = ["train", "scenes", "--count", "4", "--size", "16", *TINY]


def test_scenes(tmp_path, capsys):
    assert main([*SCENES, "--out", str(tmp_path / "run")]) == 0
    shown = capsys.readouterr()
    assert len(re.findall(r"^epoch +\d  loss \d\.\d{4}  mIoU 0\.\d{4}", shown.out, re.M)) == 2
    assert "mountain" in shown.out
    assert "4/4" in shown.err  # the progress bar's last step
    _, checkpoint = load_network(tmp_path / "run" / "checkpoint.safetensors")
    assert checkpoint.epoch == 2
    assert checkpoint.about["net"]["width"] == 2


def test_a_runs_folder_is_not_trained_over(tmp_path, capsys):
    argv = [*SCENES, "--out", str(tmp_path)]
    assert main(argv) == 0
    before = (tmp_path / "checkpoint.safetensors").read_bytes()
    assert main(argv) == 2
    assert "exists: go on from it with --resume" in capsys.readouterr().err
    assert main([*argv, "--resume"]) == 0
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == before
    assert main([*argv, "--resume", "--lr", "0.5"]) == 2
    assert "recipe.lr was 0.002, now it is 0.5" in capsys.readouterr().err


def test_a_folder_in_vocs_layout(tmp_path, capsys):
    for part in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (tmp_path / part).mkdir(parents=True)
    for i, (image, labels, _) in enumerate(scenes(3, (20, 16))):
        Image.fromarray(image.transpose(1, 2, 0)).save(tmp_path / "JPEGImages" / f"{i}.jpg")
        labels = np.where(labels == 7, 255, np.minimum(labels, 1)).astype(np.uint8)
        (tmp_path / "SegmentationClass" / f"{i}.png").write_bytes(encode_mask(labels))
    lists = tmp_path / "ImageSets" / "Segmentation"
    (lists / "train.txt").write_text("0\n1\n")
    (lists / "test.txt").write_text("2\n")
    argv = ["train", str(tmp_path), *TINY, "--out", str(tmp_path / "run")]
    assert main(argv) == 2
    assert "val.txt: no such file (lists there: test, train)" in capsys.readouterr().err
    assert main([*argv, "--held-out-list", "test", "--classes", "sky,earth"]) == 0
    assert "earth" in capsys.readouterr().out
    assert load_checkpoint(tmp_path / "run" / "checkpoint.safetensors").about["classes"] == [
        "sky",
        "earth",
    ]


def test_coins(tmp_path):
    argv = ["train", "coins", *TINY, "--padding", "valid", "--crop", "32", "--turn", "--no-norm"]
    assert main([*argv, "--optimiser", "sgd", "--lr", "0.001", "--out", str(tmp_path)]) == 0
    assert load_checkpoint(tmp_path / "checkpoint.safetensors").about["net"]["in_channels"] == 1


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["train", "nowhere", "--out", "x"], "nowhere: no such folder"),
        ([*SCENES, "--crop", "15", "--out", "x"], "crop 15: x has 15 rows; the nearest"),
        ([*SCENES, "--width", "0", "--out", "x"], "width must be at least 1, got 0"),
        ([*SCENES, "--epochs", "0", "--out", "x"], "epochs must be at least 1, got 0"),
        ([*SCENES, "--count", "0", "--out", "x"], "count must be at least 1, got 0"),
        ([*SCENES, "--loss", "hinge", "--out", "x"], "loss: numseg has no operator 'hinge'"),
        (
            [*SCENES, "--loss", "dice_loss=x", "--out", "x"],
            "--loss wants NAME, NAME=WEIGHT or NAME@OUTPUT=WEIGHT, got 'dice_loss=x'",
        ),
        ([*SCENES, "--net", "vnet", "--out", "x"], "net must be one of "),
        ([*SCENES, "--set", "colour=1", "--out", "x"], "unet: got an unexpected keyword"),
        ([*SCENES, "--set", "colour", "--out", "x"], "--set wants NAME=VALUE, got 'colour'"),
    ],
)
def test_what_cannot_be_trained(tmp_path, monkeypatch, capsys, argv, message):
    monkeypatch.chdir(tmp_path)
    assert main(argv) == 2
    shown = capsys.readouterr().err
    assert shown.startswith(f"numseg train: error: {message}")
    assert shown.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


OWN = """
import numseg as ns
from numseg.nets import blocks

def net(in_channels, classes, width=2, activation="relu"):
    net = ns.Graph.build()
    h = blocks.conv(net, "a", net.input("x"), in_channels, width, padding=1, activation=activation)
    return net.output(blocks.conv(net, "b", h, width, classes, 1))
"""


@pytest.mark.parametrize("name", ["own_nets:net", "own_nets.py:net"])
def test_a_network_of_ones_own(tmp_path, monkeypatch, capsys, name):
    """Trained, shown, and applied once the caller says who makes it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "own_nets.py").write_text(OWN)
    usual = ["--count", "4", "--size", "16", "--crop", "16", "--epochs", "1", "--out", "run"]
    own = ["--net", name, "--set", "width=3", "--set", "activation=silu"]
    assert main(["train", "scenes", *usual, *own]) == 0
    weights = "run/checkpoint.safetensors"
    about = load_checkpoint(weights).about["net"]
    sizes = {"in_channels": 3, "classes": 8}
    assert about == {"name": name, **sizes, "width": 3, "activation": "silu"}
    assert main(["summary", name, "--input", "3x8x8", "--width", "3"]) == 0
    assert "1x3x8x8" in capsys.readouterr().out
    Image.fromarray(np.zeros((9, 9), np.uint8)).save("p.png")
    segment = ["segment", "p.png", "--weights", weights, "--out", "m.png"]
    assert main(segment) == 2
    shown = capsys.readouterr().err
    assert f"{name} was trained, which no file makes us import: give it to load it" in shown
    assert shown.count("\n") == 1
    assert main([*segment, "--net", name]) == 0
    sys.modules.pop("own_nets", None)


def test_losses_by_name_and_weight(tmp_path):
    losses = ["--loss", "cross_entropy", "--loss", "dice_loss=0.5"]
    assert main([*SCENES, *losses, "--out", str(tmp_path)]) == 0
    recipe = load_checkpoint(tmp_path / "checkpoint.safetensors").about["recipe"]
    terms = [(term["operator"], term["weight"]) for term in recipe["loss"]]
    assert terms == [("cross_entropy", 1.0), ("dice_loss", 0.5)]


@pytest.mark.parametrize("command", ["train", "segment", "demo"])
def test_a_device_that_is_not_there(tmp_path, monkeypatch, capsys, command):
    from numseg import device

    monkeypatch.setattr(device, "cuda_available", lambda: False)
    monkeypatch.setattr(device, "describe_cuda", lambda: "no device")
    monkeypatch.chdir(tmp_path)
    assert main([*SCENES, "--out", "run"]) == 0
    Image.fromarray(np.zeros((8, 8), np.uint8)).save("p.png")
    weights = ["--weights", "run/checkpoint.safetensors"]
    argv = {
        "train": [*SCENES, "--out", "other"],
        "segment": ["segment", "p.png", *weights, "--out", "m.png"],
        "demo": ["demo", "--effort", "0.01"],
    }[command]
    capsys.readouterr()
    assert main([*argv, "--device", "cuda"]) == 2
    expected = f"numseg {command}: error: device is 'cuda', but there is none: no device\n"
    assert capsys.readouterr().err == expected
    assert sorted(file.name for file in tmp_path.iterdir()) == ["p.png", "run"]


@pytest.fixture
def small_demo(monkeypatch):
    monkeypatch.setattr(demo, "NET", demo.NET | {"width": 2, "depth": 1})


def test_the_demo_repeats_and_resumes(tmp_path, monkeypatch, capsys, small_demo):
    monkeypatch.chdir(tmp_path)
    argv = ["demo", "--effort", "0.01"]
    assert main(argv) == 0
    figures = capsys.readouterr().out
    assert re.search(r"coins +mIoU 0\.\d{4}", figures)
    assert re.search(r"scenes +mIoU 0\.\d{4}", figures)
    folder = tmp_path / "numseg-demo"
    names = ["coins.safetensors", "demo.png", "scenes.safetensors"]
    assert sorted(file.name for file in folder.iterdir()) == names
    image = read_image(folder / "demo.png")
    assert image.shape[2] == 1200
    first = {name: (folder / name).read_bytes() for name in names}
    assert main([*argv, "--resume"]) == 0
    shown = capsys.readouterr()
    assert shown.out == figures
    assert "yet" not in shown.err
    assert main([*argv, "--resume", "--out", "new"]) == 0
    shown = capsys.readouterr()
    assert "numseg demo: there is no new/coins.safetensors yet: it trains from the" in shown.err
    assert main(argv) == 0
    assert capsys.readouterr().out == figures
    assert {name: (folder / name).read_bytes() for name in names} == first


def test_an_interrupted_demo_says_how_to_go_on(tmp_path, monkeypatch, capsys, small_demo):
    from numseg.training import loop

    real = loop.save_checkpoint

    def stop_after_two(path, checkpoint):
        real(path, checkpoint)
        if checkpoint.epoch == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(loop, "save_checkpoint", stop_after_two)
    assert main(["demo", "--effort", "0.01", "--out", str(tmp_path)]) == 130
    shown = capsys.readouterr().err.splitlines()[-1]
    assert shown.endswith(f"epochs are in {tmp_path / 'coins.safetensors'}; --resume goes on there")
