"""What a run leaves behind for other programs: histories, and logs for TensorBoard."""

from __future__ import annotations

import csv
import dataclasses
import json
import struct

import pytest

from numseg import ArgumentError, FileError, MissingExtra
from numseg.data import scenes
from numseg.training import (
    Recipe,
    Sampling,
    TensorBoard,
    load_checkpoint,
    logs,
    train,
    write_history,
)

NET = {"name": "unet", "in_channels": 3, "classes": 8, "width": 2, "depth": 1, "padding": "same"}
RECIPE = Recipe(epochs=2, schedule="constant", sampling=Sampling(crop=16, batch=2))


@pytest.fixture(scope="module")
def data():
    both = scenes(6, size=16, seed=0)
    return tuple(
        dataclasses.replace(both, samples=part) for part in (both.samples[:4], both.samples[4:])
    )


def test_a_history_is_a_table_of_numbers(data, tmp_path):
    table, lines = tmp_path / "h.csv", tmp_path / "h.jsonl"
    trained = train(NET, *data, RECIPE, history=table)
    write_history(lines, trained.history, data[0].classes)
    with open(table, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    objects = [json.loads(line) for line in lines.read_text().splitlines()]
    for row, found, entry in zip(rows, objects, trained.history, strict=True):
        assert float(row["loss"]) == found["loss"] == entry["loss"]
        assert found["frequency_weighted_iou"] == entry["frequency_weighted_iou"]
        for name, iou in zip(data[0].classes, entry["class_iou"], strict=True):
            assert found[f"class_iou.{name}"] == iou
            assert row[f"class_iou.{name}"] == ("" if iou is None else repr(iou))


def test_a_history_is_whole_after_a_stop(data, tmp_path):
    """Killed between a checkpoint and its line, too."""
    path, table = tmp_path / "c.safetensors", tmp_path / "h.jsonl"
    train(NET, *data, dataclasses.replace(RECIPE, epochs=1), checkpoint=path)
    assert not table.exists()
    train(NET, *data, dataclasses.replace(RECIPE, epochs=1), checkpoint=path, resume=True,
          history=table)  # fmt: skip
    assert len(table.read_text().splitlines()) == 1
    train(NET, *data, RECIPE, checkpoint=path, resume=True, history=table)
    assert len(table.read_text().splitlines()) == 2
    assert len(load_checkpoint(path).history) == 2
    # an epoch of before has fewer numbers
    old = [{"loss": 1.0}, *load_checkpoint(path).history]
    write_history(tmp_path / "h.csv", old, data[0].classes)
    assert (tmp_path / "h.csv").read_text().splitlines()[1].startswith("1,1.0,,")


def test_a_history_that_cannot_be_written_is_found_before_the_work(data, tmp_path):
    with pytest.raises(ArgumentError, match=r"h.txt: ends in '.txt', not .csv or .jsonl"):
        train(NET, *data, RECIPE, history=tmp_path / "h.txt")
    with pytest.raises(FileError, match="cannot write"):
        train(NET, *data, RECIPE, history="/proc/h.csv")


def _events(folder):
    """(step, name, value) of all records in a folder's event files: length, its checksum, the
    record, its checksum."""
    event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2")
    found = []
    for path in sorted(folder.iterdir()):
        content, at = path.read_bytes(), 0
        while at < len(content):
            (length,) = struct.unpack("<Q", content[at : at + 8])
            event = event_pb2.Event.FromString(content[at + 12 : at + 12 + length])
            found += [(event.step, v.tag, v.simple_value) for v in event.summary.value]
            at += length + 16
    return found


def test_tensorboard_reads_what_every_step_and_epoch_gave(data, tmp_path):
    pytest.importorskip("tensorboardX")
    recipe = dataclasses.replace(RECIPE, clip_norm=1.0, schedule="poly")
    seen = []
    log = TensorBoard(tmp_path, data[0].classes)

    def report(epoch):
        seen.append(epoch)
        log(epoch)

    train(NET, *data, recipe, report=report)
    log.close()
    found = _events(tmp_path)
    by_name = {}
    for step, name, value in found:
        by_name.setdefault(name, []).append((step, value))
    steps = [step for epoch in seen for step in epoch.steps]
    assert [at for at, _ in by_name["train/loss"]] == [1, 2, 3, 4]
    for name, expected in (
        ("train/loss", [step.loss for step in steps]),
        ("train/lr", [step.lr for step in steps]),
        ("train/gradient_norm", [step.norm for step in steps]),
        ("held_out/mean_iou", [epoch.scores.mean_iou for epoch in seen]),
        ("held_out/frequency_weighted_iou", [e.scores.frequency_weighted_iou for e in seen]),
    ):
        assert [value for _, value in by_name[name]] == pytest.approx(expected, rel=1e-6)
    assert "class_iou/sky" in by_name


def test_the_extra_that_logs_need_is_named(tmp_path, monkeypatch):
    def missing(module, package, extra, purpose):
        raise MissingExtra(package, extra, purpose)

    monkeypatch.setattr(logs, "optional", missing)
    with pytest.raises(MissingExtra, match=r"needs tensorboardX, .* pip install 'numseg\[logs\]'"):
        TensorBoard(tmp_path / "logs", ("a",))
    assert not (tmp_path / "logs").exists()
