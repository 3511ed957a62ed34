"""Detectors are trained by the loop that trains networks."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from numseg import ArgumentError, FileError, num_threads
from numseg.data import (
    DetectionDataset,
    Detections,
    DetectionSample,
    Instances,
    as_input,
    scene_instances,
    scenes,
)
from numseg.detectors import yolov1
from numseg.training import (
    DetectionSampling,
    Recipe,
    Sampling,
    TensorBoard,
    average_precision,
    detect_each,
    detection_batches,
    detection_scores,
    load_checkpoint,
    load_detector,
    load_network,
    make_detector,
    train,
    write_history,
)

NET = {
    "name": "yolov1", "in_channels": 3, "classes": 4, "image_size": 16, "grid": 2,
    "layers": [[[3, 64]], [[3, 64, 2]]], "width": 4, "hidden": 8, "norm": "batch_norm",
}  # fmt: skip
HOW = DetectionSampling(batch=2, brightness=0.2, scale=(0.8, 1.2), crop=24)
RECIPE = Recipe(epochs=3, lr=1e-2, sampling=HOW)


@pytest.fixture(scope="module")
def data():
    both = scene_instances(7, size=32, seed=3)
    return tuple(
        dataclasses.replace(both, samples=part) for part in (both.samples[:5], both.samples[5:])
    )


def _same(one, other):
    assert sorted(one) == sorted(other)
    for name in one:
        assert one[name].tobytes() == other[name].tobytes(), name


def test_a_run(data, tmp_path):
    seen = []
    path = tmp_path / "checkpoint.safetensors"
    trained = train(NET, *data, RECIPE, checkpoint=path, report=seen.append)
    assert [epoch.epoch for epoch in seen] == [1, 2, 3]
    last = trained.history[-1]
    parts = ["position", "size", "object", "no_object", "class"]
    assert list(last) == ["loss", *(f"loss_{name}" for name in parts), "ap50", "class_ap50"]
    assert last["loss"] == pytest.approx(sum(last[f"loss_{name}"] for name in parts))
    assert trained.history[0]["loss"] > last["loss"]
    assert len(seen[0].steps) == 3
    step = seen[0].steps[0]
    assert step.loss == pytest.approx(sum(step.terms.values()))
    detector, kept = load_detector(path)
    _same(kept.params, trained.params)
    found = list(detect_each(detector, kept.params, data[1]))
    truth = [sample.instances for sample in data[1]]
    scored = average_precision(truth, found, 4)
    np.testing.assert_equal(last["ap50"], scored.mean)
    assert kept.about["task"] == "detection"
    assert "loss" not in kept.about["recipe"]


def test_a_stopped_run_goes_on_with_the_same_bits(data, tmp_path):
    recipe = dataclasses.replace(RECIPE, average=0.5, accumulate=2, clip_norm=5.0, warm_up=1)
    whole = train(NET, *data, recipe)
    path = tmp_path / "checkpoint.safetensors"

    def stop(result):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(NET, *data, recipe, checkpoint=path, report=stop)
    assert load_checkpoint(path).epoch == 1
    resumed = train(NET, *data, recipe, checkpoint=path, resume=True, workers=2)
    _same(resumed.params, whole.params)
    _same(resumed.average, whole.average)
    assert resumed.history == whole.history
    _same(load_detector(path, average=True)[1].params, whole.average)
    other = dataclasses.replace(HOW, min_visible=0.5)
    with pytest.raises(ArgumentError, match=r"recipe.sampling.min_visible was 0.0, now it is 0.5"):
        train(NET, *data, dataclasses.replace(recipe, sampling=other), checkpoint=path, resume=True)
    with pytest.raises(ArgumentError, match=r"net.hidden was 8, now it is 9"):
        train(NET | {"hidden": 9}, *data, recipe, checkpoint=path, resume=True)


def test_equal_bits_for_any_number_of_threads(data):
    runs = []
    for threads in (1, 2):
        with num_threads(threads):
            runs.append(train(NET, *data, RECIPE))
    _same(runs[0].params, runs[1].params)
    assert runs[0].history == runs[1].history


def test_batches_are_of_any_sizes_and_of_chance(data):
    how = DetectionSampling(batch=2, scale=(0.5, 2.0), repeat=2)
    found = list(detection_batches(data[0], how, 3, 0))
    assert [len(batch.images) for batch in found] == [2] * 5
    assert len({image.shape for batch in found for image in batch.images}) > 3
    again = list(detection_batches(data[0], how, 3, 0, workers=2))
    for one, other in zip(found, again, strict=True):
        for a, b in zip(one.images, other.images, strict=True):
            assert a.tobytes() == b.tobytes()
    later = next(detection_batches(data[0], how, 3, 1))
    assert later.images[0].tobytes() != found[0].images[0].tobytes()


def test_weights_to_start_with(data, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    recipe = dataclasses.replace(RECIPE, epochs=1, frozen=["conv*"])
    trained = train(NET, *data, recipe, checkpoint=path)
    started = []
    recipe = dataclasses.replace(recipe, lr=1e-9)
    begun = train(NET, *data, recipe, weights=path, fresh=["fc2.*"], report=started.append)
    assert begun.params["conv1.weight"].tobytes() == trained.params["conv1.weight"].tobytes()
    np.testing.assert_allclose(begun.params["fc1.weight"], trained.params["fc1.weight"], atol=1e-6)
    assert abs(begun.params["fc2.weight"] - trained.params["fc2.weight"]).max() > 1e-3
    with pytest.raises(ArgumentError, match=r"fc1.weight has shape"):
        train(NET | {"hidden": 9}, *data, recipe, weights=path)


def test_records(data, tmp_path):
    recipe = dataclasses.replace(RECIPE, epochs=1)
    logs = TensorBoard(tmp_path / "logs", data[0].classes)
    trained = train(NET, *data, recipe, history=tmp_path / "run.csv", report=logs)
    logs.close()
    head, line = (tmp_path / "run.csv").read_text().splitlines()
    assert head.startswith("epoch,loss,loss_position,loss_size,")
    assert head.endswith("class_ap50.sun,class_ap50.tree,class_ap50.house")
    assert line.count(",") == head.count(",")
    write_history(tmp_path / "run.jsonl", trained.history, data[0].classes)
    (events,) = (tmp_path / "logs").iterdir()
    content = events.read_bytes()
    assert all(tag in content for tag in (b"train/loss_object", b"held_out/ap50"))


def test_masks_are_scored_where_there_are_any():
    mask = np.zeros((1, 4, 4), bool)
    mask[0, :2, :2] = True
    truth = [Instances([[0, 0, 2, 2]], [1], masks=mask)]
    wide = np.ones((1, 4, 4), bool)
    found = [Detections([[0, 0, 2, 2]], [1], [0.9], masks=wide)]
    scored = detection_scores(truth, found, 2)
    assert (scored.ap50, scored.mask_ap50) == (1.0, 0.0)
    scored = detection_scores(truth, [Detections([[0, 0, 2, 2]], [1], [0.9])], 2)
    assert (scored.mask_ap50, scored.class_mask_ap50) == (None, None)


def test_a_detector_itself_trains_but_is_in_no_checkpoint(data, tmp_path):
    arguments = {name: value for name, value in NET.items() if name != "name"}
    recipe = dataclasses.replace(RECIPE, epochs=1)
    _same(train(yolov1(**arguments), *data, recipe).params, train(NET, *data, recipe).params)
    with pytest.raises(ArgumentError, match="holds how to make it, got YoloV1: give its name"):
        train(yolov1(**arguments), *data, recipe, checkpoint=tmp_path / "c.safetensors")


@pytest.mark.parametrize(
    ("net", "recipe", "message"),
    [
        (NET, {"sampling": Sampling()}, "sampling is Sampling, but detectors are trained with Det"),
        (NET, {"loss": "dice_loss"}, "loss is 'dice_loss', but a detector has losses and norms"),
        (NET, {"balance": "median_frequency"}, "balance is 'median_frequency', but a detector"),
        (NET, {"frozen_norms": ["*"]}, "frozen_norms is .*, but a detector has losses and norms"),
        (NET, {"frozen": ["nothing"]}, "frozen: 'nothing' matches none of the parameters"),
        (NET, {"frozen": ["*"]}, "parameters are frozen: nothing is left to train"),
        (NET | {"classes": 5}, {}, "the detector finds 5 classes, the data has 4"),
        (NET | {"in_channels": 1, "colour": 1}, {}, "yolov1: got an unexpected keyword"),
        (NET | {"name": "yolo"}, {}, "net must be one of .*'yolov1', or module:name, got 'yolo'"),
        (NET, {"lr": 1e30, "optimiser": "sgd"}, "is not finite .epoch 1.: lower the learning rate"),
    ],
)
def test_what_does_not_fit(data, net, recipe, message):
    with pytest.raises(ArgumentError, match=message):
        train(net, *data, dataclasses.replace(RECIPE, **recipe))


def test_pictures_that_do_not_fit(data):
    empty = Instances(np.zeros((0, 4)), [])
    bare = [DetectionSample(s.image, empty, s.name) for s in data[0]]
    with pytest.warns(UserWarning, match="none of the 5 pictures to train on has an object"):
        train(NET, DetectionDataset(bare, data[0].classes), data[1], RECIPE)
    with pytest.raises(ArgumentError, match="those held out a Dataset"):
        train(NET, data[0], scenes(2, 16), RECIPE)
    wrong = [DetectionSample(s.image, Instances([[0, 0, 1, 1]], [7]), s.name) for s in data[0]]
    with pytest.raises(ArgumentError, match="has an object of class 7, but there are 4 classes"):
        train(NET, DetectionDataset(wrong, data[0].classes), data[1], RECIPE)


def test_networks_and_detectors_are_told_apart(data, tmp_path):
    path, other = tmp_path / "d.safetensors", tmp_path / "s.safetensors"
    train(NET, *data, dataclasses.replace(RECIPE, epochs=1), checkpoint=path)
    with pytest.raises(FileError, match="is of a detector, not of a network that segments"):
        load_network(path)
    unet = {"name": "unet", "in_channels": 3, "classes": 8, "width": 2, "depth": 1}
    unet["padding"] = "same"
    pictures = scenes(2, size=16)
    train(unet, pictures, pictures, Recipe(epochs=1, sampling=Sampling(crop=16)), checkpoint=other)
    with pytest.raises(FileError, match="is of a network that segments, not of a detector"):
        load_detector(other)
    with pytest.raises(ArgumentError, match="segmentation is trained with Sampling"):
        train(unet, pictures, pictures, RECIPE)


def test_a_detector_of_ones_own(data, tmp_path):
    path = tmp_path / "c.safetensors"
    own = NET | {"name": f"{__name__}:yolov1"}
    train(own, *data, dataclasses.replace(RECIPE, epochs=1), checkpoint=path)
    with pytest.raises(FileError, match="was trained, which no file makes us import"):
        load_detector(path)
    detector, kept = load_detector(path, yolov1)
    image = as_input(data[1][0].image, 3)
    expected = make_detector(NET).detect(kept.params, [image])[0]
    assert detector.detect(kept.params, [image])[0].boxes.tolist() == expected.boxes.tolist()
