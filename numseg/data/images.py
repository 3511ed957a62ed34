"""Picture files: read as they are, and brought into the form a network takes."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from numseg import checks
from numseg.data import stored
from numseg.data.colours import Colours, ColourTable
from numseg.data.labels import as_labels
from numseg.errors import ArgumentError, ArgumentTypeError, FileError
from numseg.files import optional
from numseg.typing import Array, ArrayLike


def read_image(path: str | os.PathLike[str]) -> Array:
    """A picture as (C, H, W), C = 1 for grey and 3 for colour, uint8 or uint16.

    Pictures of 16 bits per channel come as uint16. Palettes are looked up; a transparent picture is
    laid on white; a photograph that is stored turned (EXIF) is turned upright.

    Raises
    ------
    FileError
        If the file is missing, damaged, or holds what is not a picture of this kind.
    MissingExtra
        Without Pillow.
    """
    pillow = _pillow("reading pictures")
    with _opened(path, pillow) as opened:
        pixels = stored.deep_colours(
            opened, lambda: pillow.Image.open(io.BytesIO(Path(path).read_bytes()))
        )
        opened.load()
        if pixels is None:
            pixels = _pixels(path, opened, pillow)
        elif pixels.shape[-1] == 4:
            pixels = _on_white(pixels)
        if pixels.dtype == np.uint16 and "transparency" in opened.info:  # one colour is clear
            clear = pixels == np.array(opened.info["transparency"])
            pixels[clear if pixels.ndim == 2 else clear.all(axis=2)] = 65535
        turn = stored.left_to_turn(opened)
    return stored.turned(pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, 2, 0), turn)


def _pixels(path: str | os.PathLike[str], picture: Any, pillow: _Pillow) -> Array:
    """The pixels of a loaded picture, (H, W) or (H, W, 3)."""
    if picture.mode.startswith("I") or picture.mode == "F":
        return _deep(path, np.asarray(picture))
    if picture.mode in ("LA", "PA", "La", "RGBA", "RGBa") or "transparency" in picture.info:
        grey = picture.mode in ("L", "LA", "La")
        picture = picture.convert("RGBA")
        white = pillow.Image.new("RGBA", picture.size, "white")
        picture = pillow.Image.alpha_composite(white, picture).convert("L" if grey else "RGB")
    return np.asarray(picture.convert("L" if picture.mode in ("1", "L") else "RGB"))


def _deep(path: str | os.PathLike[str], pixels: Array) -> Array:
    """Grey pictures of more than 8 bits."""
    if pixels.dtype.kind == "f" or pixels.min(initial=0) < 0 or pixels.max(initial=0) > 65535:
        raise FileError(f"{path}: has pixels of {pixels.dtype}, expected 8 or 16 bits per channel")
    return pixels.astype(np.uint16)


def _on_white(pixels: Array) -> Array:
    """Colours and alpha, (H, W, 4) uint16, laid on white."""
    colour, alpha = pixels[..., :3].astype(np.uint64), pixels[..., 3:].astype(np.uint64)
    return ((colour * alpha + 65535 * (65535 - alpha) + 32767) // 65535).astype(np.uint16)


def read_mask(
    path: str | os.PathLike[str],
    colours: Colours | ColourTable | None = None,
    clear: bool = False,
) -> Array:
    """A label picture as (H, W) int64: the numbers in the file, not the colours they show as.

    Parameters
    ----------
    path : path
        Grey of 1, 2, 4, 8 or 16 bits, or palette indices: nothing is scaled, a pixel of a 4-bit
        picture is 0 to 15. Or colours, each of which stands for a class.
    colours : array, (C, 3), uint8, or mapping of (red, green, blue) to int, optional
        For pictures of colours: the colour of each class, no two alike; or the label of each
        colour, several of which may mean the same.
    clear : bool
        In a picture of colours, what is transparent, even in part, is black. Otherwise it is an
        error.

    Raises
    ------
    FileError
        If the file is missing, damaged, or not such a picture; if it has a colour that is none of
        ``colours``; if it has a palette whose colours are ``colours`` in another order, so that
        its numbers say something else than its colours.
    MissingExtra
        Without Pillow.
    """
    table = None if colours is None else ColourTable.of(colours)
    pillow = _pillow("reading label pictures")
    with _opened(path, pillow) as picture:
        if picture.mode in _NUMBERED:
            labels = stored.numbers(picture)
            if picture.mode == "P" and table is not None:
                table.check_palette(path, np.unique(labels), picture.getpalette("RGB"))
        elif picture.mode in ("RGB", "RGBA") and table is not None:
            labels = table.labels(path, _opaque(path, picture, clear))
        else:
            hint = ", or a table of colours" if picture.mode.startswith("RGB") else ""
            raise FileError(
                f"{path}: is a picture of mode {picture.mode}, expected palette indices (mode P) "
                f"or grey (mode L) whose values are classes{hint}"
            )
        return stored.turned(labels, stored.left_to_turn(picture))


_NUMBERED = ("1", "L", "P", "I", "I;16", "I;16B", "I;16L", "I;16N")
"""Pillow's modes of pictures that hold one integer for a pixel."""


def read_colours(path: str | os.PathLike[str], clear: bool = False) -> ColourTable | None:
    """The colours of a label picture, each a label of its own: black 0, the others from 1 on; or
    None, if the picture is one of numbers. ``clear``: what is transparent, even in part, is black.

    Raises
    ------
    FileError
        As :func:`read_mask`; and for more than 254 colours besides black: a photograph, or labels
        that were saved as JPEG.
    """
    with _opened(path, _pillow("reading label pictures")) as picture:
        if picture.mode not in ("RGB", "RGBA"):
            return None
        red, green, blue = np.moveaxis(_opaque(path, picture, clear).astype(np.int64), 2, 0)
    found = np.unique((red << 16) + (green << 8) + blue)
    found = found[found > 0]
    if len(found) > 254:
        raise FileError(f"{path}: has {len(found)} colours, expected at most 254, a label each")
    rows = np.stack([np.append(0, found) >> shift & 255 for shift in (16, 8, 0)], axis=1)
    return ColourTable(rows.astype(np.uint8), np.arange(len(rows)))


def read_pair(
    picture: str | os.PathLike[str],
    mask: str | os.PathLike[str],
    colours: Colours | ColourTable | None = None,
    clear: bool = False,
) -> tuple[Array, Array]:
    """A picture and its labels, pixel on pixel: what :func:`read_image` and :func:`read_mask` give.

    A photograph that is stored turned (EXIF) comes upright. Its mask is turned with it, unless the
    mask states an orientation of its own (those that numseg writes do), or has the size of the
    upright photograph and not that of the stored one.

    Raises
    ------
    FileError
        As those two; and if picture and labels differ in size.
    """
    image, labels = read_image(picture), read_mask(mask, colours, clear)
    if _orientation(mask) is None:
        along = stored.turned(labels, _orientation(picture))
        if along.shape == image.shape[1:] or labels.shape != image.shape[1:]:
            labels = along
    if labels.shape != image.shape[1:]:
        (h, w), (rows, columns) = image.shape[1:], labels.shape
        raise FileError(f"{mask}: labels are {rows} x {columns}, but {picture} is {h} x {w}")
    return image, labels


def _orientation(path: str | os.PathLike[str]) -> int | None:
    """How the file says it is turned, if it does."""
    with _opened(path, _pillow("reading pictures")) as opened:
        return stored.orientation(opened)


def read_annotated(
    path: str | os.PathLike[str], size: tuple[int, int] | None, annotations: object
) -> Array:
    """A picture on which boxes lie, as :func:`read_image` gives it.

    Parameters
    ----------
    path : path
    size : (int, int), optional
        Rows and columns that the annotations state.
    annotations : object
        What an error calls them.

    Raises
    ------
    FileError
        As :func:`read_image`; if the annotations are of a picture of another size; if the
        photograph is stored turned (EXIF), and the size does not tell that they lie on the upright
        one.
    """
    image = read_image(path)
    h, w = image.shape[1:]
    turn = _orientation(path)
    if turn not in (None, 1) and not (turn in (5, 6, 7, 8) and size == (h, w) and h != w):
        raise FileError(
            f"{path}: is stored turned (EXIF orientation {turn}), and {annotations} may lie on "
            "either view: save it upright"
        )
    if size is not None and size != (h, w):
        stated = " x ".join(map(str, size))
        raise FileError(f"{annotations}: is of a picture of {stated}, but {path} is {h} x {w}")
    return image


def _opaque(path: str | os.PathLike[str], picture: Any, clear: bool) -> Array:
    """The colours of a picture of 8 bits per channel, (H, W, 3); black where ``clear`` allows that
    there are none."""
    if stored.narrowed(picture):
        raise FileError(f"{path}: has colours of 16 bits, a table of colours has 8")
    pixels = np.asarray(picture)
    through = (pixels[..., 3:] < 255).any(axis=2, keepdims=True)
    if clear:
        return np.where(through, np.uint8(0), pixels[..., :3])
    if through.any():
        raise FileError(f"{path}: is transparent in places, which is no colour of a class")
    return pixels[..., :3]


def encode_mask(labels: Array, colours: ArrayLike | None = None) -> bytes:
    """A PNG whose numbers are the labels.

    Parameters
    ----------
    labels : array of integers, (H, W)
        0 to 255 make a picture of palette indices, more a grey one of 16 bits.
    colours : array, (C, 3), uint8, optional
        What palette indices show as; :func:`palette` by default, and for those beyond C.

    Raises
    ------
    ArgumentError
        If a label is below 0 or above 65535, which no PNG holds.
    """
    if type(labels) not in (np.ndarray, np.memmap) or labels.dtype not in (np.uint8, np.uint16):
        labels = as_labels("labels", labels)  # in eight times the memory
    checks.axes("labels", labels, "h w")
    low, high = int(labels.min(initial=0)), int(labels.max(initial=0))
    if low < 0 or high > 65535:
        worst = low if low < 0 else high
        raise ArgumentError(f"labels holds {worst}, but a PNG holds 0 to 65535: map it to one")
    pillow = _pillow("writing pictures")
    if high > 255:
        return _png(pillow, pillow.Image.fromarray(labels.astype(np.uint16, copy=False)))
    picture = pillow.Image.fromarray(labels.astype(np.uint8, copy=False))
    shown = palette()
    if colours is not None:
        given = np.asarray(colours)[:256]
        shown[: len(given)] = given
    picture.putpalette(shown.tobytes())
    return _png(pillow, picture)


def encode_image(image: Array) -> bytes:
    """A PNG of a (C, H, W) picture, C = 1 or 3, uint8; or of uint16, if it is grey."""
    channels = checks.axes("image", image, "c h w")[0]
    if channels not in (1, 3):
        raise ArgumentError(f"image has {channels} channels, expected 1 or 3")
    if image.dtype != np.uint8 and not (image.dtype == np.uint16 and channels == 1):
        raise ArgumentTypeError(f"image has dtype {image.dtype}, expected uint8 (uint16 if grey)")
    pixels = image[0] if channels == 1 else np.moveaxis(image, 0, 2)
    pillow = _pillow("writing pictures")
    return _png(pillow, pillow.Image.fromarray(np.ascontiguousarray(pixels)))


def _png(pillow: _Pillow, picture: Any) -> bytes:
    """The file, which says that it is upright: its photograph may be stored turned."""
    upright = pillow.Image.Exif()
    upright[stored.ORIENTATION] = 1
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", exif=upright)
    return buffer.getvalue()


def palette(count: int = 256) -> Array:
    """PASCAL VOC's colours, (count, 3) uint8: the bits of the index, dealt to the channels."""
    index = np.arange(checks.integer("count", count, 0, 2**24))
    colours = np.zeros((count, 3), np.uint8)
    for bit in range(8):
        for channel in range(3):
            colours[:, channel] |= ((index >> (3 * bit + channel) & 1) << (7 - bit)).astype(
                np.uint8
            )
    return colours


def overlay(image: Array, labels: Array, colours: ArrayLike | None = None) -> Array:
    """The picture with every class but 0 tinted in its colour and outlined, (3, H, W) uint8.

    Labels that have no row in ``colours``, an ``ignore_index`` of -100 for example, are outlined
    and not tinted. Without ``colours`` they are :func:`palette`'s.
    """
    labels = as_labels("labels", labels)
    checks.shape("labels", labels, image.shape[1:], "the rows and columns of image")
    if colours is None:
        colours = palette(min(max(int(labels.max(initial=0)) + 1, 256), 2**16))
    table = np.asarray(colours)
    known = (labels > 0) & (labels < len(table))
    base = np.rint(as_input(image, 3) * 255).astype(np.int32)
    tint = np.moveaxis(table[np.where(known, labels, 0)], 2, 0).astype(np.int32)
    edge = np.zeros(labels.shape, bool)
    edge[1:] |= labels[1:] != labels[:-1]
    edge[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    mixed = np.where(known, (5 * base + 5 * tint) // 10, base)
    return np.where(edge, 255, mixed).astype(np.uint8)


def as_input(image: Array, channels: int) -> Array:
    """A picture as a network takes it: (channels, H, W) float32 in [0, 1].

    uint8 is divided by 255, uint16 by 65535, float32 stays. Grey becomes three equal channels;
    colour becomes ``0.299 r + 0.587 g + 0.114 b`` (ITU-R BT.601) for a network of one channel.
    """
    image = check_image("image", image, channels)
    given = len(image)
    if image.dtype != np.float32:
        image = image.astype(np.float32) / np.float32(np.iinfo(image.dtype).max)
    if given == channels:
        return image
    if given == 1:
        return np.repeat(image, channels, axis=0)
    red, green, blue = image
    weighted = red * np.float32(0.299) + green * np.float32(0.587) + blue * np.float32(0.114)
    return weighted[None]


def check_image(name: str, image: Any, channels: int | None = None) -> Array:
    """It is what :func:`as_input` takes, for a network of so many channels if that is known."""
    image = np.asarray(image)
    given = checks.axes(name, image, "c h w")[0]
    if image.dtype not in (np.uint8, np.uint16, np.float32):
        raise ArgumentTypeError(
            f"{name} has dtype {image.dtype}, expected uint8, uint16 or float32"
        )
    if channels is not None:
        check_channels(name, given, checks.integer("channels", channels, minimum=1))
    return image


def check_channels(name: str, given: int, channels: int) -> None:
    """A picture of so many channels can be brought into the form that a network takes."""
    if given not in (1, channels) and not (given == 3 and channels == 1):
        raise ArgumentError(f"{name} has {given} channels, but the network takes {channels}")


class _Pillow:
    """Pillow's modules, imported when a picture is read."""

    def __init__(self, purpose: str) -> None:
        self.Image = optional("PIL.Image", "Pillow", "data", purpose)
        self.ImageOps = optional("PIL.ImageOps", "Pillow", "data", purpose)


def _pillow(purpose: str) -> _Pillow:
    return _Pillow(purpose)


@contextlib.contextmanager
def _opened(path: str | os.PathLike[str], pillow: _Pillow) -> Iterator[Any]:
    """A picture that is not loaded yet. Whatever a decoder stumbles over becomes one line that
    names the file."""
    if not Path(path).is_file():
        reason = "is a folder, not a picture" if Path(path).is_dir() else "no such file"
        raise FileError(f"{path}: {reason}")
    try:
        # given a name, Pillow maps TIFFs into memory, and mistakes rows and columns of turned ones
        with open(path, "rb") as file, pillow.Image.open(file) as picture:
            yield picture
    except (FileError, MemoryError):
        raise
    except Exception as error:  # decoders raise OSError, SyntaxError, ValueError, struct.error, ...
        first = str(error).partition("\n")[0] or type(error).__name__
        raise FileError(f"{path}: cannot be read as a picture: {first}") from error
