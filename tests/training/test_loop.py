"""Training: it learns, it repeats, and it goes on from where it was stopped with the same bits."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from numseg import ArgumentError, FileError, num_threads
from numseg.data import Dataset, Sample, scenes
from numseg.interop import safetensors
from numseg.training import (
    Adam,
    Recipe,
    Sampling,
    load_checkpoint,
    load_network,
    predict,
    save_checkpoint,
    train,
)

NET = {"name": "unet", "in_channels": 3, "classes": 8, "width": 2, "depth": 1, "padding": "same"}
NET = NET | {"norm": True}
RECIPE = Recipe(epochs=3, lr=1e-2, sampling=Sampling(crop=16, batch=2, light=0.1))


@pytest.fixture(scope="module")
def data():
    both = scenes(6, size=16, seed=0)
    return tuple(
        dataclasses.replace(both, samples=part) for part in (both.samples[:4], both.samples[4:])
    )


def _same(one, other):
    assert sorted(one) == sorted(other)
    for name in one:
        assert one[name].tobytes() == other[name].tobytes(), name


def test_it_learns():
    """Left half black, right half white: a few steps are enough to tell them apart."""
    labels = np.zeros((16, 16), np.uint8)
    labels[:, 8:] = 1
    samples = [Sample(labels[None] * np.uint8(255), labels, "halves")]
    halves = Dataset(samples, ("left", "right"))
    net = NET | {"in_channels": 1, "classes": 2}
    recipe = Recipe(epochs=3, lr=5e-2, sampling=Sampling(crop=16, batch=2, repeat=40, flip=False))
    trained = train(net, halves, halves, recipe)
    assert trained.history[-1]["mean_iou"] > 0.9
    assert trained.history[1]["loss"] < trained.history[0]["loss"] < 1.0


@pytest.mark.parametrize("change", [{}, {"norm": False, "dropout": 0.5, "up": "bilinear"}])
def test_equal_seeds_give_equal_bits_for_any_number_of_threads(data, change):
    runs = []
    for threads in (1, 2):
        with num_threads(threads):
            runs.append(train(NET | change, *data, RECIPE))
    _same(runs[0].params, runs[1].params)
    assert runs[0].history == runs[1].history
    other = dataclasses.replace(RECIPE, sampling=dataclasses.replace(RECIPE.sampling, seed=1))
    assert train(NET | change, *data, other).history != runs[0].history


@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
def test_a_stopped_run_goes_on_with_the_same_bits(data, tmp_path, optimiser):
    recipe = dataclasses.replace(RECIPE, optimiser=optimiser, weight_decay=1e-3)
    whole = train(NET, *data, recipe)
    path = tmp_path / "run" / "checkpoint.safetensors"

    def stop(result):
        if result.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as stopped:
        train(NET, *data, recipe, checkpoint=path, report=stop)
    assert stopped.value.__notes__ == [f"2 of 3 epochs are in {path}"]
    assert load_checkpoint(path).epoch == 2
    resumed = train(NET, *data, recipe, checkpoint=path, resume=True)
    _same(resumed.params, whole.params)
    assert resumed.history == whole.history
    _same(load_checkpoint(path).params, whole.params)


def test_a_run_stopped_before_its_first_checkpoint_starts_again(data, tmp_path):
    path = tmp_path / "checkpoint.safetensors"

    class Stops(Dataset):
        def __getitem__(self, index):
            raise KeyboardInterrupt

    stops = Stops(data[0].samples, data[0].classes)
    with pytest.raises(KeyboardInterrupt) as stopped:
        train(NET, stops, data[1], RECIPE, checkpoint=path)
    assert stopped.value.__notes__ == ["nothing was kept"]
    assert not path.exists()
    resumed = train(NET, *data, RECIPE, checkpoint=path, resume=True)
    _same(resumed.params, train(NET, *data, RECIPE).params)


def test_a_constant_rate_lets_a_run_be_prolonged(data, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    long = dataclasses.replace(RECIPE, schedule="constant")
    train(NET, *data, dataclasses.replace(long, epochs=1), checkpoint=path)
    resumed = train(NET, *data, long, checkpoint=path, resume=True)
    _same(resumed.params, train(NET, *data, long).params)


@pytest.mark.parametrize("schedule", ["cosine", "constant"])
def test_the_learning_rate_of_every_step(data, monkeypatch, schedule):
    """Four pictures in batches of two, two epochs: half a cosine through four steps."""
    seen = []
    real = Adam.step

    def spy(self, params, grads, state, lr=None, donate=False):
        seen.append(lr)
        return real(self, params, grads, state, lr, donate)

    monkeypatch.setattr(Adam, "step", spy)
    train(NET, *data, dataclasses.replace(RECIPE, epochs=2, lr=0.5, schedule=schedule))
    half = 2**-0.5 / 4  # cos(pi / 4) / 4
    expected = {"cosine": [0.5, 0.25 + half, 0.25, 0.25 - half], "constant": [0.5] * 4}
    np.testing.assert_allclose(seen, expected[schedule], rtol=1e-12)


COMMAND = [sys.executable, "-m", "numseg", "train", "scenes", "--count", "8", "--size", "16"]
COMMAND += ["--crop", "16", "--width", "2", "--depth", "1", "--epochs", "12", "--resume"]


def test_a_killed_run_goes_on_with_the_same_bits(tmp_path):
    """Killed twice without warning, wherever that hits, and started again each time."""
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    for wanted in (2, 6):
        with subprocess.Popen(
            [*COMMAND, "--out", killed], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as run:
            while _epochs(killed) < wanted:
                assert run.poll() is None
                time.sleep(0.002)
            os.kill(run.pid, signal.SIGKILL)
        assert wanted <= _epochs(killed) < 12
    for folder in (killed, whole):
        subprocess.run([*COMMAND, "--out", folder], check=True, capture_output=True)
    name = "checkpoint.safetensors"
    assert (killed / name).read_bytes() == (whole / name).read_bytes()
    assert os.listdir(killed) == [name]


def _epochs(folder):
    path = folder / "checkpoint.safetensors"
    return load_checkpoint(path).epoch if path.is_file() else 0


def test_a_full_disk_stops_the_run_and_keeps_the_checkpoint(data, tmp_path, monkeypatch):
    path = tmp_path / "checkpoint.safetensors"
    train(NET, *data, dataclasses.replace(RECIPE, epochs=1, schedule="constant"), checkpoint=path)
    before = path.read_bytes()

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FileError, match="No space left on device; the earlier file is intact"):
        train(
            NET,
            *data,
            dataclasses.replace(RECIPE, schedule="constant"),
            checkpoint=path,
            resume=True,
        )
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize(
    ("net", "recipe", "message"),
    [
        (NET | {"width": 3}, RECIPE, "net.width was 2, now it is 3"),
        (NET, dataclasses.replace(RECIPE, lr=1e-3), r"recipe.lr was 0.01, now it is 0.001"),
        (NET, dataclasses.replace(RECIPE, epochs=2), "has 3 epochs, but epochs is 2"),
    ],
)
def test_another_runs_checkpoint_is_refused(data, tmp_path, net, recipe, message):
    path = tmp_path / "checkpoint.safetensors"
    train(NET, *data, RECIPE, checkpoint=path)
    with pytest.raises(ArgumentError, match=message):
        train(net, *data, recipe, checkpoint=path, resume=True)


@pytest.mark.parametrize(
    ("net", "recipe", "message"),
    [
        (
            NET,
            dataclasses.replace(RECIPE, sampling=Sampling(crop=15)),
            "crop 15: x has 15 rows; the nearest that this network takes are 14 and 16",
        ),
        (NET | {"classes": 7}, RECIPE, "the network gives 7 classes, the data has 8"),
        (NET | {"in_channels": 2}, RECIPE, "image has 3 channels, but the network takes 2"),
        (NET | {"name": "vnet"}, RECIPE, "net must be one of .*, got 'vnet'"),
    ],
)
def test_what_does_not_fit(data, net, recipe, message):
    with pytest.raises(ArgumentError, match=message):
        train(net, *data, recipe)


def test_data_that_does_not_fit(data):
    empty = dataclasses.replace(data[0], samples=())
    with pytest.raises(ArgumentError, match="0 pictures to train on, 2 held out"):
        train(NET, empty, data[1], RECIPE)
    renamed = dataclasses.replace(data[1], classes=tuple("abcdefgh"))
    with pytest.raises(ArgumentError, match="have different classes"):
        train(NET, data[0], renamed, RECIPE)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        (
            {"optimiser": "newton"},
            "optimiser must be one of 'adam', 'sgd', or module:name, got 'newton'",
        ),
        ({"schedule": "steps"}, "schedule must be one of"),
        ({"lr": -1.0}, "lr must lie in"),
    ],
)
def test_bad_recipes(settings, message):
    with pytest.raises(ArgumentError, match=message):
        Recipe(**settings)


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
def test_divergence_is_said(data):
    net = NET | {"norm": False}
    recipe = Recipe(epochs=3, optimiser="sgd", lr=1e30, sampling=Sampling(crop=16))
    with pytest.raises(ArgumentError, match=r"the loss is not finite .*: lower the learning rate"):
        train(net, *data, recipe)


def test_a_network_without_padding_learns_from_the_pixels_it_has_an_output_for(data):
    """The paper's network gives fewer pixels than it reads; labels are cut to those."""
    net = NET | {"padding": "valid"}
    recipe = dataclasses.replace(RECIPE, epochs=1, sampling=Sampling(crop=24, batch=2))
    trained = train(net, *data, recipe)
    assert np.isfinite(trained.history[0]["loss"])


def test_checkpoints_name_what_is_wrong_with_them(data, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    train(NET, *data, dataclasses.replace(RECIPE, epochs=1), checkpoint=path)
    good = load_checkpoint(path)
    graph, found = load_network(path)
    assert predict(graph, found.params, data[1][0].image).shape == (16, 16)
    fewer = {n: a for n, a in good.params.items() if n != "head.bias"}
    save_checkpoint(path, good._replace(params=fewer))
    with pytest.raises(FileError, match=r"does not fit its network: missing parameter head\.bias"):
        load_network(path)
    with pytest.raises(FileError, match="does not fit its network"):
        train(NET, *data, RECIPE, checkpoint=path, resume=True)
    save_checkpoint(path, good._replace(about={}))
    with pytest.raises(FileError, match="does not fit its network: 'net'"):
        load_network(path)
    save_checkpoint(path, good._replace(about=good.about | {"classes": ["a"]}))
    with pytest.raises(FileError, match="it names 1 classes, the network 8"):
        load_network(path)
    safetensors.save(path, good.params, {"epoch": 1})
    with pytest.raises(FileError, match="is not a checkpoint that numseg wrote"):
        load_checkpoint(path)
    safetensors.save(path, good.params, {"format": 2, "epoch": 1, "history": []})
    with pytest.raises(FileError, match="has format 2, this numseg reads 1"):
        load_checkpoint(path)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(FileError, match="is damaged"):
        train(NET, *data, RECIPE, checkpoint=path, resume=True)


@pytest.mark.parametrize(
    ("loss", "arguments"),
    [("dice_loss", {"batch": True}), ("cross_entropy", {"gamma": 2.0, "reduction": "valid"})],
)
def test_a_recipe_names_its_loss(data, tmp_path, loss, arguments):
    """The first step's loss is the operator's, and the run goes on from its checkpoint."""
    recipe = dataclasses.replace(RECIPE, epochs=1, loss=loss, loss_arguments=arguments)
    one = train(NET, *data, recipe)
    assert one.history != train(NET, *data, dataclasses.replace(RECIPE, epochs=1)).history
    path = tmp_path / "checkpoint.safetensors"
    recipe = dataclasses.replace(recipe, schedule="constant")
    train(NET, *data, recipe, checkpoint=path)
    longer = dataclasses.replace(recipe, epochs=2)
    _same(train(NET, *data, longer, checkpoint=path, resume=True).params,
          train(NET, *data, longer).params)  # fmt: skip
    with pytest.raises(ArgumentError, match=r"recipe\.loss_arguments"):
        train(NET, *data, dataclasses.replace(longer, loss_arguments={}), checkpoint=path,
              resume=True)  # fmt: skip


def test_a_checkpoint_from_before_losses_had_names_goes_on(data, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    recipe = dataclasses.replace(RECIPE, epochs=1, schedule="constant")
    train(NET, *data, recipe, checkpoint=path)
    old = load_checkpoint(path)
    for name in ("loss", "loss_arguments"):
        del old.about["recipe"][name]
    save_checkpoint(path, old)
    longer = dataclasses.replace(recipe, epochs=2)
    again = train(NET, *data, longer, checkpoint=path, resume=True)
    _same(again.params, train(NET, *data, longer).params)


@pytest.mark.parametrize(
    ("loss", "arguments", "message"),
    [
        ("hinge", {}, "loss: numseg has no operator 'hinge'"),
        ("cross_entropy", {"batch": True}, "unexpected keyword argument 'batch'"),
        ("cross_entropy", {"gamma": -1}, "gamma must lie in"),
        ("cross_entropy", {"ignore_index": 3}, "loss_arguments has ignore_index"),
        ("dice_loss", {"target": None}, "loss_arguments has target"),
        ("dice_loss", {"reduction": "none"}, "without a reduction"),
    ],
)
def test_losses_that_no_recipe_has(loss, arguments, message):
    with pytest.raises(ArgumentError, match=message):
        Recipe(loss=loss, loss_arguments=arguments)
