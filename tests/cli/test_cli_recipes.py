"""The options of ``numseg train`` that say how, and what evaluate makes of it."""

from __future__ import annotations

import json
import re

import pytest

from numseg.cli import main
from numseg.training import load_checkpoint

TINY = ["--crop", "16", "--width", "2", "--depth", "1", "--epochs", "1"]
SCENES = ["train", "scenes", "--count", "4", "--size", "16", *TINY]
CHECKPOINT = "checkpoint.safetensors"

EVERYTHING = [
    *("--optimiser", "sgd", "--optimiser-set", "momentum=0.5", "--weight-decay", "0.001"),
    *("--schedule", "poly", "--schedule-set", "power=1", "--warm-up", "1", "--warm-up-start", "0"),
    *("--group", "*.bias:lr=2,weight_decay=0", "--group", "head.*:lr=10", "--freeze", "enc1.conv*"),
    *("--balance", "median_frequency", "--accumulate", "2", "--batch", "1", "--clip-norm", "1"),
    *("--clip-value", "0.5", "--average", "0.5", "--score-average", "--crop", "16x24"),
    *("--scale", "0.5,2", "--no-flip", "--brightness", "0.1", "--contrast", "0.1"),
    *("--saturation", "0.1", "--hue", "0.05", "--workers", "2", "--loss", "cross_entropy@0=2"),
]


def test_what_the_options_say_is_the_recipe(tmp_path, capsys):
    out = tmp_path / "run"
    history = ["--history", str(out / "history.csv")]
    assert main([*SCENES, *EVERYTHING, *history, "--freeze-norms", "--out", str(out)]) == 0
    assert "by frequency" in capsys.readouterr().out
    found = load_checkpoint(out / CHECKPOINT)
    recipe = found.about["recipe"]
    sampling = recipe.pop("sampling")
    assert recipe == {
        "epochs": 1, "optimiser": "sgd", "optimiser_arguments": {"momentum": 0.5}, "lr": 0.002,
        "weight_decay": 0.001, "schedule": "poly", "schedule_arguments": {"power": 1},
        "warm_up": 1, "warm_up_start": 0.0, "balance": "median_frequency", "accumulate": 2,
        "groups": {"*.bias": {"lr": 2.0, "weight_decay": 0.0}, "head.*": {"lr": 10.0}},
        "frozen": ["enc1.conv*"], "frozen_norms": ["*"], "clip_norm": 1.0, "clip_value": 0.5,
        "average": 0.5, "score_average": True, "loss_arguments": {},
        "loss": [{"operator": "cross_entropy", "weight": 2.0, "arguments": {}, "output": 0}],
    }  # fmt: skip
    assert sampling == {
        "crop": [16, 24], "batch": 1, "repeat": 1, "flip": False, "turn": False, "light": 0.1,
        "seed": 0, "scale": [0.5, 2.0], "brightness": 0.1, "contrast": 0.1, "saturation": 0.1,
        "hue": 0.05,
    }  # fmt: skip
    assert len((out / "history.csv").read_text().splitlines()) == 2
    assert not any(".norm" in name or "enc1.conv" in name for name in found.state)

    data = ["scenes", "--count", "4", "--size", "16"]
    report = ["--boundary", "0.05", "--average", "--out", str(tmp_path / "report")]
    assert main(["evaluate", str(out / CHECKPOINT), *data, *report]) == 0
    shown = capsys.readouterr().out
    written = json.loads((tmp_path / "report" / "evaluation.json").read_text())
    assert written["mean_iou"] == found.history[-1]["mean_iou"]  # which the average was scored by
    assert written["boundary_tolerance"] == 0.05
    assert 0 <= written["mean_boundary_f1"] <= 1
    assert len(written["class_boundary_f1"]) == 8
    assert re.search(r"held out +IoU +accuracy +boundary F1\n", shown)
    assert re.search(rf"all +0\.\d+ +0\.\d+ +{written['mean_boundary_f1']:.3f}\n", shown)

    # another head, begun with the rest of these
    again = [*SCENES, "--weights", str(out / CHECKPOINT), "--fresh", "head.*"]
    assert main([*again, "--lr", "0", "--out", str(tmp_path / "other")]) == 0
    other = load_checkpoint(tmp_path / "other" / CHECKPOINT)
    name = "mid.conv1.weight"
    assert other.params[name].tobytes() == found.params[name].tobytes()
    assert other.params["head.weight"].tobytes() != found.params["head.weight"].tobytes()


def test_logs_for_tensorboard(tmp_path):
    pytest.importorskip("tensorboardX")
    assert main([*SCENES, "--logs", str(tmp_path / "logs"), "--out", str(tmp_path / "run")]) == 0
    (events,) = (tmp_path / "logs").iterdir()
    assert b"held_out/mean_iou" in events.read_bytes()


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--schedule-set", "power=1"], "schedule cosine: got an unexpected keyword"),
        (["--schedule", "step"], "schedule step: missing a required argument: 'step_size'"),
        (["--warm-up-start", "0.1"], "--warm-up-start is for --warm-up, which is 0"),
        (["--warm-up", "9"], "warm_up is 9 steps, but the run has 1"),
        (["--group", "lr=2"], "--group wants PATTERN:NAME=FACTOR,..., got 'lr=2'"),
        (["--group", "*:speed=2"], r"what groups\['\*'\] multiplies must be one of"),
        (["--group", "dec9.*:lr=2"], r"groups: 'dec9.\*' matches none"),
        (["--freeze", "encoder"], "frozen: 'encoder' matches none"),
        (["--no-norm", "--freeze-norms"], "frozen_norms: the network has no batch norm"),
        (["--score-average"], "score_average is True, but average is 0"),
        (["--balance", "inverse_frequency", "--loss", "dice_loss"], "balance is 'inverse_freq"),
        (["--fresh", "head.*"], "fresh is .*, but no weights are given"),
        (["--weights", "nowhere.safetensors"], "nowhere.safetensors: no such file"),
        (["--loss", "cross_entropy@x"], "--loss wants NAME"),
        (["--loss", "cross_entropy@1"], "a loss scores output 1, the graph's last is 0"),
        (["--history", "h.txt"], "history h.txt: ends in '.txt', not .csv or .jsonl"),
        (["--logs", "logs.json"], "--logs logs.json: is a folder"),
        (["--workers", "-1"], "workers must be at least 0, got -1"),
        (["--scale", "2,1"], "scale goes from 2.0 to 1.0"),
        (["--crop", "16x8", "--turn"], "turn lays pieces on their side"),
    ],
)
def test_options_that_do_not_apply_are_said(tmp_path, monkeypatch, capsys, argv, message):
    monkeypatch.chdir(tmp_path)
    assert main([*SCENES, *argv, "--out", "x"]) == 2
    shown = capsys.readouterr().err
    assert re.match(f"numseg train: error: {message}", shown), shown
    assert shown.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_averages_that_a_checkpoint_has_not(tmp_path, capsys):
    assert main([*SCENES, "--out", str(tmp_path)]) == 0
    path = str(tmp_path / CHECKPOINT)
    assert main(["evaluate", path, "scenes", "--count", "4", "--size", "16", "--average"]) == 2
    assert "has no moving averages: its recipe had no average" in capsys.readouterr().err
