"""VOC's XML annotations, sound, unsound and hostile."""

from __future__ import annotations

import numpy as np
import pytest
from pictures import exif, png
from PIL import Image

from numseg import ArgumentError, FileError
from numseg.data import read_voc_xml, voc_instances

OBJECT = """<object><name>{name}</name>{more}
<bndbox><xmax>{xmax}</xmax><xmin>{xmin}</xmin><ymin>{ymin}</ymin><ymax>{ymax}</ymax></bndbox>
<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox>
</part></object>"""
USUAL = {"name": "person", "more": "", "xmin": 2, "ymin": 1, "xmax": 5, "ymax": 4}


def one(**fields):
    return OBJECT.format(**USUAL | fields)


def xml(*objects, size="<size><width>6</width><height>4</height><depth>3</depth></size>"):
    return f"<annotation><filename>one.jpg</filename>{size}{''.join(objects)}</annotation>"


@pytest.fixture
def folder(tmp_path):
    for part in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (tmp_path / part).mkdir(parents=True)
    for name in ("one", "two"):
        Image.new("RGB", (6, 4)).save(tmp_path / "JPEGImages" / f"{name}.jpg")
    first = one(more="<difficult>1</difficult><truncated>0</truncated>")
    second = one(name="cat", xmin=1, xmax=6, ymin=1, ymax="4", more="<truncated>1</truncated>")
    (tmp_path / "Annotations/one.xml").write_text(xml(first, second))
    (tmp_path / "Annotations/two.xml").write_text(xml())
    (tmp_path / "ImageSets/Main/train.txt").write_text("one\ntwo\n")
    (tmp_path / "ImageSets/Main/cat_train.txt").write_text("one  1\ntwo -1\n")
    return tmp_path


def test_a_folder_is_read(folder):
    dataset = voc_instances(folder)
    image, found, name = dataset.checked(0)
    assert (name, image.shape, len(dataset)) == ("one", (3, 4, 6), 2)
    assert [dataset.classes[label] for label in found.labels] == ["person", "cat"]
    assert found.boxes.tolist() == [[1, 0, 5, 4], [0, 0, 6, 4]]  # the second is the whole picture
    assert found.difficult.tolist() == [True, False]
    assert found.truncated.tolist() == [False, True]
    assert found.areas.tolist() == [16, 24]
    assert found.masks is None
    assert len(dataset.checked(1).instances) == 0
    assert [sample.name for sample in voc_instances(folder, "cat_train").samples[1:]] == ["two"]


@pytest.mark.parametrize(
    ("corners", "box"),
    [("edges", [1, 0, 5, 4]), ("pixels", [1, 0, 4, 3]), ("file", [2, 1, 5, 4])],
)
def test_what_boxes_are_of_the_files_numbers(folder, corners, box):
    assert voc_instances(folder, corners=corners)[0].instances.boxes[0].tolist() == box
    found = read_voc_xml(folder / "Annotations/one.xml", corners=corners)
    assert found.instances.boxes[0].tolist() == box
    assert found.size == (4, 6)


def test_both_rules_have_vocs_overlap():
    """VOC's own: columns 2 to 5 and 4 to 7 share 2 of 6."""
    from numseg import boxes
    from numseg.data.voc_objects import CORNERS

    for corners, offset in (("edges", 0), ("pixels", 1)):
        rule = CORNERS[corners]
        a, b = (np.array([rule(*map(float, box))]) for box in ((2, 1, 5, 4), (4, 1, 7, 4)))
        assert boxes.iou(a, b, offset=offset).tolist() == [[2 / 6]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (xml(one(name="dragon")), r"object 0: is a 'dragon', which is none of the 20 classes"),
        (xml(one(name="background")), "is a 'background', which is none"),
        (xml(one(), one(xmin=9)), "object 1: has xmin 9 and xmax 5, expected xmin <= xmax"),
        (xml(one(ymax="four")), "object 0: has bndbox/ymax 'four', expected a number"),
        (xml(one(ymax="nan")), "has bndbox/ymax 'nan', expected a number"),
        (xml("<object><name>cat</name></object>"), "object 0: has no bndbox/xmin"),
        (xml("<object></object>"), "object 0: has no name"),
        (xml(one(more="<difficult>2</difficult>")), "has difficult '2', expected 0 or 1"),
        (xml(size="<size><width>-6</width><height>4</height></size>"), "has size/width '-6'"),
        (xml(size="<size><width>5</width><height>4</height></size>"),
         r"one\.xml: is of a picture of 4 x 5, but .*one\.jpg is 4 x 6"),
        ("<annotation>", "cannot be read as XML: no element found"),
        ("", "cannot be read as XML: no element found"),
        ("<html></html>", "is XML of 'html', expected 'annotation'"),
        ("<annotation>" + "<a>" * 40 + "</a>" * 40 + "</annotation>", "has elements 33 deep"),
        ("<?xml version='1.0' encoding='no-such'?><annotation/>", "cannot be read as XML"),
    ],
)  # fmt: skip
def test_files_that_are_unsound(folder, content, message):
    (folder / "Annotations/one.xml").write_text(content)
    with pytest.raises(FileError, match=message) as error:
        voc_instances(folder)[0]
    assert "\n" not in str(error.value)
    assert "one.xml" in str(error.value)


def test_sizes_that_are_not_known(folder):
    for size in ("", "<size/>", "<size><width>0</width><height>0</height></size>"):
        (folder / "Annotations/one.xml").write_text(xml(one(), size=size))
        assert voc_instances(folder)[0].instances.boxes.tolist() == [[1, 0, 5, 4]]


LAUGHS = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10))


@pytest.mark.parametrize(
    "doctype",
    [
        f'<!DOCTYPE annotation [<!ENTITY l0 "ha">{LAUGHS}]>',
        '<!DOCTYPE annotation [<!ENTITY l9 SYSTEM "{secret}">]>',
        '<!DOCTYPE annotation SYSTEM "{secret}">',
        '<!DOCTYPE annotation [<!ENTITY % all SYSTEM "{secret}"> %all;]>',
    ],
    ids=["bomb", "file", "dtd", "parameter"],
)
def test_entities_are_refused_and_nothing_is_read_from_elsewhere(folder, doctype, monkeypatch):
    """The document type is refused where it begins, before an entity is declared."""
    secret = folder / "secret"
    secret.write_text("person")
    hostile = doctype.replace("{secret}", secret.as_uri()) + xml(one(name="&l9;"))
    (folder / "Annotations/one.xml").write_text(hostile)
    with pytest.raises(FileError, match=r"one\.xml: has a document type \(annotation\)"):
        voc_instances(folder)[0]


def test_an_entity_without_a_document_type_is_none(folder):
    (folder / "Annotations/one.xml").write_text(xml(one(name="&secret;")))
    with pytest.raises(FileError, match="cannot be read as XML: undefined entity"):
        voc_instances(folder)[0]


def test_large_files_are_refused(folder, monkeypatch):
    monkeypatch.setattr("numseg.data.voc_objects.LARGEST_FILE", 100)
    with pytest.raises(FileError, match=r"one\.xml: has \d+ bytes, expected at most 100"):
        voc_instances(folder)[0]


@pytest.mark.parametrize("part", ["JPEGImages", "Annotations", "ImageSets"])
def test_a_missing_part_is_named(folder, part):
    (folder / part).rename(folder / "elsewhere")
    with pytest.raises(FileError, match=rf"{part}.*: no such folder"):
        voc_instances(folder)


def test_missing_files_are_named(folder):
    with pytest.raises(FileError, match=r"val\.txt: no such file \(lists there: cat_train, tra"):
        voc_instances(folder, "val")
    (folder / "Annotations/two.xml").unlink()
    with pytest.raises(FileError, match=r"two\.xml: no such file"):
        voc_instances(folder)
    with pytest.raises(ArgumentError, match="corners must be one of 'edges', 'pixels', 'file'"):
        voc_instances(folder, corners="centres")


def test_photographs_that_are_stored_turned(folder):
    """On its side, 4 x 6 as stored: annotations of 6 x 4 lie on the upright one; no others do."""
    (folder / "JPEGImages/one.jpg").unlink()
    (folder / "JPEGImages/one.png").write_bytes(png(np.zeros((4, 6), int), 8, more=exif(6)))
    with pytest.raises(FileError, match=r"one\.png: is stored turned \(EXIF orientation 6\), and .*"
                       r"one\.xml may lie on either view"):  # fmt: skip
        voc_instances(folder)[0]
    upright = xml(one(), size="<size><width>4</width><height>6</height></size>")
    (folder / "Annotations/one.xml").write_text(upright)
    assert voc_instances(folder)[0].image.shape == (1, 6, 4)
    (folder / "JPEGImages/one.png").write_bytes(png(np.zeros((6, 4), int), 8, more=exif(3)))
    with pytest.raises(FileError, match="orientation 3"):
        voc_instances(folder)[0]
