"""Folders in VOC's layout, sound and unsound."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from numseg import ArgumentError, FileError
from numseg.data import VOC_CLASSES, encode_mask, voc


@pytest.fixture
def folder(tmp_path):
    """Two pictures: "one" 4 x 6 with classes 0 and 15 and a border, "two" 5 x 5 of class 1."""
    for part in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (tmp_path / part).mkdir(parents=True)
    border = np.zeros((4, 6), np.uint8)
    border[1:3, 1:4], border[0] = 15, 255
    for name, labels in {"one": border, "two": np.ones((5, 5), np.uint8)}.items():
        grey = np.full((*labels.shape, 3), 99, np.uint8)
        Image.fromarray(grey).save(tmp_path / "JPEGImages" / f"{name}.jpg")
        (tmp_path / "SegmentationClass" / f"{name}.png").write_bytes(encode_mask(labels))
    lists = tmp_path / "ImageSets" / "Segmentation"
    (lists / "train.txt").write_text("one\n\ntwo\n")
    (lists / "val.txt").write_text("two\n")
    return tmp_path


def test_a_folder_is_read(folder):
    dataset = voc(folder)
    assert dataset.classes == VOC_CLASSES
    assert dataset.ignore_index == 255
    assert [sample.name for sample in dataset] == ["one", "two"]
    image, labels, _ = dataset[0]
    assert image.shape == (3, 4, 6)
    assert labels[0].tolist() == [255] * 6
    assert labels[1].tolist() == [0, 15, 15, 15, 0, 0]
    assert [sample.name for sample in voc(folder, "val")] == ["two"]
    assert [sample.name for sample in dataset.samples[1:]] == ["two"]


def test_png_pictures_will_do(folder):
    (folder / "JPEGImages" / "two.jpg").unlink()
    Image.new("L", (5, 5)).save(folder / "JPEGImages" / "two.png")
    assert voc(folder)[1].image.shape == (1, 5, 5)


@pytest.mark.parametrize("part", ["JPEGImages", "SegmentationClass", "ImageSets"])
def test_a_missing_folder_is_named(folder, part):
    (folder / part).rename(folder / "elsewhere")
    with pytest.raises(FileError, match=rf"{part}.*: no such folder"):
        voc(folder)


def test_the_root_is_missing(tmp_path):
    with pytest.raises(FileError, match="nowhere: no such folder"):
        voc(tmp_path / "nowhere")


def test_lists(folder):
    with pytest.raises(FileError, match=r"test\.txt: no such file \(lists there: train, val\)"):
        voc(folder, "test")
    listed = folder / "ImageSets/Segmentation/train.txt"
    listed.write_text("\n")
    with pytest.raises(FileError, match="names no picture"):
        voc(folder)
    listed.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(FileError, match="is not text"):
        voc(folder)
    listed.write_text("three")
    with pytest.raises(FileError, match=r"three\.jpg: no such file"):
        voc(folder)
    Image.new("L", (5, 5)).save(folder / "JPEGImages" / "three.jpg")
    with pytest.raises(FileError, match=r"three\.png: no such file"):
        voc(folder)


def test_labels_that_do_not_fit(folder):
    mask = folder / "SegmentationClass" / "one.png"
    mask.write_bytes(encode_mask(np.zeros((4, 5), np.uint8)))
    with pytest.raises(FileError, match=r"one\.png: labels are 4 x 5, but .*one\.jpg is 4 x 6"):
        voc(folder)[0]
    mask.write_bytes(encode_mask(np.full((4, 6), 21, np.uint8)))
    with pytest.raises(FileError, match=r"one\.png: holds label 21, but there are 21 classes"):
        voc(folder)[0]
    Image.new("RGB", (6, 4)).save(mask)
    with pytest.raises(FileError, match=r"one\.png: is a picture of mode RGB"):
        voc(folder)[0]


def test_a_damaged_picture_is_named(folder):
    picture = folder / "JPEGImages" / "one.jpg"
    picture.write_bytes(picture.read_bytes()[:100])
    with pytest.raises(FileError, match=r"one\.jpg: cannot be read as a picture"):
        voc(folder)[0]


def test_classes_of_ones_own(folder):
    assert voc(folder, "val", ["ground", "thing"]).classes == ("ground", "thing")
    with pytest.raises(FileError, match="holds label 15, but there are 2 classes"):
        voc(folder, "train", ["ground", "thing"])[0]
    with pytest.raises(ArgumentError, match="classes must be at least one name, got 0"):
        voc(folder, classes=[])
