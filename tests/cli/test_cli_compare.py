"""``numseg compare``: figures that are the libraries', and nothing lost when it is killed."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil

import pytest

from numseg import ArgumentError
from numseg.bench import compare
from numseg.cli import main
from numseg.data import read_image, scenes
from numseg.training import Recipe, Sampling, load_checkpoint, loop, make_network

DATA = ["--count", "5", "--size", "16", "--crop", "16", "--batch", "4", "--turns", "2"]
NETS = ["unet", "wide=unet", "--set", "depth=1", "--set", "width=2", "--set", "wide.width=3"]
COMPARE = ["compare", *NETS, *DATA]


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    out = tmp_path_factory.mktemp("compared") / "out"
    assert main([*COMPARE, "--epochs", "2", "--out", str(out)]) == 0
    return out


def test_the_figures_are_those_of_the_networks(compared, tmp_path, capsys):
    out = tmp_path / "out"
    shutil.copytree(compared, out)
    assert main([*COMPARE, "--epochs", "2", "--out", str(out), "--resume"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:2] == ["network", "mIoU"]
    record = json.loads((out / "compare.json").read_text())
    assert record["budget"] == {"epochs": 2}
    assert record["data"]["pictures"] == [5, 1]
    assert list(record["networks"]) == ["unet", "wide"]
    for label, width in (("unet", 2), ("wide", 3)):
        found = record["networks"][label]
        assert found["net"]["width"] == width
        summary = make_network(found["net"]).summary((1, 3, 16, 16))
        assert found["parameters"] == summary.parameters
        assert found["multiply_adds"] == summary.multiply_adds
        kept = load_checkpoint(out / f"{label}.safetensors")
        assert (kept.epoch, kept.about["net"]) == (2, found["net"])
        assert found["scores"] == found["history"][-1] == kept.history[-1]
        assert found["steps_per_epoch"] == 2
        assert min(found[name] for name in ("step_ms", "picture_ms")) > 0
        # a step holds at least parameters, their gradients, and Adam's two arrays
        assert found["step_bytes"] > 4 * 4 * found["parameters"] > 0
        assert found["picture_bytes"] < found["step_bytes"]
        (line,) = [line for line in lines if line.startswith(f"{label} ")]
        assert f"{summary.parameters:,}" in line
        assert f"{found['scores']['mean_iou']:.4f}" in line
    assert read_image(out / "compare.png").shape[0] == 3
    first = load_checkpoint(compared / "wide.safetensors")
    assert all(kept.params[n].tobytes() == a.tobytes() for n, a in first.params.items())


def test_a_comparison_that_was_stopped_goes_on(compared, tmp_path, monkeypatch, capsys):
    """Stopped in the second network: the first is not trained again."""
    out = tmp_path / "out"
    real = loop.save_checkpoint
    saved = []

    def stop(path, checkpoint):
        real(path, checkpoint)
        saved.append((path.stem, checkpoint.epoch))
        if saved == [("unet", 1), ("unet", 2), ("wide", 1)]:
            raise KeyboardInterrupt

    monkeypatch.setattr(loop, "save_checkpoint", stop)
    argv = [*COMPARE, "--epochs", "2", "--out", str(out)]
    assert main(argv) == 130
    assert "--resume goes on there" in capsys.readouterr().err
    assert json.loads((out / "compare.json").read_text())["networks"]["unet"]["scores"]
    assert main(argv) == 2
    assert "compare.json exists: go on with --resume" in capsys.readouterr().err
    assert main([*argv, "--resume"]) == 0
    assert saved[3:] == [("wide", 2)]
    for name in ("unet.safetensors", "wide.safetensors"):
        assert (out / name).read_bytes() == (compared / name).read_bytes()


def test_seconds_are_a_number_of_epochs(tmp_path, monkeypatch):
    """By the time of a step; a run that goes on keeps what was found."""
    argv = ["compare", "unet", *NETS[2:6], *DATA, "--out", str(tmp_path), "--seconds"]
    monkeypatch.setattr(compare, "epochs_within", lambda contestant, seconds: 3)
    assert main([*argv, "7"]) == 0
    monkeypatch.undo()
    assert main([*argv, "7", "--resume"]) == 0
    record = json.loads((tmp_path / "compare.json").read_text())
    assert record["budget"] == {"seconds": 7.0}
    assert record["networks"]["unet"]["epochs"] == 3
    assert load_checkpoint(tmp_path / "unet.safetensors").epoch == 3


def test_pieces_are_of_a_size_that_each_network_takes(monkeypatch):
    """From the one that is asked for on; they show the same where pictures are no larger."""
    unet = {"name": "unet", "in_channels": 3, "classes": 8, "width": 1, "padding": "same"}
    data = scenes(2, (17, 20))
    recipe = Recipe(sampling=Sampling(crop=(15, 18), batch=2, flip=False))
    found = compare.Contestant(unet | {"depth": 2}, data, data, recipe)
    with pytest.raises(ArgumentError, match=r"crop \(15, 18\): x has 15 rows"):
        found.prepared()
    fitted = found.fitted()
    assert fitted.recipe.sampling.crop == (16, 20)
    square = dataclasses.replace(recipe, sampling=Sampling(crop=17, batch=2, flip=False))
    assert found._replace(recipe=square).fitted().recipe.sampling.crop == 20
    monkeypatch.setattr(compare, "FARTHEST", 2)
    with pytest.raises(ArgumentError, match="crop is 17, but the network takes 20 x 20 at least"):
        found._replace(recipe=square).fitted()
    assert fitted.prepared().steps == 1
    plain = compare.Contestant(unet | {"depth": 0}, data, data, square)
    assert plain.fitted() is plain


def test_epochs_that_fit(monkeypatch):
    """A step takes 2 seconds, an epoch 3 steps: 13 seconds are two of them."""
    clock = iter([10.0, 10.0 + 2 * compare.TRIAL])

    class Contestant:
        def step(self):
            return lambda: None

        def prepared(self):
            return type("Run", (), {"steps": 3})

    monkeypatch.setattr(compare.time, "perf_counter", lambda: next(clock))
    assert compare.epochs_within(Contestant(), 13.0) == 2
    clock = iter([0.0, 100.0])
    assert compare.epochs_within(Contestant(), 13.0) == 1


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["unet", "unet"], "two networks are called unet: give one another name, other=unet"),
        (["unet", "--set", "unit.width=2"], r"--set unit.width: no network is called 'unit' \(is"),
        (["a/b=unet"], "'a/b' names a file"),
        (["vnet"], "vnet: net must be one of"),
        (["unet", "--set", "colour=1"], "unet: unet: got an unexpected keyword"),
        (["unet", "x=unet", "--set", "x.classes=5"], "x: the network gives 5 classes, the data"),
        (
            ["unet", "x=unet", "--set", "x.depth=9"],
            "x: crop is 96, but the network takes 512 x 512 at",
        ),
        (["unet", "--epochs", "2", "--seconds", "3"], "--epochs and --seconds are two budgets"),
        (["unet", "--seconds", "0"], "--seconds must be positive"),
        (["unet", "--turns", "1"], "--turns must be at least 2, got 1"),
        (["unet", "--out", "out.png"], "--out out.png: is a folder"),
    ],
)
def test_what_cannot_be_compared(tmp_path, monkeypatch, capsys, argv, message):
    monkeypatch.chdir(tmp_path)
    assert main(["compare", "--count", "4", "--size", "16", "--out", "out", *argv]) == 2
    shown = capsys.readouterr().err
    assert re.match(f"numseg compare: error: {message}", shown), shown
    assert shown.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_network_has_losses_of_its_own(tmp_path, capsys):
    nets = ["unet", "two.heads=fcn_resnet50", "--set", "width=1", "--set", "two.heads.aux=true"]
    nets += ["--set", "unet.depth=1"]
    argv = ["compare", *nets, *DATA, "--epochs", "1", "--out", str(tmp_path / "out")]
    assert main([*argv, "--loss", "dice_loss"]) == 2  # one for both: an output would have none
    assert "two.heads: " in capsys.readouterr().err
    argv += ["--loss", "dice_loss", "--loss", "two.heads.cross_entropy"]
    assert main([*argv, "--loss", "two.heads.cross_entropy@1=0.5"]) == 0
    assert main([*argv, "--loss", "two.heads.cross_entropy@1=0.4", "--resume"]) == 2
    assert "two.heads was ['cross_entropy', 'cross_entropy@1=0.5'], now" in capsys.readouterr().err
    told = {label: load_checkpoint(tmp_path / "out" / f"{label}.safetensors").about["recipe"]
            for label in ("unet", "two.heads")}  # fmt: skip
    assert told["unet"]["loss"] == "dice_loss"
    terms = [(t["operator"], t["weight"], t["output"]) for t in told["two.heads"]["loss"]]
    assert terms == [("cross_entropy", 1.0, 0), ("cross_entropy", 0.5, 1)]
    record = json.loads((tmp_path / "out" / "compare.json").read_text())
    assert record["networks"]["two.heads"]["loss"] == ["cross_entropy", "cross_entropy@1=0.5"]
    assert "loss" not in record["networks"]["unet"]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--epochs", "3"], r"budget was {'epochs': 2}, now it is {'epochs': 3}"),
        (["--epochs", "2", "--lr", "0.5"], "recipe was"),
        (["--epochs", "2", "--set", "wide.width=4"], "wide was .*'width': 3.*now it is .*"),
    ],
)
def test_another_comparison_is_refused(compared, tmp_path, capsys, argv, message):
    out = tmp_path / "out"
    shutil.copytree(compared, out)
    assert main([*COMPARE, *argv, "--out", str(out), "--resume"]) == 2
    shown = capsys.readouterr().err
    assert re.search(f"compare.json is of another comparison: {message}", shown), shown
