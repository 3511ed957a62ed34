"""What does not fit is found before the first step: labels, pairs, recipes, places to write to."""

from __future__ import annotations

import dataclasses
import decimal
import enum
import fractions
import os
import re
import types
import warnings

import numpy as np
import pytest

from numseg import ArgumentError, ArgumentTypeError, FileError, MissingExtra, files
from numseg.data import Dataset, Sample, scenes
from numseg.data.labels import as_labels
from numseg.training import (
    Adam,
    Recipe,
    Sampling,
    batches,
    confusion_matrix,
    evaluate,
    load_checkpoint,
    make_network,
    train,
)

NET = {"name": "unet", "in_channels": 3, "classes": 8, "width": 2, "depth": 1, "padding": "same"}
RECIPE = Recipe(epochs=1, lr=1e-2, sampling=Sampling(crop=16, batch=2))


@pytest.fixture(scope="module")
def data():
    both = scenes(6, size=16, seed=0)
    return tuple(
        dataclasses.replace(both, samples=part) for part in (both.samples[:4], both.samples[4:])
    )


@pytest.fixture
def no_step(monkeypatch):
    """Training that comes to a step fails."""

    def step(*args, **kwargs):
        raise AssertionError("a step was made")

    monkeypatch.setattr(Adam, "step", step)


# -- labels ---------------------------------------------------------------------------------------

CLASSES = tuple(f"class {i}" for i in range(182))


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int16, np.uint64, bool])
def test_narrow_labels_are_padded_with_the_number_itself(dtype):
    """-100 in uint8 is 156, a class."""
    sample = Sample(np.zeros((3, 10, 10), np.uint8), np.zeros((10, 10), dtype), "p")
    dataset = Dataset([sample], CLASSES, ignore_index=-100)
    (batch,) = batches(dataset, Sampling(crop=16, batch=1), 3, epoch=0)
    assert batch.labels.dtype == np.int64
    assert np.unique(batch.labels).tolist() == [-100, 0]
    assert (batch.labels == -100).sum() == 16 * 16 - 10 * 10


def test_a_subclass_that_narrows_is_widened_again():
    class Narrow(Dataset):
        def __getitem__(self, index):
            image, labels, name = super().__getitem__(index)
            return image, labels.astype(np.uint8), name

    sample = Sample(np.zeros((1, 4, 4), np.uint8), np.zeros((4, 4), np.int64), "p")
    (batch,) = batches(Narrow([sample], CLASSES, -100), Sampling(crop=6, batch=1), 1, epoch=0)
    assert np.unique(batch.labels).tolist() == [-100, 0]


def test_255_is_a_class_where_there_are_so_many():
    classes = tuple(map(str, range(300)))
    sample = Sample(np.zeros((1, 4, 4), np.uint8), np.full((4, 4), 255), "p")
    dataset = Dataset([sample], classes)
    (batch,) = batches(dataset, Sampling(crop=6, batch=1), 1, epoch=0)
    assert np.unique(batch.labels).tolist() == [-100, 255]
    assert Dataset([sample], classes[:255]).ignored == 255


def test_the_matrix_of_narrow_labels():
    truth = np.array([0, 200, 156], np.uint8)
    found = confusion_matrix(truth, np.array([0, 200, 156]), 201, ignore_index=-100)
    assert found.sum() == 3
    assert confusion_matrix(np.array([True, False]), np.ones(2, bool), 2).tolist() == [
        [0, 1],
        [0, 1],
    ]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros(2), "a has dtype float64, expected an integer dtype"),
        (np.array([0, 2**63], np.uint64), f"a holds {2**63}, expected at most {2**63 - 1}"),
        (np.ma.masked_equal([0, 255], 255), "a has masked entries: fill them with the ignore_ind"),
        ("abc", "a has dtype <U3, expected an integer"),
    ],
)
def test_what_are_no_labels(labels, message):
    with pytest.raises(ArgumentError, match=re.escape(message)):
        as_labels("a", labels)


# -- pairs ----------------------------------------------------------------------------------------

GOOD = Sample(np.zeros((3, 16, 16), np.uint8), np.zeros((16, 16), np.uint8), "good")
PAIRS = {
    "labels are 8 x 8, but the picture is 16 x 16": GOOD._replace(labels=GOOD.labels[:8, :8]),
    "labels are 1 x 16 x 16, but the picture is 16 x 16": GOOD._replace(labels=GOOD.labels[None]),
    "labels are 16 x 8, but the picture is 16 x 16": GOOD._replace(labels=GOOD.labels[:, :8]),
    "holds label 8, but there are 8 classes (0 to 7, and 255 to ignore); 256 pixels have it":
        GOOD._replace(labels=GOOD.labels + np.uint8(8)),
    "holds label -1, but there are 8 classes": GOOD._replace(labels=np.full((16, 16), -1)),
    "labels has dtype float32, expected an integer": GOOD._replace(labels=np.zeros((16, 16), "f")),
    "image has dtype float64, expected uint8, uint16 or float32":
        GOOD._replace(image=np.zeros((3, 16, 16))),
    "image has shape (16, 16), expected 3 axes (c, h, w)": GOOD._replace(image=GOOD.image[0]),
    "image has 2 channels, but the network takes 3": GOOD._replace(image=GOOD.image[:2]),
}  # fmt: skip


@pytest.mark.parametrize("message", PAIRS)
@pytest.mark.parametrize("where", ["trained on", "held out"])
def test_a_pair_that_does_not_fit_is_found_before_the_first_step(data, no_step, message, where):
    samples = [*data[0].samples, PAIRS[message]._replace(name="bad")]
    mixed = dataclasses.replace(data[0], samples=samples)
    pair = (mixed, data[1]) if where == "trained on" else (data[1], mixed)
    with pytest.raises(ArgumentError, match=re.escape(f"sample 4 (bad): {message}")) as error:
        train(NET, *pair, RECIPE)
    assert "\n" not in str(error.value)


def test_files_are_read_before_the_first_step(data, no_step):
    class Broken(list):
        def __getitem__(self, index):
            if index == 1:
                raise FileError("b.png: cannot be read as a picture")
            return super().__getitem__(index)

    broken = dataclasses.replace(data[1], samples=Broken(data[1].samples))
    with pytest.raises(FileError, match=r"b\.png"):
        train(NET, data[0], broken, RECIPE)


def test_what_is_no_sample(data, no_step):
    odd = dataclasses.replace(data[0], samples=[GOOD[:2]])
    with pytest.raises(ArgumentTypeError, match="sample 0 is a tuple, expected"):
        train(NET, odd, data[1], RECIPE)


def test_a_held_out_picture_that_the_network_takes_not(data, no_step):
    """Of a fixed size, as a network with a fully connected layer is."""
    import numseg as ns
    from numseg.nets import blocks

    net = ns.Graph.build()
    h = blocks.conv(net, "a", net.input("x"), 3, 8, 1)
    graph = net.output(net.add(ns.add, h, net.param("b", (1, 8, 16, 16), lambda s, r: np.ones(s))))
    wide = Sample(np.zeros((3, 17, 16), np.uint8), np.zeros((17, 16), np.uint8), "tall")
    held_out = dataclasses.replace(data[1], samples=[wide])
    with pytest.raises(ArgumentError, match=r"sample 0 \(tall\): the network takes no image"):
        train(graph, data[0], held_out, RECIPE)


def test_the_number_of_classes_is_that_of_the_network(data):
    graph = make_network(NET | {"classes": 9})
    with pytest.raises(ArgumentError, match="the network gives 9 classes, the data has 8"):
        evaluate(graph, graph.init(0), data[1])


def _of(values, data, index=255):
    """Pictures whose labels are these in turn."""
    labels = np.resize(np.array(values), (16, 16))
    samples = [Sample(np.zeros((3, 16, 16), np.uint8), labels, "p")] * 2
    return dataclasses.replace(data[0], samples=samples, ignore_index=index)


@pytest.mark.parametrize("value", [0, 3])
def test_masks_of_a_class_and_255_deserve_a_warning(data, value):
    masks = _of([value, 255], data)
    with pytest.warns(UserWarning, match=f"the 2 pictures to train on are {value} and 255"):
        train(NET, masks, data[1], RECIPE)
    other = 0 if value else 1
    remedy = re.escape(f"label_map={{{value}: {value}, 255: {other}}}")
    with pytest.warns(UserWarning, match=f"held-out pictures .*{remedy}"):
        train(NET, data[0], masks, RECIPE)


def test_other_masks_deserve_none(data):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for values in ([0, 1, 255], [0], [0, 1]):
            train(NET, _of(values, data), data[1], RECIPE)


def test_colours_that_are_made_grey_deserve_a_warning(data):
    """The network takes what the first picture has; the command line makes it so."""
    grey = GOOD._replace(image=GOOD.image[:1])
    mixed = dataclasses.replace(data[0], samples=[grey, GOOD])
    with pytest.warns(UserWarning, match=r"some of the 2 pictures .* 3 channels, .*in_channels=3"):
        train(NET | {"in_channels": 1}, mixed, dataclasses.replace(mixed, samples=[grey]), RECIPE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(NET, mixed, data[1], RECIPE)
        train(NET | {"in_channels": 1}, *data, RECIPE)


def test_a_checkpoint_without_drop_last_goes_on(data, tmp_path):
    path = tmp_path / "c.safetensors"
    train(NET, *data, RECIPE, checkpoint=path)
    assert "drop_last" not in load_checkpoint(path).about["recipe"]["sampling"]
    dropping = dataclasses.replace(RECIPE.sampling, drop_last=True)
    with pytest.raises(ArgumentError, match=r"recipe\.sampling"):
        train(NET, *data, dataclasses.replace(RECIPE, sampling=dropping), checkpoint=path,
              resume=True)  # fmt: skip
    large = Sampling(crop=16, batch=8, drop_last=True)
    with pytest.raises(ArgumentError, match="drop_last leaves no batch: batch is 8, but an epoch"):
        train(NET, *data, dataclasses.replace(RECIPE, sampling=large))


def test_pictures_that_are_ignored_as_a_whole(data, no_step):
    with pytest.raises(ArgumentError, match="all pixels of the 2 held-out pictures have the"):
        train(NET, data[0], _of([255], data), RECIPE)


# -- recipes --------------------------------------------------------------------------------------


class Rate(float):
    pass


class Size(enum.IntEnum):
    SMALL = 16


SETTINGS = [
    {"lr": np.float32(1e-3)},
    {"lr": np.longdouble(1e-3)},
    {"lr": np.array(1e-3)},
    {"lr": Rate(0.5)},
    {"lr": fractions.Fraction(1, 2), "weight_decay": decimal.Decimal("0.5")},
    {"epochs": np.int64(1), "weight_decay": np.float16(0.5), "optimiser": np.str_("sgd")},
    {"loss_arguments": types.MappingProxyType({"gamma": np.float32(2), "reduction": "mean"})},
    {"loss_arguments": {"weight": np.ones(8, np.float32), "label_smoothing": np.longdouble(0.25)}},
    {"loss": [("dice_loss", np.float32(0.5), types.MappingProxyType({"batch": np.True_}))]},
    {"optimiser_arguments": types.MappingProxyType({"eps": np.longdouble(1e-8)})},
    {"sampling": Sampling(Size.SMALL, np.int8(2), np.uint8(1), np.False_, np.True_, np.float32(0.5),
                          np.int64(3))},
]  # fmt: skip


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_what_equals_a_plain_value_is_one(data, tmp_path, settings):
    """It trains, is written, and goes on as the same run."""
    recipe = dataclasses.replace(RECIPE, **settings)
    path = tmp_path / "c.safetensors"
    net = NET | {"width": np.int64(2), "padding": np.str_("same")}
    trained = train(types.MappingProxyType(net), *data, recipe, checkpoint=path)
    assert load_checkpoint(path).epoch == 1
    again = train(net, *data, dataclasses.replace(recipe), checkpoint=path, resume=True)
    for name, array in trained.params.items():
        assert array.tobytes() == again.params[name].tobytes()
    for name, value in settings.items():
        kept = getattr(recipe, name)
        if name in ("lr", "weight_decay"):
            assert type(kept) is float
            assert kept == value
    kinds = {type(v) for v in dataclasses.asdict(recipe.sampling).values()}
    assert kinds == {int, bool, float, tuple}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lr": "fast"}, "lr must be a real number, got 'fast'"),
        ({"weight_decay": None}, "weight_decay must be a real number, got None"),
        ({"sampling": {"crop": 16}}, "sampling must be a Sampling or a DetectionSampling, got"),
        ({"loss_arguments": None}, "loss_arguments must be a dict of arguments, got None"),
        ({"optimiser_arguments": [1]}, r"optimiser_arguments must be a dict of arguments, got [1]"),
    ],
)
def test_recipes_of_other_things(settings, message):
    with pytest.raises(ArgumentError, match=re.escape(message)):
        Recipe(**settings)


def test_a_sampling_of_other_things():
    with pytest.raises(ArgumentError, match="flip must be True or False, got 2"):
        Sampling(flip=2)


def test_keys_that_are_no_words_are_refused_before_the_work(data, tmp_path, no_step):
    net = NET | {"name": "numseg.nets:unet", "up": {1: 2}}
    with pytest.raises(ArgumentError):
        train(net, *data, RECIPE, checkpoint=tmp_path / "c.safetensors")


# -- places ---------------------------------------------------------------------------------------


def test_a_place_that_cannot_be_written_to_is_found_before_the_work(data, tmp_path, no_step):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "file" / "c", tmp_path / "folder", "/proc/c.safetensors"):
        with pytest.raises(FileError, match=f"cannot write {path}: "):
            train(NET, *data, RECIPE, checkpoint=path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder"]


def test_a_package_that_is_missing_is_found_before_the_work(data, tmp_path, no_step, monkeypatch):
    def missing(module, package, extra, purpose):
        raise MissingExtra(package, extra, purpose)

    monkeypatch.setattr("numseg.interop.safetensors.optional", missing)
    with pytest.raises(MissingExtra, match="writing checkpoints needs safetensors"):
        train(NET, *data, RECIPE, checkpoint=tmp_path / "c")


def test_resuming_without_a_checkpoint_is_no_use(data):
    with pytest.raises(ArgumentError, match="goes on from a checkpoint, but checkpoint"):
        train(NET, *data, RECIPE, resume=True)


def test_names_of_any_length_and_kind_are_written(tmp_path):
    for name in ("x" * 255, os.fsdecode("ü".encode()) * 127, "[a]*?.png", " ", "\udcff", "a\nb"):
        files.write_whole(tmp_path / name, b"1")
        files.check_writable(tmp_path / name)
        assert (tmp_path / name).read_bytes() == b"1"
        (tmp_path / name).unlink()
        assert list(tmp_path.iterdir()) == []


def test_what_killed_writers_left_is_found_by_any_name(tmp_path):
    for name in ("[a]*?.png", "x" * 255):
        part = files._part(tmp_path / name)
        part.write_bytes(b"")
        files.remove_parts(tmp_path / name)
        assert not part.exists()


def test_names_that_no_system_has(tmp_path):
    for name in ("a\0b", "\ud800"):
        for write in (lambda path: files.write_whole(path, b""), files.check_writable):
            with pytest.raises(FileError, match="cannot write"):
                write(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_several_files_are_written_or_none(tmp_path):
    (tmp_path / "b").mkdir()
    with pytest.raises(FileError, match=r"cannot write .*b: it is a folder"):
        files.write_all({tmp_path / "a": b"1", tmp_path / "b": b"2"})
    assert [path.name for path in tmp_path.iterdir()] == ["b"]
    files.write_all({tmp_path / "a": b"1", tmp_path / "c": b"2"})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "c"]
