"""Segmenting a picture that need not fit into memory, into a file; killed, it goes on.

While it works, labels lie in a hidden npy file beside the one that is wanted, ``.NAME.labels``, and
a byte for each tile that is done in ``.NAME.done``, whose head says of what: a run that is started
again with the same picture, network, parameters and tiles goes on with the tiles that are left, and
any other begins anew. The file that is wanted appears when all is done, whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from numseg import checks, device
from numseg.data import encode_mask
from numseg.errors import FileError, one_line
from numseg.files import optional, write_whole
from numseg.graph import Graph, image_channels
from numseg.graph.digest import digest
from numseg.tiling.frame import Frame, scores
from numseg.tiling.pieces import Place, pieces, runner
from numseg.tiling.sources import Source, open_image
from numseg.typing import Array, ArrayLike

KINDS = ".png", ".npy", ".tif", ".tiff", ".zarr"
"""Suffixes of what labels are written to."""

_CHUNK = 1024
"""Rows and columns of a chunk of Zarr, and of a tile of TIFF."""

_SEEN = 2048
"""Rows and columns of an overview at most."""

Progress = Callable[[int, int], None]
"""Told how many tiles are done, and how many there are."""


def segment(
    graph: Graph,
    params: Mapping[str, ArrayLike],
    image: str | os.PathLike[str] | Source,
    out: str | os.PathLike[str],
    *,
    tile: int = 512,
    batch: int = 1,
    colours: ArrayLike | None = None,
    progress: Progress | None = None,
) -> Overview:
    """Write the class of every pixel of a picture that need not fit into memory.

    Parameters
    ----------
    graph : Graph
        One image in, logits out, as large as the image or (without padding) smaller; of several
        outputs the first.
    params : mapping of str to array
        On the CPU, or on the GPU.
    image : path or Source
        TIFF, Zarr and npy are read piece by piece (:func:`open_image`), others whole.
    out : path
        ``.png`` (palette indices), ``.npy``, ``.tif`` or ``.zarr``: (H, W), uint8, or uint16 for
        more than 256 classes. A PNG is made in memory.
    tile : int
        Rows and columns of a tile, without the halo that is read around it, about.
    batch : int
        Tiles that are run at a time.
    colours : array, (C, 3), uint8, optional
        Of a PNG's palette.
    progress : function, optional
        Called with the number of tiles that are done and of all, first before the first.

    Returns
    -------
    Overview
        How many pixels each class has, and every so-many-th pixel of the picture and of its labels.

    Raises
    ------
    Inexact
        (an ArgumentError) If the network would give other numbers for tiles than for the whole
        picture: a line that names the first node that does not allow them.
    FileError
        If the picture cannot be read, or the labels cannot be written.

    Notes
    -----
    The labels are those of :func:`numseg.training.predict` for the whole picture. A run that was
    killed, and is started again, does the tiles that are left.
    """
    if not isinstance(image, Source):
        with contextlib.closing(open_image(image)) as opened:
            return segment(
                graph, params, opened, out, tile=tile, batch=batch, colours=colours,
                progress=progress,
            )  # fmt: skip
    graph.check(params)
    source, out = image, Path(out)
    kind = checks.choice("the suffix of out", out.suffix.lower(), KINDS)
    head = scores(graph)
    frame = Frame.of(head, image_channels(head), *source.size)
    places = frame.tiles(tile)
    dtype = np.uint8 if frame.classes <= 256 else np.uint16
    about = {
        "picture": _identity(source),
        "graph": digest(head),
        "params": _digest({param.name: params[param.name] for param in head.params}),
        "tiles": [tile, len(places)],
    }
    forward = runner(head, {param.name: params[param.name] for param in head.params})
    with _work(out, source.size, dtype, about, len(places)) as work:
        _run(frame, source, places, forward, batch, work, progress)
        seen = _overview(source, work.labels, frame.classes)
        _finish(work.labels, out, kind, colours)
        work.remove()
    return seen


class Overview(NamedTuple):
    """A segmented picture at a glance."""

    counts: Array
    """(classes,): pixels of each."""
    image: Array
    """(C, h, w): every so-many-th pixel of the picture."""
    labels: Array
    """(h, w): its class."""


class _Work(NamedTuple):
    """What lies on the disk while a picture is segmented."""

    labels: Any
    """(H, W): memory-mapped."""
    done: Any
    """(tiles,): 1 for those that are written; memory-mapped."""
    files: tuple[Path, ...]

    def remove(self) -> None:
        for path in self.files:
            path.unlink(missing_ok=True)


def _run(
    frame: Frame,
    source: Source,
    places: list[Place],
    forward: Callable[[Array], Array],
    batch: int,
    work: _Work,
    progress: Progress | None,
) -> None:
    left = np.flatnonzero(work.done == 0)
    count = len(places) - len(left)
    if progress is not None:
        progress(count, len(places))

    def read(place: Place) -> Array:
        window = frame.window(place)
        return window.tile(np.asarray(source.read(window.rows, window.columns)))

    found = pieces((places[number] for number in left), read, forward, batch)
    for number, piece in zip(left, found, strict=True):
        work.labels[piece.rows, piece.columns] = piece.values.argmax(axis=0)
        work.labels.flush()  # to the disk, before it is said to be there
        work.done[number] = 1
        count += 1
        if progress is not None:
            progress(count, len(places))


@contextlib.contextmanager
def _work(
    out: Path, size: tuple[int, int], dtype: Any, about: Mapping[str, Any], tiles: int
) -> Iterator[_Work]:
    """The files of a run, those of one that was killed if it did the same."""
    files = tuple(out.with_name(f".{out.name}.{what}") for what in ("labels", "done"))
    head = json.dumps(about, sort_keys=True).encode() + b"\n"
    try:
        if not (files[0].exists() and _head(files[1], len(head)) == head):
            out.parent.mkdir(parents=True, exist_ok=True)
            for path in files:
                path.unlink(missing_ok=True)
            np.lib.format.open_memmap(files[0], "w+", dtype, size)
            files[1].write_bytes(head + bytes(tiles))
        labels = np.lib.format.open_memmap(files[0], "r+")
        done = np.memmap(files[1], np.uint8, "r+", len(head), (tiles,))
    except (OSError, ValueError) as error:
        raise FileError(f"cannot write {files[0]}: {one_line(error)}") from error
    yield _Work(labels, done, files)


def _head(path: Path, length: int) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(length)
    except OSError:
        return b""


def _identity(source: Source) -> list[Any]:
    """What tells a picture from another: of a file its name, size and time; an array's digest."""
    known = [source.layout, list(source.array.shape), str(np.dtype(source.array.dtype))]
    if source.path is None:
        return [*known, _digest({"image": np.asarray(source.array)})]
    files = [source.path, *source.path.rglob("*")] if source.path.is_dir() else [source.path]
    stats = [file.stat() for file in files]  # a Zarr array is a folder of files
    size, time = sum(s.st_size for s in stats), max(s.st_mtime_ns for s in stats)
    return [*known, str(source.path.resolve()), len(files), size, time]


def _digest(arrays: Mapping[str, ArrayLike]) -> str:
    found = hashlib.blake2b(digest_size=16)
    for name, array in arrays.items():
        here = device.of([array]).to_host(array)
        found.update(f"{name} {here.dtype} {here.shape}".encode())
        found.update(np.ascontiguousarray(here).data)
    return found.hexdigest()


def _finish(labels: Any, out: Path, kind: str, colours: ArrayLike | None) -> None:
    """Write the file that is wanted, such that it appears whole."""
    part = out.with_name(f".{out.name}.part")
    try:
        if kind == ".png":
            write_whole(out, encode_mask(labels, colours))
            return
        if kind == ".npy":
            labels.flush()
            part = labels.filename
        elif kind == ".zarr":
            _write_zarr(part, labels)
            _make_way(out)
        else:
            _write_tiff(part, labels)
        os.replace(part, out)
    except OSError as error:
        raise FileError(f"cannot write {out}: {one_line(error)}") from error


def _write_zarr(part: Path, labels: Array) -> None:
    zarr = optional("zarr", "zarr", "dask", "writing Zarr arrays")
    shutil.rmtree(part, ignore_errors=True)
    chunks = tuple(min(size, _CHUNK) for size in labels.shape)
    array = zarr.create_array(str(part), shape=labels.shape, dtype=labels.dtype, chunks=chunks)
    for first in range(0, len(labels), _CHUNK):
        array[first : first + _CHUNK] = labels[first : first + _CHUNK]


def _make_way(out: Path) -> None:
    """A folder is not replaced as a file is. Only what is an array is removed."""
    if not out.exists():
        return
    if not any((out / name).exists() for name in ("zarr.json", ".zarray")):
        raise FileError(f"cannot write {out}: it is there, and is no Zarr array")
    shutil.rmtree(out)


def _write_tiff(part: Path, labels: Array) -> None:
    tifffile = optional("tifffile", "tifffile", "dask", "writing TIFF")
    rows, columns = labels.shape

    def tiles() -> Iterator[Array]:
        for r in range(0, rows, _CHUNK):
            for c in range(0, columns, _CHUNK):
                yield np.ascontiguousarray(labels[r : r + _CHUNK, c : c + _CHUNK])

    tifffile.imwrite(
        part, tiles(), shape=labels.shape, dtype=labels.dtype, tile=(_CHUNK, _CHUNK),
        compression="zlib", photometric="minisblack", bigtiff=labels.nbytes > 2**31,
    )  # fmt: skip


def _overview(source: Source, labels: Array, classes: int) -> Overview:
    """By bands of rows."""
    rows, columns = labels.shape
    step = max(-(-max(rows, columns) // _SEEN), 1)
    counts, pixels, seen = np.zeros(classes, np.int64), [], []
    height = max(_CHUNK // step, 1) * step
    for first in range(0, rows, height):
        band = slice(first, min(first + height, rows))
        counts += np.bincount(labels[band].reshape(-1), minlength=classes)
        read = np.asarray(source.read(band, slice(0, columns)))
        pixels.append(read[:, ::step, ::step].copy())  # a view would keep the whole band
        seen.append(labels[band][::step, ::step])
    return Overview(counts, np.concatenate(pixels, axis=1), np.concatenate(seen))
