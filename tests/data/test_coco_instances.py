"""COCO's annotations, sound, unsound and hostile."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from numseg import ArgumentError, FileError, MissingExtra
from numseg.data import coco, coco_instances
from numseg.data.coco import uncompressed

SQUARE = [1, 1, 4, 1, 4, 3, 1, 3]  # columns 1 to 3, rows 1 and 2
RUNS = {"size": [4, 6], "counts": [1, 3, 16, 4]}  # rows 1 to 3 of column 0, and column 5


def annotation(**fields):
    usual = {"id": 7, "image_id": 2, "category_id": 18, "bbox": [1, 1, 3, 2], "iscrowd": 0,
             "area": 6.5, "segmentation": [SQUARE]}  # fmt: skip
    return {k: v for k, v in (usual | fields).items() if v is not None}


def write(folder, *annotations, **parts):
    content = {
        "images": [
            {"id": 2, "file_name": "b.png", "height": 4, "width": 6},
            {"id": 1, "file_name": "a.png", "height": 4, "width": 6},
        ],
        "categories": [{"id": 90, "name": "brush"}, {"id": 18, "name": "dog"}],
        "annotations": annotations,
    }
    (folder / "instances.json").write_text(json.dumps(content | parts))
    return folder / "instances.json", folder


@pytest.fixture
def folder(tmp_path):
    for name in ("a.png", "b.png"):
        Image.new("RGB", (6, 4)).save(tmp_path / name)
    return tmp_path


@pytest.fixture
def _pycocotools():
    pytest.importorskip("pycocotools")


def test_boxes_need_no_pycocotools(folder, monkeypatch):
    def missing(module, package, extra, purpose):
        raise MissingExtra(package, extra, purpose)

    monkeypatch.setattr(coco, "optional", missing)
    crowd = annotation(id=8, category_id=90, iscrowd=1, bbox=[0.5, 0, 2.25, 4], area=None,
                       segmentation=None)  # fmt: skip
    data = coco_instances(*write(folder, annotation(), crowd), masks=False)
    assert data.classes == ("background", "dog", "brush")
    image, found, name = data.checked(0)
    assert (name, image.shape) == ("b.png", (3, 4, 6))
    assert found.boxes.tolist() == [[1, 1, 4, 3], [0.5, 0, 2.75, 4]]
    assert found.labels.tolist() == [1, 2]
    assert found.crowd.tolist() == [False, True]
    assert found.areas.tolist() == [6.5, 9]
    assert found.masks is None
    assert len(data.checked(1).instances) == 0
    assert [sample.name for sample in data.samples[1:]] == ["a.png"]
    with pytest.raises(MissingExtra, match=r"reading polygons needs pycocotools.*numseg\[coco\]"):
        coco_instances(*write(folder))


def test_labels_that_are_categories_ids(folder):
    arguments = write(folder, annotation(category_id=90))
    data = coco_instances(*arguments, masks=False, labels="category_ids")
    assert data.checked(0).instances.labels.tolist() == [90]
    assert len(data.classes) == 91
    assert (data.classes[18], data.classes[17], data.classes[90]) == ("dog", "N/A", "brush")
    none = write(folder, categories=[{"id": 0, "name": "nothing"}])
    with pytest.raises(FileError, match="has category 0, expected 1 to 65535"):
        coco_instances(*none, masks=False, labels="category_ids")
    with pytest.raises(ArgumentError, match="labels must be one of 'contiguous', 'category_ids'"):
        coco_instances(*arguments, labels="names")


@pytest.mark.usefixtures("_pycocotools")
def test_polygons_and_runs_by_hand(folder):
    two = annotation(id=9, segmentation=[SQUARE, [4, 0, 6, 0, 6, 1, 4, 1]])
    runs = annotation(id=10, segmentation=RUNS, iscrowd=1)
    found = coco_instances(*write(folder, annotation(), two, runs))[0].instances
    square = [[0, 0, 0, 0, 0, 0], [0, 1, 1, 1, 0, 0], [0, 1, 1, 1, 0, 0], [0, 0, 0, 0, 0, 0]]
    both = [[0, 0, 0, 0, 1, 1], *square[1:]]
    lines = [[0, 0, 0, 0, 0, 1], *([[1, 0, 0, 0, 0, 1]] * 3)]
    assert found.masks.astype(int).tolist() == [square, both, lines]
    nothing = coco_instances(*write(folder))[0].instances
    assert nothing.masks.shape == (0, 4, 6)


def test_compressed_runs_by_hand():
    """1, 3, 16, 4: from the fourth on the difference to two before, 4 - 3 = 1. 16 is ten bits,
    as the fifth is the sign: 1 0000 and 0 0000 with the sign of a number that goes on."""
    assert uncompressed("13`01") == [1, 3, 16, 4]
    assert uncompressed("") == []
    assert uncompressed("`") is None  # it goes on, and ends
    assert uncompressed("1 ") is None
    assert uncompressed("o" * 9 + "0") is None


@pytest.mark.usefixtures("_pycocotools")
def test_compressed_runs_are_pycocotools():
    mask = pytest.importorskip("pycocotools.mask")
    random = np.random.default_rng(0)
    for shape in ((1, 1), (5, 3), (17, 40), (120, 90)):
        for share in (0.0, 0.02, 0.5, 1.0):
            pixels = random.random(shape) < share
            counts = mask.encode(np.asfortranarray(pixels.astype(np.uint8)))["counts"].decode()
            lengths = uncompressed(counts)
            ones = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
            np.testing.assert_array_equal(ones.reshape(shape[::-1]).T, pixels)


@pytest.mark.usefixtures("_pycocotools")
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"image_id": 3}, "annotation 7: is of picture 3, which is none"),
        ({"image_id": "2"}, "annotation 7: has image_id '2', expected an integer"),
        ({"category_id": 5}, "annotation 7: is of category 5, which is none"),
        ({"bbox": [1, 1, -3, 2]}, r"has bbox \[1, 1, -3, 2\], expected x, y, width, height"),
        ({"bbox": [1, 1, 3]}, r"has bbox \[1, 1, 3\], expected x, y, width, height"),
        ({"bbox": [1, 1, 3, float("inf")]}, "has bbox .*, expected numbers"),
        ({"bbox": None}, "has bbox None, expected numbers"),
        ({"iscrowd": 2}, "has iscrowd 2, expected 0 or 1"),
        ({"area": "large"}, "has area .'large'., expected numbers"),
        ({"segmentation": None}, r"has no segmentation \(masks=False reads boxes alone\)"),
        ({"segmentation": [[1, 1, 2, 2]]}, "has a polygon of 4 numbers, expected x and y of 3"),
        ({"segmentation": [[*SQUARE, 1]]}, "has a polygon of 9 numbers"),
        ({"segmentation": [SQUARE, "x"]}, "has polygon 'x', expected numbers"),
        ({"segmentation": [[0, 0, 1e9, 0, 0, 1]]}, "reaches 1e.09, but the picture is 4 x 6"),
        ({"segmentation": RUNS | {"size": [6, 4]}}, r"size \[6, 4\], expected \[4, 6\]"),
        ({"segmentation": RUNS | {"counts": [1, 3]}}, "run lengths of 4 pixels, but .* 4 x 6"),
        ({"segmentation": RUNS | {"counts": [-1, 25]}}, r"run lengths of \[-1, 25\] pixels"),
        ({"segmentation": RUNS | {"counts": "13`0`"}}, "run lengths of '13`0`' pixels"),
        ({"segmentation": RUNS | {"counts": "ooooo0"}}, "run lengths of"),
    ],
)
def test_annotations_that_are_unsound(folder, fields, message):
    with pytest.raises(FileError, match=message) as error:
        coco_instances(*write(folder, annotation(**fields)))[0]
    assert "instances.json: annotation 7: " in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"images": None}, "has no list of images"),
        ({"annotations": [3]}, "has no list of annotations"),
        ({"categories": [{"id": 1, "name": "a"}] * 2}, "has two categories of id 1"),
        ({"categories": [{"id": 1}]}, "categories 1: has name None"),
        ({"images": [{"id": 1, "file_name": "a.png", "height": 4}]}, "image 1: has width None"),
        ({"images": [{"id": 1, "file_name": "a.png", "height": 4, "width": 2**40}]},
         "image 1: is 4 x 1099511627776, expected 1 to 32768 pixels"),
        ({"images": [{"id": 1, "file_name": "a.png", "height": 4, "width": 5}]},
         r"is of a picture of 4 x 5, but .*a\.png is 4 x 6"),
        ({"images": [{"id": 1, "file_name": "c.png", "height": 4, "width": 5}]},
         r"c\.png: no such file"),
    ],
)  # fmt: skip
def test_files_that_are_unsound(folder, parts, message):
    with pytest.raises(FileError, match=message):
        coco_instances(*write(folder, **parts), masks=False)[0]


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../a.png", "x/../../a.png", "..\\a.png", "C:/a", ""]
)
def test_pictures_lie_in_the_folder(folder, name):
    images = [{"id": 1, "file_name": name, "height": 4, "width": 6}]
    with pytest.raises(FileError, match=r"image 1: has file_name .*, expected one inside of"):
        coco_instances(*write(folder, images=images), masks=False)[0]


def test_files_that_are_no_json(folder):
    path = folder / "x.json"
    for content, message in (("{", "cannot be read as JSON"), ("[]", "is JSON of a list"),
                             ("[" * 10**6, "cannot be read as JSON")):  # fmt: skip
        path.write_text(content)
        with pytest.raises(FileError, match=rf"x\.json: {message}"):
            coco_instances(path, folder, masks=False)
    with pytest.raises(FileError, match=r"none\.json: no such file"):
        coco_instances(folder / "none.json", folder, masks=False)
    with pytest.raises(FileError, match="nowhere: no such folder"):
        coco_instances(path, folder / "nowhere", masks=False)
