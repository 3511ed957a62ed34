"""Lists of pictures as people write them."""

from __future__ import annotations

import os
import sys
import unicodedata

import numpy as np
import pytest
from PIL import Image

from numseg import FileError
from numseg.data import encode_mask, voc

NAMES = ["photo", "photo (2)", "photo 1", "a.b", "sub/one", "Grüße", "2007_000032"]


@pytest.fixture
def folder(tmp_path):
    """A picture and labels for each name; the pixels are the name's number."""
    for i, name in enumerate(NAMES):
        _pair(tmp_path, name, i)
    (tmp_path / "ImageSets/Segmentation").mkdir(parents=True)
    return tmp_path


def _pair(folder, name, number, end=".png", masks="SegmentationClass"):
    name = os.fsdecode(name.encode("utf-8", "surrogateescape"))  # whatever the locale
    picture, mask = folder / "JPEGImages" / f"{name}{end}", folder / masks / f"{name}.png"
    for path in (picture, mask):
        path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (2, 2), number).save(picture, "PNG")
    mask.write_bytes(encode_mask(np.full((2, 2), number)))


def _read(folder, text):
    listed = folder / "ImageSets/Segmentation/train.txt"
    listed.write_bytes(text if isinstance(text, bytes) else text.encode())
    found = [voc(folder)[i] for i in range(len(voc(folder)))]
    assert all((image == labels).all() for image, labels, _ in found)
    return [int(sample.labels[0, 0]) for sample in found]


LINES = {
    "photo": 0, "photo (2)": 1, "photo 1": 2, "a.b": 3, "sub/one": 4, "Grüße": 5,
    "photo (2).png": 1, " photo (2) \t": 1, "photo (2).PNG": 1, "JPEGImages/photo (2).png": 1,
    "/JPEGImages/photo.png": 0, "./sub/one.png": 4, "sub\\one": 4, "JPEGImages\\sub\\one.png": 4,
    "JPEGImages/photo.png SegmentationClass/photo.png": 0,
    "/JPEGImages/photo (2).png\t/SegmentationClass/photo (2).png": 1,
    "JPEGImages/a.b.png,SegmentationClass/a.b.png": 3,
}  # fmt: skip


@pytest.mark.parametrize("line", LINES)
def test_a_line(folder, line):
    assert _read(folder, line) == [LINES[line]]


def test_what_is_no_name_is_not_cut_to_one(folder):
    """As ``photo (2)`` was, to ``photo``."""
    for line in ("photo (3)", "photo 2", "photo x", "photo (2) (3)", "pho", "photo.jpg", "photo.b"):
        with pytest.raises(FileError, match="no such file"):
            _read(folder, line)
    with pytest.raises(FileError, match=r"photo 0\.jpg: no such file \(nor .*train\.txt names it"):
        _read(folder, "photo\nphoto 0\n")


def test_lists_by_class_have_a_number_at_the_end(folder):
    assert _read(folder, "2007_000032 -1\nphoto  1\na.b  0\n") == [6, 0, 3]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\n\n", "\r\n \r\n"])
@pytest.mark.parametrize("code", ["utf-8", "utf-8-sig", "utf-16"])
def test_line_endings_and_encodings(folder, end, code):
    text = end.join(["Grüße", "photo (2)", "photo", ""])
    assert _read(folder, text.encode(code)) == [5, 1, 0]


def test_names_that_are_not_utf8(folder):
    assert _read(folder, "Grüße".encode("latin-1")) == [5]
    name = os.fsdecode(b"r\xe9sum\xe9")
    _pair(folder, name, 9)
    assert _read(folder, b"r\xe9sum\xe9\n") == [9]


@pytest.mark.skipif(sys.getfilesystemencoding() != "utf-8", reason="names are bytes here")
def test_accents_in_two_forms(folder):
    apart = unicodedata.normalize("NFD", "Grüße")
    assert _read(folder, apart) == [5]
    _pair(folder, unicodedata.normalize("NFD", "été"), 8)
    assert _read(folder, "été") == [8]


def test_line_separators_of_other_kinds_are_letters(folder):
    _pair(folder, "a\u2028b\x0bc", 7)
    assert _read(folder, "a\u2028b\x0bc\n") == [7]


@pytest.mark.parametrize("end", [".JPG", ".jpeg", ".JPEG", ".Png", ".TIF", ".bmp"])
def test_extensions_in_capitals(folder, end):
    _pair(folder, "other", 7, end)
    assert _read(folder, "other") == [7]
    assert _read(folder, f"other{end}") == [7]
    assert _read(folder, f"other{end.lower()}") == [7]
    os.rename(folder / "SegmentationClass/other.png", folder / "SegmentationClass/other.PNG")
    assert _read(folder, "other") == [7]


def test_the_one_that_is_written_is_taken(folder):
    _pair(folder, "twice", 7, ".jpg")
    Image.new("L", (2, 2), 7).save(folder / "JPEGImages/twice.tif")
    for line in ("twice", "twice.tif", "twice.jpg"):
        assert _read(folder, line) == [7]
    listed = folder / "ImageSets/Segmentation/train.txt"
    listed.write_text("twice.tif\ntwice.jpg")
    found = voc(folder).samples._files
    assert [pair.picture.name for pair in found] == ["twice.tif", "twice.jpg"]


def test_labels_elsewhere(folder):
    _pair(folder, "far", 3, masks="SegmentationClassAug")
    assert _read(folder, "/JPEGImages/far.png /SegmentationClassAug/far.png") == [3]
    with pytest.raises(FileError, match=r"SegmentationClass/far\.png: no such file"):
        _read(folder, "far")


def test_the_lists_name_may_have_its_extension(folder):
    _read(folder, "photo")
    assert voc(folder, "train.txt")[0].name == "photo"
