"""Pictures of every kind, and files that are none."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from numseg import ArgumentError, FileError
from numseg.data import (
    as_input,
    encode_image,
    encode_mask,
    overlay,
    palette,
    read_image,
    read_mask,
)


def _save(path, array, mode=None, **options):
    picture = Image.fromarray(array)
    (picture.convert(mode) if mode else picture).save(path, **options)
    return path


GREY = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
COLOUR = np.stack([GREY, GREY[::-1], 255 - GREY], axis=2)


def test_grey_and_colour(tmp_path):
    grey = read_image(_save(tmp_path / "g.png", GREY))
    assert grey.dtype == np.uint8
    np.testing.assert_array_equal(grey, GREY[None])
    colour = read_image(_save(tmp_path / "c.png", COLOUR))
    np.testing.assert_array_equal(colour, COLOUR.transpose(2, 0, 1))


def test_sixteen_bits_stay_sixteen(tmp_path):
    deep = GREY.astype(np.uint16) * 257
    image = read_image(_save(tmp_path / "d.png", deep))
    assert image.dtype == np.uint16
    np.testing.assert_array_equal(image, deep[None])
    np.testing.assert_array_equal(as_input(image, 1), as_input(GREY[None], 1))


def test_transparency_is_laid_on_white(tmp_path):
    rgba = np.dstack([COLOUR, np.zeros((3, 4), np.uint8)])
    rgba[0, :, 3] = 255
    image = read_image(_save(tmp_path / "a.png", rgba))
    np.testing.assert_array_equal(image[:, 0], COLOUR[0].T)
    assert (image[:, 1:] == 255).all()
    grey = read_image(_save(tmp_path / "la.png", rgba, "LA"))
    assert grey.shape == (1, 3, 4)
    assert (grey[:, 1:] == 255).all()


def test_palettes_black_and_white_and_cmyk(tmp_path):
    indices = Image.fromarray(np.array([[0, 1]], np.uint8))
    indices.putpalette([10, 20, 30, 40, 50, 60])
    indices.save(tmp_path / "p.png")
    np.testing.assert_array_equal(
        read_image(tmp_path / "p.png")[:, 0].T, [[10, 20, 30], [40, 50, 60]]
    )
    Image.fromarray(np.array([[True, False]])).save(tmp_path / "1.png")
    np.testing.assert_array_equal(read_image(tmp_path / "1.png"), [[[255, 0]]])
    Image.new("CMYK", (2, 1), (255, 0, 0, 0)).save(tmp_path / "k.tif")
    np.testing.assert_array_equal(read_image(tmp_path / "k.tif")[:, 0, 0], [0, 255, 255])


def test_a_photograph_stored_turned_is_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held on its side: turn right to see it upright
    Image.fromarray(GREY).save(tmp_path / "t.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "t.png")[0], np.rot90(GREY, -1))


def test_files_that_are_no_pictures(tmp_path):
    good = _save(tmp_path / "good.png", COLOUR).read_bytes()
    cases = {
        "empty.png": b"",
        "text.png": b"these are words, not a picture",
        "cut.png": good[: len(good) // 2],
        "bent.png": good[:45] + bytes([good[45] ^ 255]) + good[46:],
    }
    for name, content in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(FileError, match=f"{name}: cannot be read as a picture") as error:
            read_image(tmp_path / name)
        assert "\n" not in str(error.value)
    with pytest.raises(FileError, match=r"none\.png: no such file"):
        read_image(tmp_path / "none.png")
    with pytest.raises(FileError, match="is a folder, not a picture"):
        read_image(tmp_path)


def test_pixels_of_floats_are_refused(tmp_path):
    path = _save(tmp_path / "f.tif", GREY.astype(np.float32))
    with pytest.raises(FileError, match="has pixels of float32, expected 8 or 16 bits"):
        read_image(path)


def test_masks_are_indices_not_colours(tmp_path):
    labels = np.array([[0, 1, 255], [20, 1, 0]], np.uint8)
    (tmp_path / "m.png").write_bytes(encode_mask(labels))
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png"), labels)
    np.testing.assert_array_equal(
        read_image(tmp_path / "m.png").transpose(1, 2, 0), palette()[labels]
    )
    np.testing.assert_array_equal(read_mask(_save(tmp_path / "l.png", labels)), labels)


def test_masks_of_colours_are_refused(tmp_path):
    with pytest.raises(FileError, match="is a picture of mode RGB, expected palette indices"):
        read_mask(_save(tmp_path / "rgb.png", COLOUR))


def test_the_palette_is_pascal_vocs():
    """The first colours as the VOC development kit lists them, and the border's."""
    expected = [(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128), (128, 0, 128)]
    expected += [(0, 128, 128), (128, 128, 128), (64, 0, 0)]
    assert palette()[:9].tolist() == [list(colour) for colour in expected]
    assert palette()[255].tolist() == [224, 224, 192]


def test_as_input_scales_and_converts():
    np.testing.assert_array_equal(
        as_input(np.array([[[0, 255]]], np.uint8), 3), np.tile([[[0, 1]]], (3, 1, 1))
    )
    red = np.array([[[255]], [[0]], [[0]]], np.uint8)
    np.testing.assert_array_equal(as_input(red, 1), np.full((1, 1, 1), np.float32(0.299)))
    same = np.full((3, 1, 1), 0.25, np.float32)
    assert as_input(same, 3) is same
    with pytest.raises(ArgumentError, match="image has 3 channels, but the network takes 4"):
        as_input(red, 4)
    with pytest.raises(ArgumentError, match="image has dtype int64"):
        as_input(red.astype(np.int64), 3)
    with pytest.raises(ArgumentError, match="expected 3 axes"):
        as_input(GREY, 1)


def test_overlay_leaves_class_0_and_outlines_the_others():
    labels = np.zeros((6, 6), int)
    labels[2:, 2:] = 1
    image = np.full((1, 6, 6), 100, np.uint8)
    seen = overlay(image, labels)
    assert seen[:, 0, 0].tolist() == [100, 100, 100]
    assert seen[:, 2, 4].tolist() == [255, 255, 255]
    assert seen[:, 4, 4].tolist() == [114, 50, 50]  # half of (100, 100, 100) and of (128, 0, 0)
    assert encode_image(seen).startswith(b"\x89PNG")
