"""Numbers of label pictures arrive as they are in the file, and lie on their photograph."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from pictures import chunk, exif, png
from PIL import Image, ImageOps

from numseg import ArgumentError, ArgumentTypeError, FileError
from numseg.data import (
    encode_mask,
    overlay,
    palette,
    read_colours,
    read_image,
    read_mask,
    read_pair,
    voc,
)
from numseg.data.stored import turned


def _file(path, content):
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("kind", [0, 3])
@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_masks_of_few_bits_are_not_scaled(tmp_path, depth, kind):
    numbers = np.arange(2**depth).reshape(2, -1)
    found = read_mask(_file(tmp_path / "m.png", png(numbers, depth, kind)))
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, numbers)


def test_masks_of_16_bits(tmp_path):
    numbers = np.array([[0, 1, 255], [256, 300, 65535]])
    np.testing.assert_array_equal(read_mask(_file(tmp_path / "m.png", png(numbers, 16))), numbers)
    for dtype in ("<u2", ">u2", "<i2", "<i4"):
        shorter = np.minimum(numbers, 32767)
        path = tmp_path / "m.tif"
        Image.fromarray(shorter.astype(dtype if dtype != "<i2" else "<i4")).save(path)
        np.testing.assert_array_equal(read_mask(path), shorter)


def test_masks_of_netpbm_are_not_spread(tmp_path):
    """Pillow spreads 0 to the largest number that the file states over 0 to 255, or 65535."""
    numbers = [[0, 5, 20]]
    assert read_mask(_file(tmp_path / "a.pgm", b"P5\n3 1\n20\n\x00\x05\x14")).tolist() == numbers
    assert read_mask(_file(tmp_path / "b.pgm", b"P2\n3 1\n20\n0 5 20\n")).tolist() == numbers
    assert read_mask(_file(tmp_path / "c.pgm", b"P5\n3 1\n255\n\x00\x05\x14")).tolist() == numbers
    for top in (1, 2, 21, 200, 254, 300, 65534):
        every = np.unique(np.linspace(0, top, 300).astype(int))
        text = f"P2\n{len(every)} 1\n{top}\n" + "\n".join(map(str, every))
        assert read_mask(_file(tmp_path / "d.pgm", text.encode())).tolist() == [every.tolist()]
    assert read_mask(_file(tmp_path / "e.pbm", b"P1\n3 1\n0 1 1\n")).tolist() == [[0, 1, 1]]


@pytest.mark.parametrize("bits", [8, 32])
@pytest.mark.parametrize("kind", ["i", "u"])
def test_masks_of_tiff(tmp_path, bits, kind):
    tifffile = pytest.importorskip("tifffile")
    dtype = np.dtype(f"{kind}{bits // 8}")
    numbers = np.array([[0, 7, np.iinfo(dtype).max, np.iinfo(dtype).min]], dtype)
    tifffile.imwrite(tmp_path / "m.tif", numbers)
    np.testing.assert_array_equal(read_mask(tmp_path / "m.tif"), numbers)


def test_a_tiff_whose_zero_is_white(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(
        tmp_path / "m.tif", np.array([[0, 7, 255]], np.uint8), photometric="miniswhite"
    )
    assert read_mask(tmp_path / "m.tif").tolist() == [[0, 7, 255]]


@pytest.mark.parametrize("write", ["png", "<", ">", "zlib"])
def test_colours_of_16_bits_are_not_narrowed(tmp_path, write):
    pixels = np.random.default_rng(0).integers(0, 65536, (5, 6, 3)).astype(np.uint16)
    path = tmp_path / "c.png"
    if write == "png":
        path.write_bytes(png(pixels, 16, 2))
    else:
        tifffile = pytest.importorskip("tifffile")
        packed = {"compression": "zlib"} if write == "zlib" else {"byteorder": write}
        tifffile.imwrite(path, pixels, photometric="rgb", **packed)
    found = read_image(path)
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, pixels.transpose(2, 0, 1))


def test_transparency_of_16_bits_is_laid_on_white(tmp_path):
    pixels = np.array([[[100, 200, 300, 65535], [100, 200, 300, 0], [65535, 0, 0, 32768]]])
    found = read_image(_file(tmp_path / "a.png", png(pixels, 16, 6)))[:, 0].T
    assert found.tolist() == [[100, 200, 300], [65535] * 3, [65535, 32767, 32767]]
    clear = chunk(b"tRNS", struct.pack(">3H", 100, 200, 301))
    colours = np.array([[[100, 200, 300], [100, 200, 301]]])
    found = read_image(_file(tmp_path / "t.png", png(colours, 16, 2, clear)))[:, 0].T
    assert found.tolist() == [[100, 200, 300], [65535] * 3]
    clear = chunk(b"tRNS", struct.pack(">H", 300))
    found = read_image(_file(tmp_path / "g.png", png([[300, 301]], 16, 0, clear)))
    assert found.tolist() == [[[65535, 301]]]
    grey = _file(tmp_path / "la.png", png(pixels[..., :2], 16, 4))
    with pytest.raises(FileError, match=r"la\.png: .* 16 bits per channel come as 8 in this form"):
        read_image(grey)
    netpbm = _file(tmp_path / "c.ppm", b"P6\n1 1\n65535\n" + bytes(6))
    with pytest.raises(FileError, match="16 bits per channel come as 8"):
        read_image(netpbm)


# -- orientation ----------------------------------------------------------------------------------

PIXELS = np.arange(12, dtype=np.uint8).reshape(3, 4)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pixels_are_turned_as_pillow_turns_them(orientation):
    picture = Image.open(io.BytesIO(png(PIXELS, 8, more=exif(orientation))))
    expected = np.asarray(ImageOps.exif_transpose(picture))
    np.testing.assert_array_equal(turned(PIXELS, orientation), expected)


@pytest.mark.parametrize("end", ["jpg", "png", "tif"])
@pytest.mark.parametrize("square", [False, True])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_mask_is_turned_with_its_photograph(tmp_path, orientation, square, end):
    shape = (16, 16) if square else (16, 24)
    labels = (np.random.default_rng(0).random((shape[0] // 8, shape[1] // 8)) > 0.5).astype(
        np.uint8
    )
    labels = labels.repeat(8, 0).repeat(8, 1)
    tag = Image.Exif()
    tag[0x0112] = orientation
    photograph, mask = tmp_path / f"p.{end}", tmp_path / "m.png"
    Image.fromarray(labels * np.uint8(200)).save(photograph, exif=tag)
    mask.write_bytes(png(labels, 8))
    image, found = read_pair(photograph, mask)
    np.testing.assert_array_equal(found, image[0] > 100)
    np.testing.assert_array_equal(found, turned(labels, orientation))
    # what numseg writes says that it is upright, and so does one that fits the upright only
    mask.write_bytes(encode_mask(turned(labels, orientation)))
    np.testing.assert_array_equal(read_pair(photograph, mask)[1], turned(labels, orientation))
    if not square and orientation > 4:
        mask.write_bytes(png(turned(labels, orientation), 8))
        np.testing.assert_array_equal(read_pair(photograph, mask)[1], turned(labels, orientation))


@pytest.mark.parametrize("packed", ["raw", "tiff_deflate"])
def test_a_mask_in_a_tiff_that_states_its_own_orientation(tmp_path, packed):
    tag = Image.Exif()
    tag[0x0112] = 6
    path = tmp_path / "m.tif"
    for pixels in (PIXELS, PIXELS.astype(np.uint16) * 300):
        Image.fromarray(pixels).save(path, exif=tag, compression=packed)
        np.testing.assert_array_equal(read_mask(path), turned(pixels, 6))


def test_a_mask_that_states_its_own_orientation(tmp_path):
    mask = _file(tmp_path / "m.png", png(PIXELS, 8, more=exif(6)))
    np.testing.assert_array_equal(read_mask(mask), turned(PIXELS, 6))
    photograph = tmp_path / "p.png"
    photograph.write_bytes(png(PIXELS.T, 8, more=exif(3)))
    np.testing.assert_array_equal(read_pair(photograph, mask)[1], turned(PIXELS, 6))


# -- colours --------------------------------------------------------------------------------------

COLOURS = [(0, 0, 0), (128, 64, 128), (70, 70, 70)]


def test_colours_of_classes(tmp_path):
    labels = np.array([[0, 1, 2], [2, 2, 0]])
    path = tmp_path / "m.png"
    pixels = np.array(COLOURS, np.uint8)[labels]
    path.write_bytes(png(pixels, 8, 2))
    np.testing.assert_array_equal(read_mask(path, COLOURS), labels)
    path.write_bytes(png(np.dstack([pixels, np.full(labels.shape, 255)]), 8, 6))
    np.testing.assert_array_equal(read_mask(path, COLOURS), labels)
    with pytest.raises(FileError, match=r"has the colour \(70, 70, 70\) in 3 places .*row 0, col"):
        read_mask(path, COLOURS[:2])
    path.write_bytes(png(np.dstack([pixels, np.full(labels.shape, 254)]), 8, 6))
    with pytest.raises(FileError, match="is transparent in places"):
        read_mask(path, COLOURS)
    np.testing.assert_array_equal(read_mask(_file(path, png(labels, 8)), COLOURS), labels)


def test_a_palette_in_another_order_is_no_guess(tmp_path):
    labels = np.array([[0, 1, 2]])
    path = _file(tmp_path / "m.png", encode_mask(labels, COLOURS))
    np.testing.assert_array_equal(read_mask(path, COLOURS), labels)
    with pytest.raises(
        FileError, match=r"shows label 1 as \(128, 64, 128\), the colour of class 2"
    ):
        read_mask(path, [COLOURS[0], COLOURS[2], COLOURS[1]])
    np.testing.assert_array_equal(read_mask(path, palette()), labels)


@pytest.mark.parametrize(
    ("colours", "message"),
    [
        ([(0, 0, 0), (0, 0, 0)], r"colours has \(0, 0, 0\) more than once"),
        ([(0, 0, 256)], "colours holds 0 to 256, expected 0 to 255"),
        ([0, 1], r"colours is an array \(2,\) of int64, expected \(classes, 3\)"),
    ],
)
def test_tables_that_are_none(tmp_path, colours, message):
    with pytest.raises(ArgumentError, match=message):
        read_mask(tmp_path / "m.png", colours)


# -- written --------------------------------------------------------------------------------------


@pytest.mark.parametrize("top", [1, 255, 256, 300, 65535])
@pytest.mark.parametrize("dtype", [np.int64, np.uint16, np.int32])
def test_what_is_written_is_read(tmp_path, top, dtype):
    labels = np.array([[0, 1, top]], dtype)
    np.testing.assert_array_equal(read_mask(_file(tmp_path / "m.png", encode_mask(labels))), labels)


def test_labels_that_no_picture_holds():
    for worst in (-100, 65536):
        with pytest.raises(
            ArgumentError, match=f"labels holds {worst}, but a PNG holds 0 to 65535"
        ):
            encode_mask(np.array([[0, worst]]))
    with pytest.raises(ArgumentTypeError, match="labels has dtype float64, expected an integer"):
        encode_mask(np.array([[0.0]]))


def test_labels_beyond_the_colours_are_not_tinted():
    image = np.full((1, 2, 2), 100, np.uint8)
    for label in (-100, 2, 300):
        seen = overlay(image, np.full((2, 2), label), np.array(COLOURS[:2]))
        assert (seen == 100).all()
    many = overlay(image, np.full((2, 2), 300))
    np.testing.assert_array_equal(
        many[:, 0, 0], (5 * 100 + 5 * palette(301)[300].astype(int)) // 10
    )


def test_more_than_255_classes_in_a_folder(tmp_path):
    for part in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (tmp_path / part).mkdir(parents=True)
    (tmp_path / "ImageSets/Segmentation/train.txt").write_text("a")
    numbers = np.array([[0, 255], [299, 65535]])
    (tmp_path / "SegmentationClass/a.png").write_bytes(png(numbers, 16))
    (tmp_path / "JPEGImages/a.png").write_bytes(png(numbers // 256, 8))
    classes = [f"class {i}" for i in range(300)]
    with pytest.raises(ArgumentError, match="ignore_index is 255, which is one of the 300 classes"):
        voc(tmp_path, classes=classes)
    dataset = voc(tmp_path, classes=classes, ignore_index=65535)
    assert dataset.checked(0).labels.tolist() == numbers.tolist()
    with pytest.raises(FileError, match="holds label 65535, but there are 300 classes"):
        voc(tmp_path, classes=classes, ignore_index=None)[0]


def test_colours_of_a_picture_are_a_label_each(tmp_path):
    """Black is 0, if there is any; the others from 1 on. Numbers have none."""
    pixels = np.array([[[0, 0, 0], [9, 0, 0], [0, 0, 9], [9, 0, 0]]], np.uint8)
    path = tmp_path / "c.png"
    for at, labels in ((slice(None), [[0, 2, 1, 2]]), (slice(1, None), [[2, 1, 2]])):
        Image.fromarray(pixels[:, at]).save(path)
        table = read_colours(path)
        np.testing.assert_array_equal(table.rows, [[0, 0, 0], [0, 0, 9], [9, 0, 0]])
        assert read_mask(path, table).tolist() == labels
    Image.fromarray(pixels[..., 0]).save(path)
    assert read_colours(path) is None
    many = np.arange(255 * 3, dtype=np.uint16).reshape(1, 255, 3).astype(np.uint8)
    Image.fromarray(many).save(path)
    with pytest.raises(FileError, match=r"c.png: has 255 colours, expected at most 254, a label"):
        read_colours(path)
    Image.fromarray(np.dstack([pixels, pixels[..., 0]])).save(path)
    with pytest.raises(FileError, match="is transparent in places"):
        read_colours(path)
