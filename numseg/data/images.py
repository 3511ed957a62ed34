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
from numseg.errors import ArgumentError, ArgumentTypeError, FileError
from numseg.files import optional
from numseg.typing import Array


def read_image(path: str | os.PathLike[str]) -> Array:
    """A picture as (C, H, W), C = 1 for grey and 3 for colour, uint8 or uint16.

    Nothing is rescaled: pictures of 16 bits per channel come as uint16 (Pillow reads such colour
    pictures as 8 bits). Palettes are looked up; a transparent picture is laid on white; a
    photograph that is stored turned is turned upright.

    Raises
    ------
    FileError
        If the file is missing, damaged, or holds what is not a picture of this kind.
    MissingExtra
        Without Pillow.
    """
    from_file = _pillow("reading pictures")
    with _named(path), from_file.Image.open(path) as opened:
        opened.load()
        picture = from_file.ImageOps.exif_transpose(opened)
    if picture.mode.startswith("I") or picture.mode == "F":
        return _deep(path, np.asarray(picture))
    if picture.mode in ("LA", "PA", "La", "RGBA", "RGBa") or "transparency" in picture.info:
        grey = picture.mode in ("L", "LA", "La")
        picture = picture.convert("RGBA")
        white = from_file.Image.new("RGBA", picture.size, "white")
        picture = from_file.Image.alpha_composite(white, picture).convert("L" if grey else "RGB")
    picture = picture.convert("L" if picture.mode in ("1", "L") else "RGB")
    pixels = np.asarray(picture)
    return pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(np.moveaxis(pixels, 2, 0))


def _deep(path: str | os.PathLike[str], pixels: Array) -> Array:
    """Grey pictures of more than 8 bits."""
    if pixels.dtype.kind == "f" or pixels.min(initial=0) < 0 or pixels.max(initial=0) > 65535:
        raise FileError(f"{path}: has pixels of {pixels.dtype}, expected 8 or 16 bits per channel")
    return pixels.astype(np.uint16)[None]


def read_mask(path: str | os.PathLike[str]) -> Array:
    """A label picture as (H, W) uint8: the numbers in the file, not the colours they show as.

    Raises
    ------
    FileError
        If the file is missing, damaged, or not a picture of palette indices or 8-bit grey.
    """
    from_file = _pillow("reading label pictures")
    with _named(path), from_file.Image.open(path) as picture:
        picture.load()
        if picture.mode not in ("P", "L"):
            raise FileError(
                f"{path}: is a picture of mode {picture.mode}, expected palette indices (mode P) "
                "or grey (mode L) whose values are classes"
            )
        return np.array(picture, np.uint8)


def encode_mask(labels: Array) -> bytes:
    """A PNG of palette indices, with :func:`palette` for the colours."""
    picture = _pillow("writing pictures").Image.fromarray(labels.astype(np.uint8))
    picture.putpalette(palette().tobytes())
    return _png(picture)


def encode_image(image: Array) -> bytes:
    """A PNG of a (C, H, W) uint8 picture."""
    pixels = image[0] if image.shape[0] == 1 else np.moveaxis(image, 0, 2)
    return _png(_pillow("writing pictures").Image.fromarray(np.ascontiguousarray(pixels)))


def _png(picture: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def palette() -> Array:
    """PASCAL VOC's 256 colours, (256, 3) uint8: the bits of the index, dealt to the channels."""
    index = np.arange(256)
    colours = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        for channel in range(3):
            colours[:, channel] |= ((index >> (3 * bit + channel) & 1) << (7 - bit)).astype(
                np.uint8
            )
    return colours


def overlay(image: Array, labels: Array, colours: Array | None = None) -> Array:
    """The picture with every class but 0 tinted in its colour and outlined, (3, H, W) uint8."""
    colours = palette() if colours is None else colours
    base = np.rint(as_input(image, 3) * 255).astype(np.int32)
    tint = np.moveaxis(colours[labels], 2, 0).astype(np.int32)
    edge = np.zeros(labels.shape, bool)
    edge[1:] |= labels[1:] != labels[:-1]
    edge[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    mixed = np.where(labels > 0, (5 * base + 5 * tint) // 10, base)
    return np.where(edge, 255, mixed).astype(np.uint8)


def as_input(image: Array, channels: int) -> Array:
    """A picture as a network takes it: (channels, H, W) float32 in [0, 1].

    uint8 is divided by 255, uint16 by 65535, float32 stays. Grey becomes three equal channels;
    colour becomes ``0.299 r + 0.587 g + 0.114 b`` (ITU-R BT.601) for a network of one channel.
    """
    given = checks.axes("image", image, "c h w")[0]
    checks.integer("channels", channels, minimum=1)
    if image.dtype in (np.uint8, np.uint16):
        image = image.astype(np.float32) / np.float32(np.iinfo(image.dtype).max)
    elif image.dtype != np.float32:
        raise ArgumentTypeError(f"image has dtype {image.dtype}, expected uint8, uint16 or float32")
    if given == channels:
        return image
    if given == 1:
        return np.repeat(image, channels, axis=0)
    if given == 3 and channels == 1:
        red, green, blue = image
        weighted = red * np.float32(0.299) + green * np.float32(0.587) + blue * np.float32(0.114)
        return weighted[None]
    raise ArgumentError(f"image has {given} channels, but the network takes {channels}")


class _Pillow:
    """Pillow's modules, imported when a picture is read."""

    def __init__(self, purpose: str) -> None:
        self.Image = optional("PIL.Image", "Pillow", "data", purpose)
        self.ImageOps = optional("PIL.ImageOps", "Pillow", "data", purpose)


def _pillow(purpose: str) -> _Pillow:
    return _Pillow(purpose)


@contextlib.contextmanager
def _named(path: str | os.PathLike[str]) -> Iterator[None]:
    """Whatever a decoder stumbles over becomes one line that names the file."""
    if not Path(path).is_file():
        reason = "is a folder, not a picture" if Path(path).is_dir() else "no such file"
        raise FileError(f"{path}: {reason}")
    try:
        yield
    except (FileError, MemoryError):
        raise
    except Exception as error:  # decoders raise OSError, SyntaxError, ValueError, struct.error, ...
        first = str(error).partition("\n")[0] or type(error).__name__
        raise FileError(f"{path}: cannot be read as a picture: {first}") from error
