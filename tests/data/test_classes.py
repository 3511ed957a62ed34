"""Names and colours of classes from text files; folders whose numbers are not VOC's."""

from __future__ import annotations

import re

import numpy as np
import pytest
from PIL import Image

from numseg import ArgumentError, ArgumentTypeError, FileError
from numseg.data import Dataset, Sample, encode_mask, overlay, palette, read_classes, read_mask, voc

FILES = {
    "sky\nroad\n": (["sky", "road"], None),
    "# mine\n\nsky\n  traffic light  \r\n": (["sky", "traffic light"], None),
    "sky 0 0 0\ntraffic light 250 170 30\n": (
        ["sky", "traffic light"], [[0, 0, 0], [250, 170, 30]]
    ),
    "sky,0,0,0\nroad, 128, 64,128": (["sky", "road"], [[0, 0, 0], [128, 64, 128]]),
    "sky: 0 0 0\nroad = 1,2,3": (["sky", "road"], [[0, 0, 0], [1, 2, 3]]),
    "sky\t#000000\nroad\t#Dc143C": (["sky", "road"], [[0, 0, 0], [220, 20, 60]]),
    "zone 1\nzone 2": (["zone 1", "zone 2"], None),
}  # fmt: skip


@pytest.mark.parametrize("text", FILES)
@pytest.mark.parametrize("code", ["utf-8", "utf-8-sig", "utf-16"])
def test_names_and_colours(tmp_path, text, code):
    (tmp_path / "c.txt").write_bytes(text.encode(code))
    names, colours = read_classes(tmp_path / "c.txt")
    assert list(names) == FILES[text][0]
    assert (None if colours is None else colours.tolist()) == FILES[text][1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names no class"),
        ("# nothing\n\n", "names no class"),
        ("sky\nroad\nsky", "names 'sky' twice"),
        ("name,r,g,b\nsky,0,0,0", "has 1 colours for 2 classes, up to 'sky'"),
        ("sky 0 0 0\nroad", "has 1 colours for 2 classes, up to 'road'"),
        ("sky 0 0 0\nroad 0 0 0", "colours has (0, 0, 0) more than once"),
        ("sky 0 0 256", "colours holds 0 to 256, expected 0 to 255"),
    ],
)
def test_files_that_are_no_tables(tmp_path, text, message):
    (tmp_path / "c.txt").write_text(text)
    with pytest.raises(FileError, match=re.escape(f"c.txt: {message}")):
        read_classes(tmp_path / "c.txt")


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(FileError, match="none: no such file"):
        read_classes(tmp_path / "none")
    with pytest.raises(FileError, match="is a folder"):
        read_classes(tmp_path)


@pytest.fixture
def folder(tmp_path):
    for part in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (tmp_path / part).mkdir(parents=True)
    (tmp_path / "ImageSets/Segmentation/train.txt").write_text("a")
    Image.new("L", (2, 2)).save(tmp_path / "JPEGImages/a.jpg")
    return tmp_path


def _mask(folder, labels):
    (folder / "SegmentationClass/a.png").write_bytes(encode_mask(np.array(labels)))


def test_numbers_are_mapped_to_classes(folder):
    _mask(folder, [[0, 255], [7, 7]])
    two = ["no", "yes"]
    dataset = voc(folder, classes=two, label_map={0: 0, 7: 1})
    assert dataset.checked(0).labels.tolist() == [[0, 255], [1, 1]]  # 255 stays ignored
    dataset = voc(folder, classes=two, label_map={0: 0, 255: 1, 7: 255})
    assert dataset.checked(0).labels.tolist() == [[0, 1], [255, 255]]
    dataset = voc(folder, classes=two, label_map={0: 0, 255: 1, 7: -1}, ignore_index=-1)
    assert dataset.checked(0).labels.tolist() == [[0, 1], [-1, -1]]
    assert dataset.ignore_index == -1
    with pytest.raises(FileError, match=r"a\.png: holds label 7, but there are 2 classes"):
        voc(folder, classes=two, label_map={0: 0, 255: 1})[0]


def test_a_number_that_is_not_mapped_stays_unless_it_means_another(folder):
    """Two numbers become one class only if both are said to."""
    _mask(folder, [[0, 255], [1, 1]])
    three = ["a", "b", "c"]
    dataset = voc(folder, classes=three, label_map={255: 2})
    assert dataset.checked(0).labels.tolist() == [[0, 2], [1, 1]]
    for label_map in ({255: 1}, {0: 1}):
        number = next(iter(label_map))
        message = f"a.png: holds 1, which label_map has not, but it maps {number} to 1: map 1, too"
        with pytest.raises(FileError, match=re.escape(message)):
            voc(folder, classes=three, label_map=label_map)[0]
    dataset = voc(folder, classes=three, label_map={255: 1, 1: 1})
    assert dataset.checked(0).labels.tolist() == [[0, 1], [1, 1]]


def test_the_label_to_ignore(folder):
    _mask(folder, [[0, 255], [7, 1]])
    two = ["no", "yes"]
    with pytest.raises(FileError, match="holds label 7, but there are 2 classes"):
        voc(folder, classes=two)[0]
    with pytest.raises(FileError, match="holds label 255, but there are 2 classes"):
        voc(folder, classes=two, ignore_index=7)[0]
    _mask(folder, [[0, 255], [0, 1]])
    with pytest.raises(FileError, match="holds label 255, but there are 2 classes"):
        voc(folder, classes=two, ignore_index=None)[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"label_map": {0: 2}}, r"label_map[0] is 2, but there are 2 classes, and ignore_index is"),
        ({"label_map": {0: -1}}, "label_map[0] is -1, but"),
        ({"label_map": {"0": 1}}, "label_map's numbers must be an integer, got '0'"),
        ({"label_map": [0, 1]}, "label_map must be a dict {number: class}, got [0, 1]"),
        ({"ignore_index": 2.5}, "ignore_index must be an integer, got 2.5"),
        ({"colours": [(0, 0, 0)]}, "colours has 1 rows, but there are 2 classes"),
        ({"classes": "no"}, "classes must be names, got the word 'no'"),
        ({"classes": ["no", 1]}, "classes must be names, got 1 among them"),
    ],
)
def test_arguments_that_do_not_fit(folder, arguments, message):
    with pytest.raises(ArgumentError, match=re.escape(message)):
        voc(folder, **({"classes": ["no", "yes"]} | arguments))


def test_masks_of_colours(folder):
    colours = [(0, 0, 0), (220, 20, 60), (224, 224, 192)]
    pixels = np.array(colours, np.uint8)[[[0, 1], [2, 1]]]
    Image.fromarray(pixels).save(folder / "SegmentationClass/a.png")
    dataset = voc(folder, classes=["no", "yes", "rim"], colours=colours)
    assert dataset.checked(0).labels.tolist() == [[0, 1], [2, 1]]
    assert dataset.colours == tuple(colours)
    mapped = {0: 0, 1: 1, 2: 255}
    dataset = voc(folder, classes=["no", "yes"], colours=colours, label_map=mapped)
    assert dataset.checked(0).labels.tolist() == [[0, 1], [255, 1]]
    dataset = voc(folder, colours=palette())
    with pytest.raises(FileError, match=r"has the colour \(220, 20, 60\) in 2 places"):
        dataset[0]


def test_the_label_of_each_colour(folder):
    """Several colours may mean one, and one the label to ignore."""
    meant = {(0, 0, 0): 0, (220, 20, 60): 1, (255, 0, 0): 1, (224, 224, 192): 255}
    pixels = np.array(list(meant), np.uint8)[[[0, 1], [2, 3]]]
    Image.fromarray(pixels).save(folder / "SegmentationClass/a.png")
    dataset = voc(folder, classes=["no", "yes"], colours=meant)
    assert dataset.checked(0).labels.tolist() == [[0, 1], [1, 255]]
    assert dataset.colours == ((0, 0, 0), (220, 20, 60))
    with pytest.raises(ArgumentError, match=r"colours\[\(0, 0, 0\)\] must be an integer, got 'no'"):
        voc(folder, classes=["no", "yes"], colours={(0, 0, 0): "no"})
    assert voc(folder, classes=["no", "yes"], colours={(1, 2, 3): 1}).colours is None


def test_masks_are_drawn_in_the_colours_given(tmp_path):
    labels = np.array([[0, 1]])
    (tmp_path / "m.png").write_bytes(encode_mask(labels, [(0, 0, 0), (220, 20, 60)]))
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png"), labels)
    shown = np.asarray(Image.open(tmp_path / "m.png").convert("RGB"))
    assert shown.tolist() == [[[0, 0, 0], [220, 20, 60]]]
    image = np.zeros((1, 2, 2), np.uint8)
    seen = overlay(image, np.full((2, 2), 1), [(0, 0, 0), (220, 20, 60)])
    assert seen[:, 0, 0].tolist() == [110, 10, 30]


def test_datasets_that_are_none():
    sample = Sample(np.zeros((1, 2, 2), np.uint8), np.zeros((2, 2), int), "")
    assert Dataset([sample], ["a", np.str_("b")]).classes == ("a", "b")
    with pytest.raises(ArgumentTypeError, match=r"ignore_index must be an integer, got 1\.5"):
        Dataset([sample], ("a",), 1.5)
    with pytest.raises(ArgumentError, match="colours has 1 rows, but there are 2 classes"):
        Dataset([sample], ("a", "b"), colours=[(0, 0, 0)])
