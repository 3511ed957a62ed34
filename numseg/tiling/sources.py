"""Pictures that are read piece by piece: arrays, TIFF, Zarr and npy files; PNG and others whole."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from numseg import checks
from numseg.data import read_image
from numseg.errors import ArgumentError, FileError, one_line
from numseg.files import optional
from numseg.typing import Array

DTYPES = ("uint8", "uint16", "float32")
"""Of pictures: :func:`numseg.data.as_input` says what they mean."""

_LAYOUTS = {2: ("hw",), 3: ("hwc", "chw")}

_MOST_BYTES = 2**31
"""Of a picture that can only be read whole."""

_SAFE_BYTES, _MOST_TIMES = 2**27, 250
"""A larger one may take so many times what its file does: PNG packs a thousand into one."""


class Source(NamedTuple):
    """A picture of which pieces can be read."""

    name: str
    """For errors: a file's, or an argument's."""
    array: Any
    """With ``shape``, ``dtype`` and slices: of NumPy, a memory-mapped file, Zarr, Dask."""
    layout: str
    """Its axes: "hw", "hwc" or "chw"."""
    path: Path | None = None
    """Of the file, if it is one's."""
    file: Any = None
    """That must be closed (:meth:`close`); None if there is none."""

    @classmethod
    def of(cls, array: Any, layout: str | None = None, name: str = "image") -> Source:
        """An array, whose axes are "hw", "hwc" or "chw".

        By default channels are the first axis or the last, whichever has 1 or 3; both cannot be.
        """
        shape, dtype = tuple(array.shape), np.dtype(array.dtype)
        if dtype.name not in DTYPES:
            raise ArgumentError(f"{name} has dtype {dtype}, expected {', '.join(DTYPES)}")
        if len(shape) not in _LAYOUTS:
            raise ArgumentError(f"{name} must have 2 or 3 axes, got shape {shape}")
        possible = [
            known
            for known in _LAYOUTS[len(shape)]
            if "c" not in known or shape[known.index("c")] in (1, 3)
        ]
        if layout is not None:
            layout = checks.choice("layout", layout, _LAYOUTS[len(shape)])
        elif len(possible) != 1:
            either = "neither the first nor the last" if not possible else "the first and the last"
            raise ArgumentError(
                f"{name} has shape {shape}: {either} axis has 1 or 3, as channels do; give layout, "
                f"'hwc' or 'chw'"
            )
        found = cls(name, array, layout or possible[0])
        if found.channels not in (1, 3):
            raise ArgumentError(f"{name} has {found.channels} channels, expected 1 or 3")
        if 0 in found.size:
            rows, columns = found.size
            raise ArgumentError(f"{name} has {rows} x {columns} pixels, expected at least one")
        return found

    @property
    def channels(self) -> int:
        return int(self.array.shape[self.layout.index("c")]) if "c" in self.layout else 1

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns = (self.array.shape[self.layout.index(axis)] for axis in "hw")
        return int(rows), int(columns)

    def close(self) -> None:
        """Close the file, if there is one that stays open."""
        if self.file is not None:
            self.file.close()

    def read(self, rows: slice, columns: slice) -> Any:
        """A piece, (C, rows, columns)."""
        spans = {"h": rows, "w": columns, "c": slice(None)}
        try:
            piece = self.array[tuple(spans[axis] for axis in self.layout)]
        except Exception as error:  # of a file that is damaged further on
            where = f"rows {rows.start} to {rows.stop}, columns {columns.start} to {columns.stop}"
            raise FileError(f"{self.name}: cannot read {where}: {one_line(error)}") from error
        if self.layout == "hw":
            return piece[None]
        return piece if self.layout == "chw" else piece.transpose(2, 0, 1)


def open_image(path: str | os.PathLike[str], layout: str | None = None) -> Source:
    """The picture in a file, or in a folder that is a Zarr array.

    TIFF, Zarr and npy files are read piece by piece, others whole. ``layout``, "hwc" or "chw", is
    for npy and Zarr, where the axes do not tell by their lengths; others say it themselves.

    Raises
    ------
    FileError
        If it is missing, damaged, or no picture; if it can only be read whole and takes more than
        2 GiB, or so much more than its file that it may be a decompression bomb.
    MissingExtra
        Without tifffile or zarr (extra: dask), or Pillow (extra: data).
    """
    path = Path(path)
    if not path.exists():
        raise FileError(f"{path}: no such file")
    try:
        match path.suffix.lower():
            case ".npy":
                found = Source.of(np.load(path, "r", allow_pickle=False), layout, str(path))
            case ".zarr":
                found = Source.of(_zarr(path), layout, str(path))
            case ".tif" | ".tiff":
                found = _tiff(path)
            case _:
                found = Source(str(path), _whole(path), "chw")
        return found._replace(path=path)
    except (FileError, ArgumentError, ImportError, MemoryError):
        raise
    except Exception as error:  # what decoders stumble over has many names
        raise FileError(f"{path}: cannot be read as a picture: {one_line(error)}") from error


def _zarr(store: Any) -> Any:
    zarr = optional("zarr", "zarr", "dask", "reading Zarr arrays")
    store = str(store) if isinstance(store, Path) else store
    found = zarr.open(store, mode="r")
    if not hasattr(found, "shape"):
        raise FileError(f"{store}: is a group of arrays, expected an array")
    return found


def _tiff(path: Path) -> Source:
    """The first picture in a TIFF."""
    tifffile = optional("tifffile", "tifffile", "dask", "reading TIFF piece by piece")
    file = tifffile.TiffFile(path)
    try:
        return _first_picture(path, file)
    except BaseException:
        file.close()
        raise


def _first_picture(path: Path, file: Any) -> Source:
    series = file.series[0]
    layouts = {"YX": "hw", "YXS": "hwc", "SYX": "chw"}
    if series.axes not in layouts:
        raise FileError(f"{path}: has axes {series.axes}, expected {', '.join(layouts)}")
    page = series.keyframe
    if page.photometric.name not in ("MINISBLACK", "RGB", "YCBCR"):
        raise FileError(f"{path}: is {page.photometric.name}, expected grey or RGB: convert it")
    turn = page.tags.get("Orientation")
    if turn is not None and turn.value != 1:
        raise FileError(
            f"{path}: is stored turned (orientation {int(turn.value)}): turn it upright"
        )
    found = Source.of(_zarr(series.aszarr()), layouts[series.axes], str(path))
    return found._replace(file=file)


def _whole(path: Path) -> Array:
    """A picture that its format lets nobody read in pieces."""
    if (stated := stated_size(path)) is not None:
        _check_whole(path, *stated)
    with _unlimited():
        return read_image(path)


def stated_size(path: Path) -> tuple[int, int, int] | None:
    """Rows, columns and channels that a picture file states; None if it is no picture."""
    image = optional("PIL.Image", "Pillow", "data", "reading pictures")
    with _unlimited(), contextlib.suppress(Exception), image.open(path) as header:
        columns, rows = header.size
        return rows, columns, len(header.getbands())
    return None


_limit = threading.Lock()


@contextlib.contextmanager
def _unlimited() -> Iterator[None]:
    """Without Pillow's limit, which is one for all that a process reads: ours is checked."""
    image = optional("PIL.Image", "Pillow", "data", "reading pictures")
    with _limit:
        known, image.MAX_IMAGE_PIXELS = image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            image.MAX_IMAGE_PIXELS = known


def _check_whole(path: Path, rows: int, columns: int, bands: int) -> None:
    nbytes, stored = rows * columns * bands, path.stat().st_size
    if nbytes > _MOST_BYTES:
        raise FileError(
            f"{path}: has {rows} x {columns} pixels, {nbytes / 2**30:.1f} GiB, and must be read "
            "whole: convert it to TIFF or Zarr, which are read piece by piece"
        )
    if nbytes > _SAFE_BYTES and nbytes > _MOST_TIMES * stored:
        raise FileError(
            f"{path}: has {rows} x {columns} pixels in {stored} bytes, a decompression bomb? "
            "Convert it to TIFF or Zarr, if it is none"
        )
