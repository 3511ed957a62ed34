"""What a picture file stores, where Pillow hands out something else: numbers that it scales or
inverts for showing, colours that it narrows to 8 bits, photographs that lie on their side."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from numseg.typing import Array

ORIENTATION = 0x0112
"""EXIF's number of the tag that says how a stored picture is turned to be seen upright."""

_SAMPLE_FORMAT, _SIGNED = 339, 2
"""TIFF's tag for the kind of numbers, and its value for those with a sign."""

_SPREAD = {"L;2": 85, "L;4": 17}
"""Grey of 2 and 4 bits is spread over 0 to 255."""


def orientation(picture: Any) -> int | None:
    """The orientation that the file states, 1 to 8; None if it states none."""
    stated = picture.getexif().get(ORIENTATION)
    return stated if stated in range(1, 9) else None


def left_to_turn(picture: Any) -> int | None:
    """The orientation in which Pillow leaves a loaded picture; TIFFs it turns itself."""
    return None if picture.format == "TIFF" else orientation(picture)


def turned(pixels: Array, orientation: int | None) -> Array:
    """Pixels (..., H, W) as they are stored, turned upright."""
    if orientation in (5, 6, 7, 8):  # rows are columns
        pixels = np.swapaxes(pixels, -2, -1)
    if orientation in (3, 4, 7, 8):  # rows from the bottom
        pixels = pixels[..., ::-1, :]
    if orientation in (2, 3, 6, 7):  # columns from the right
        pixels = pixels[..., ::-1]
    return np.ascontiguousarray(pixels)


def numbers(picture: Any) -> Array:
    """The numbers in a grey or palette picture that is opened but not loaded, (H, W) int64."""
    codec, raw = picture.tile[0][0], _raw_mode(picture)
    spread = codec in ("ppm", "ppm_plain") and not raw.startswith("1")
    largest = picture.tile[0][3][1] if spread else None
    signed = _signed(picture)
    picture.load()
    pixels = np.asarray(picture)
    full = {1: 1, 8: 255}.get(8 * pixels.itemsize if pixels.dtype != bool else 1, 65535)
    found = pixels.astype(np.int64)
    if raw.startswith(("1;I", "L;I", "L;2I", "L;4I")):  # white is stored as zero
        found = full - found
    if raw[:3] in _SPREAD:
        return found // _SPREAD[raw[:3]]
    if largest is not None:  # Netpbm's are spread from 0 to the largest that the file states
        top = 255 if largest <= 255 else 65535
        return (2 * found * largest + top) // (2 * top)
    if raw.startswith("I;32") and not signed:  # read as int32
        return found & 0xFFFFFFFF
    if pixels.dtype == np.uint8 and signed:
        return pixels.view(np.int8).astype(np.int64)
    return found


def narrowed(picture: Any) -> bool:
    """Whether Pillow would read the numbers of a colour picture as 8 bits, though they have 16."""
    if picture.mode not in ("RGB", "RGBA", "CMYK", "LA") or not picture.tile:
        return False
    codec, args = picture.tile[0][0], picture.tile[0][3]
    return ";16" in _raw_mode(picture) or (codec in ("ppm", "ppm_plain") and args[1] > 255)


def deep_colours(picture: Any, again: Callable[[], Any]) -> Array | None:
    """The pixels of a colour picture of 16 bits per channel that is opened but not loaded, (H, W,
    3 or 4) uint16; None for other pictures. ``again`` opens it once more.

    Pillow keeps the upper byte of each number. Told that the file's bytes are the other way round
    it keeps the lower: read twice, the number is whole.

    Raises
    ------
    ValueError
        If the file holds such numbers in another form, of which Pillow keeps the upper byte alone.
    """
    if not narrowed(picture):
        return None
    channels, _, order = _raw_mode(picture).partition(";16")
    if channels not in ("RGB", "RGBA") or order not in ("L", "B", "N"):
        raise ValueError("16 bits per channel come as 8 in this form: save it as 16-bit RGB PNG")
    native = "L" if sys.byteorder == "little" else "B"
    swapped = {"L": "B", "B": "L"}[native if order == "N" else order]
    with again() as other:
        other.tile = [_with_raw(tile, f"{channels};16{swapped}") for tile in other.tile]
        lower = np.asarray(other)
    return np.asarray(picture).astype(np.uint16) << np.uint16(8) | lower


def _raw_mode(picture: Any) -> str:
    """How Pillow names the layout of the file's numbers; the mode, where it does not."""
    given = picture.tile[0][3] if picture.tile else None
    given = given[0] if isinstance(given, tuple) and given else given
    return given if isinstance(given, str) else picture.mode


def _with_raw(tile: Any, raw: str) -> Any:
    """The tile, its numbers taken for others."""
    args = (raw, *tile[3][1:]) if isinstance(tile[3], tuple) else raw
    changed = (*tile[:3], args)
    return type(tile)(*changed) if hasattr(tile, "_fields") else changed


def _signed(picture: Any) -> bool:
    """Whether a TIFF's numbers have a sign."""
    stated = getattr(picture, "tag_v2", {}).get(_SAMPLE_FORMAT, (1,))
    return _SIGNED in (stated if isinstance(stated, tuple) else (stated,))
