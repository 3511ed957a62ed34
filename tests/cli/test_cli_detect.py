"""``numseg detect``, and ``train`` and ``evaluate`` of detectors."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from numseg.cli import main
from numseg.cli._found import drawn, run_lengths
from numseg.data import Detections, Instances, as_input, encode_image, read_image, scene_instances
from numseg.interop import weights as files
from numseg.training import detect_each, detection_scores, load_checkpoint, load_detector

SETTINGS = {
    "image_size": "16", "grid": "2", "layers": "[[[3,64]],[[3,64,2]]]", "width": "4",
    "hidden": "8", "norm": "batch_norm", "score_threshold": "-10",
}  # fmt: skip
TABLE = r"^  held out +AP50\n  sun +\S+\n  tree +\S+\n  house +\S+\n  mean"
NET = ["--net", "yolov1", *(f"--set={name}={value}" for name, value in SETTINGS.items())]
SCENES = ["--count", "5", "--size", "32"]
TRAIN = ["train", "scenes", "--task", "detection", *SCENES, *NET, "--batch", "2"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a trained detector."""
    folder = tmp_path_factory.mktemp("run") / "yolo"
    assert main([*TRAIN, "--epochs", "2", "--overlays", "1", "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def weights(run):
    return str(run / "checkpoint.safetensors")


def voc(root, data, split, names):
    """Pictures in the layout of VOC."""
    for part in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (root / part).mkdir(parents=True, exist_ok=True)
    for name, (image, there, _) in zip(names, data, strict=True):
        (root / "JPEGImages" / f"{name}.png").write_bytes(encode_image(image))
        objects = "".join(
            f"<object><name>{data.classes[label]}</name><bndbox><xmin>{x0 + 1}</xmin>"
            f"<ymin>{y0 + 1}</ymin><xmax>{x1}</xmax><ymax>{y1}</ymax></bndbox></object>"
            for label, (x0, y0, x1, y1) in zip(there.labels, there.boxes, strict=True)
        )
        (root / "Annotations" / f"{name}.xml").write_text(f"<annotation>{objects}</annotation>")
    (root / "ImageSets" / "Main" / f"{split}.txt").write_text("\n".join(names))


def coco(path, folder, data):
    """The same as a COCO file, without masks of other forms than boxes."""
    folder.mkdir(exist_ok=True)
    images, objects = [], []
    for i, (image, there, _) in enumerate(data):
        (folder / f"{i}.png").write_bytes(encode_image(image))
        rows, columns = image.shape[1:]
        images.append({"id": i, "file_name": f"{i}.png", "height": rows, "width": columns})
        for k, (x0, y0, x1, y1) in enumerate(there.boxes.tolist()):
            objects.append({
                "id": len(objects), "image_id": i, "category_id": int(there.labels[k]),
                "bbox": [x0, y0, x1 - x0, y1 - y0], "area": float(there.areas[k]), "iscrowd": 0,
                "segmentation": run_lengths(there.masks[k]),
            })  # fmt: skip
    categories = [{"id": c, "name": name} for c, name in enumerate(data.classes) if c]
    content = {"images": images, "annotations": objects, "categories": categories}
    path.write_text(json.dumps(content))


def test_training(tmp_path, run, capsys):
    assert main([*TRAIN, "--epochs", "2", "--out", str(tmp_path / "again")]) == 0
    shown = capsys.readouterr()
    assert len(re.findall(r"^epoch +\d  loss \d+\.\d{4}  AP50 0\.\d{4}$", shown.out, re.M)) == 2
    assert re.search(TABLE, shown.out, re.M)
    assert "object=" in shown.err  # a part of the loss, in the progress bar
    name = "checkpoint.safetensors"
    assert (tmp_path / "again" / name).read_bytes() == (run / name).read_bytes()
    (overlay,) = (run / "overlays").iterdir()
    assert read_image(overlay).shape == (3, 480, 2 * 480 + 4)


def test_a_killed_run_goes_on_with_the_same_bits(tmp_path):
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    command = [sys.executable, "-m", "numseg", *TRAIN, "--epochs", "8", "--resume", "--out"]
    with subprocess.Popen(
        [*command, killed], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        while _epochs(killed) < 2:
            assert process.poll() is None
            time.sleep(0.002)
        os.kill(process.pid, signal.SIGKILL)
    assert 2 <= _epochs(killed) < 8
    for folder in (killed, whole):
        assert main([*TRAIN, "--epochs", "8", "--resume", "--out", str(folder)]) == 0
    name = "checkpoint.safetensors"
    assert (killed / name).read_bytes() == (whole / name).read_bytes()


def _epochs(folder):
    path = folder / "checkpoint.safetensors"
    return load_checkpoint(path).epoch if path.is_file() else 0


def test_a_picture(tmp_path, weights, capsys):
    data = scene_instances(1, size=(20, 30), seed=9)
    picture, out = tmp_path / "p.png", tmp_path / "found.png"
    picture.write_bytes(encode_image(data[0].image))
    tables = ["--json", str(tmp_path / "f.json"), "--csv", str(tmp_path / "f.csv")]
    argv = ["detect", str(picture), "--weights", weights, "--out", str(out), *tables]
    assert main([*argv, "--threshold=-10"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[:3] == [str(out), str(tmp_path / "f.json"), str(tmp_path / "f.csv")]
    detector, kept = load_detector(weights)
    found = detector.detect(kept.params, [as_input(data[0].image, 3)])[0]
    found = found.take(found.scores >= -10)
    assert len(found) > 0
    (record,) = json.loads((tmp_path / "f.json").read_text())
    assert (record["image"], record["size"]) == (str(picture), [20, 30])
    assert [one["score"] for one in record["detections"]] == found.scores.tolist()
    assert [one["box"] for one in record["detections"]] == found.boxes.tolist()
    labels = [data.classes[c] for c in found.labels]
    assert [one["label"] for one in record["detections"]] == labels
    assert len(shown) == 3 + len(found)
    with open(tmp_path / "f.csv", newline="") as handle:
        lines = list(csv.DictReader(handle))
    assert [float(line["x1"]) for line in lines] == found.boxes[:, 2].tolist()
    image = read_image(out)
    assert image.shape == (3, 320, 480)
    assert main([*argv, "--threshold=-10", "--most", "1"]) == 0
    assert len(json.loads((tmp_path / "f.json").read_text())[0]["detections"]) == 1
    assert main([*argv, "--threshold", "2"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "  nothing is found"


def test_a_folder(tmp_path, weights, capsys):
    folder = tmp_path / "photos"
    folder.mkdir()
    for i, sample in enumerate(scene_instances(2, size=24, seed=1)):
        (folder / f"{i}.png").write_bytes(encode_image(sample.image))
    (folder / "broken.png").write_bytes(b"no picture")
    out, table = tmp_path / "found", tmp_path / "f.json"
    argv = ["detect", str(folder), "--weights", weights, "--out", str(out), "--json", str(table)]
    assert main(argv) == 2
    shown = capsys.readouterr()
    assert "numseg detect: error: 1 of 3 pictures were not looked at" in shown.err
    assert sorted(path.name for path in out.iterdir()) == ["0.png", "1.png"]
    assert [one["image"] for one in json.loads(table.read_text())] == [
        str(folder / "0.png"), str(folder / "1.png")
    ]  # fmt: skip
    assert main([*argv[:4], "--out", str(folder)]) == 2
    assert "pictures of objects would be written among the pictures" in capsys.readouterr().err


def test_weights_that_others_wrote(tmp_path, weights, capsys):
    file, picture = tmp_path / "w.npz", tmp_path / "p.png"
    picture.write_bytes(encode_image(scene_instances(1, size=16)[0].image))
    files.save(file, load_checkpoint(weights).params)
    argv = ["detect", str(picture), "--weights", str(file), "--json", str(tmp_path / "f.json")]
    assert main(argv) == 2
    assert "--net says for which detector" in capsys.readouterr().err
    argv += [*NET, "--set=classes=4"]
    assert main(argv) == 2
    assert "finds 4 classes, the background included, but VOC has 21" in capsys.readouterr().err
    assert main([*argv, "--classes", "background,sun,tree,house"]) == 0
    assert main([*argv[:-1], "--set=classes=3", "--classes", "b,c,d"]) == 2
    assert "fc2.weight has shape" in capsys.readouterr().err


def test_a_report(tmp_path, weights, capsys):
    out = tmp_path / "report"
    argv = ["evaluate", weights, "scenes", *SCENES, "--coco", "--out", str(out), "--worst", "2"]
    assert main(argv) == 0
    shown = capsys.readouterr().out
    data = scene_instances(6, size=32)
    detector, kept = load_detector(weights)
    held = type(data)(data.samples[5:], data.classes)
    found = list(detect_each(detector, kept.params, held))
    scored = detection_scores([s.instances for s in held], found, 4)
    entry = json.loads((out / "evaluation.json").read_text())
    np.testing.assert_equal(entry["ap50"], scored.ap50)
    assert re.search(r"held out +AP50 +COCO AP\n", shown)
    assert "AR 100" in shown
    for name in ("precision_recall.png", "mistakes.png"):
        assert read_image(out / name).shape[0] == 3
        assert str(out / name) in shown


def test_folders_and_files(tmp_path, capsys):
    data = scene_instances(5, size=32, seed=2)
    parts = [type(data)(data.samples[part], data.classes) for part in (slice(3), slice(3, None))]
    for part, split, names in zip(parts, ("train", "val"), ("abc", "de"), strict=True):
        voc(tmp_path / "voc", part, split, list(names))
        coco(tmp_path / f"{split}.json", tmp_path / f"{split}-pictures", part)
    usual = ["--task", "detection", *NET, "--epochs", "1", "--batch", "2"]
    classes = ["--classes", ",".join(data.classes)]
    voc_argv = ["train", str(tmp_path / "voc"), *usual, *classes, "--out", str(tmp_path / "v")]
    assert main(voc_argv) == 0
    held = ["--held-out", str(tmp_path / "val.json")]
    pictures = ["--pictures", str(tmp_path / "train-pictures")]
    held_pictures = ["--held-out-pictures", str(tmp_path / "val-pictures")]
    argv = ["train", str(tmp_path / "train.json"), *usual, "--out", str(tmp_path / "c")]
    assert main(argv) == 2
    assert "--pictures says where its are" in capsys.readouterr().err
    assert main([*argv, *pictures]) == 2
    assert "--held-out says on which file to score" in capsys.readouterr().err
    assert main([*argv, *pictures, *held, *held_pictures]) == 0
    one, other = (load_checkpoint(tmp_path / n / "checkpoint.safetensors") for n in "vc")
    assert one.history == other.history
    capsys.readouterr()
    own = [str(tmp_path / "c" / "checkpoint.safetensors")]
    pair = str(tmp_path / "val.json"), "--pictures", str(tmp_path / "val-pictures")
    assert main(["evaluate", *own, *pair]) == 0
    table = capsys.readouterr().out
    assert main(["evaluate", *own, str(tmp_path / "voc")]) == 0
    assert capsys.readouterr().out == table


DETECT = ["detect", "p.png", "--weights", "w.safetensors"]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["train", "scenes", "--task", "detection", "--out", "x"], "--task detection wants"),
        (["train", "scenes", "--net", "yolov1", "--out", "x"], "--net yolov1 is a detector"),
        ([*TRAIN, "--loss", "dice_loss", "--out", "x"], "--loss is for segmentation, not"),
        ([*TRAIN, "--turn", "--out", "x"], "--turn is for segmentation, not for a detector"),
        ([*TRAIN, "--light", "0.1", "--out", "x"], "--light is for segmentation, not"),
        ([*TRAIN, "--device", "cuda", "--out", "x"], "device is 'cuda', but "),
        ([*TRAIN, "--label-map", "0=1", "--out", "x"], "--label-map is for segmentation, not for"),
        ([*TRAIN, "--pictures", "p", "--out", "x"], "--pictures is for files in COCO's form"),
        (["train", "coins", "--task", "detection", *NET, "--out", "x"], "coins have labels"),
        (["train", "scenes", "--min-visible", "0.5", "--out", "x"], "--min-visible is for"),
        (DETECT, "nothing to write to: give --out, --json or --csv"),
        ([*DETECT, "--out", "f.jpg"], "--out f.jpg: a picture ends in .png, not in .jpg"),
        ([*DETECT, "--json", "f.csv"], "--json f.csv: it ends in .json, not in .csv"),
        ([*DETECT, "--out", "p.png"], "p.png would be written over p.png"),
        ([*DETECT, "--out", "f.png", "--most", "-1"], "--most must be at least 0, got -1"),
        ([*DETECT, "--out", "f.png", "--threshold", "nan"], "--threshold must lie in"),
        ([*DETECT, "--out", "f.png"], "w.safetensors: no such file"),
        (["evaluate", "w.safetensors", "scenes"], "w.safetensors: no such file"),
    ],
)
def test_what_cannot_be_done(tmp_path, monkeypatch, capsys, argv, message):
    monkeypatch.chdir(tmp_path)
    assert main(argv) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert shown.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_networks_and_detectors_are_told_apart(tmp_path, weights, capsys):
    assert main(["evaluate", weights, "scenes", *SCENES, "--boundary"]) == 2
    assert "--boundary is for segmentation, not for a detector" in capsys.readouterr().err
    picture = tmp_path / "p.png"
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(picture)
    out = ["--out", str(tmp_path / "m.png")]
    assert main(["segment", str(picture), "--weights", weights, *out]) == 2
    assert "is of a detector, not of a network that segments" in capsys.readouterr().err
    other = str(tmp_path / "unet")
    tiny = ["--count", "2", "--size", "16", "--crop", "16", "--epochs", "1", "--width", "2"]
    assert main(["train", "scenes", *tiny, "--depth", "1", "--out", other]) == 0
    capsys.readouterr()
    unet = f"{other}/checkpoint.safetensors"
    assert main(["detect", str(picture), "--weights", unet, *out]) == 2
    assert "is of a network that segments, not of a detector" in capsys.readouterr().err
    assert main(["evaluate", unet, "scenes", "--count", "2", "--size", "16", "--coco"]) == 2
    assert "--coco is for detectors, not for a network that segments" in capsys.readouterr().err


# -- drawings and records ---------------------------------------------------------------------


def test_masks_are_tinted_and_boxes_drawn_enlarged():
    image = np.zeros((1, 40, 60), np.uint8)
    mask = np.zeros((1, 40, 60), bool)
    mask[0, 30:36, 40:50] = True
    found = Detections([[10, 20, 55, 38]], [1], [0.75], masks=mask)
    picture = drawn(image, found, ("background", "a"))
    assert picture.shape == (3, 320, 480)
    assert picture[:, 33 * 8, 45 * 8].tolist() == [64, 20, 20]  # half of (128, 40, 40)
    assert picture[:, 34 * 8, 30 * 8].tolist() == [0, 0, 0]
    assert picture[:, 25 * 8, 10 * 8].tolist() == [128, 40, 40]
    bare = drawn(image, Instances([[10, 20, 55, 38]], [1]), ("background", "a"))
    assert bare.shape == picture.shape
    large = drawn(np.zeros((3, 500, 20), np.uint8), Instances(np.zeros((0, 4)), []), ("b",))
    assert large.shape == (3, 500, 20)


def test_run_lengths_by_hand():
    mask = np.array([[1, 0, 1], [1, 0, 0]], bool)
    assert run_lengths(mask) == {"size": [2, 3], "counts": [0, 2, 2, 1, 1]}
    assert run_lengths(~mask)["counts"] == [2, 2, 1, 1]
    assert run_lengths(np.zeros((2, 2), bool))["counts"] == [4]
