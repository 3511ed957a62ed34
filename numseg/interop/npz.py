"""NumPy's files of arrays, ``.npz``: no pickled objects, and sizes checked before memory is taken.

``numpy.load`` takes the memory that a header asks for before it looks whether the file has as much.
"""

from __future__ import annotations

import io
import math
import os
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from numseg.errors import ArgumentError, FileError, one_line, shown
from numseg.files import read_whole, write_whole
from numseg.interop.archive import Archive, packed
from numseg.typing import Array, Shape


def load(path: str | os.PathLike[str]) -> dict[str, Array]:
    """Read the arrays of a file that ``numpy.savez`` or ``numpy.savez_compressed`` wrote.

    Raises
    ------
    FileError
        In one line, if the file is missing, damaged, or has an array of Python objects.
    """
    content = read_whole(path)
    try:
        return read(Archive(content))
    except FileError as error:
        raise FileError(f"{path}: {error}") from None


def load_one(path: str | os.PathLike[str], key: str | None = None) -> Array:
    """Read one array: a ``.npy`` file's, or that of a ``.npz`` file that has one, or has ``key``.

    Raises
    ------
    FileError
        As :func:`load`; and if there are several arrays, and no key says which.
    """
    content = read_whole(path)
    try:
        if content.startswith(np.lib.format.MAGIC_PREFIX):
            if key is not None:
                raise FileError(f"is one array, of which none is called {shown(key)}")
            return _array(memoryview(content))
        if not content.startswith(b"PK"):
            raise FileError("is neither a .npy file nor a .npz file")
        arrays = read(Archive(content))
        if key is None and len(arrays) == 1:
            return next(iter(arrays.values()))
        if key not in arrays:
            wanted = "one" if key is None else shown(key)
            raise FileError(f"has the arrays {', '.join(sorted(arrays))}, expected {wanted}")
        return arrays[key]
    except FileError as error:
        raise FileError(f"{path}: {error}") from None


def save(path: str | os.PathLike[str], arrays: Mapping[str, Array]) -> None:
    """Write arrays to a file that ``numpy.load`` reads, whole or not at all.

    Raises
    ------
    FileError
        If the file cannot be written whole; an earlier one stays as it is.
    ArgumentError
        If an array is one of Python objects.
    """
    write_whole(path, written(arrays))


def written(arrays: Mapping[str, Array]) -> bytes:
    """The content of a file that :func:`save` writes. Equal arrays give equal bytes."""
    entries: dict[str, bytes | memoryview] = {}
    for name, given in arrays.items():
        array = np.asarray(given)
        if array.dtype.hasobject:
            raise ArgumentError(f"{name} has dtype {array.dtype}, expected numbers")
        out = io.BytesIO()
        np.lib.format.write_array(out, array, allow_pickle=False)
        entries[f"{name}.npy"] = out.getbuffer()
    return packed(entries)


def is_npz(archive: Archive) -> bool:
    """Whether a zip file is one of NumPy's."""
    return all(name.endswith(".npy") for name in archive.entries)


def read(archive: Archive) -> dict[str, Array]:
    """The arrays of a zip file, which are named without ``.npy``."""
    arrays = {}
    for name in archive.entries:
        try:
            arrays[name.removesuffix(".npy")] = _array(archive.read(name))
        except FileError as error:
            raise FileError(f"array {shown(name)}: {error}") from None
    return arrays


def _array(content: memoryview) -> Array:
    head = io.BytesIO(bytes(content[:20_000]))  # numpy's own limit for a header is 10,000
    shape, fortran, dtype = _header(head)
    raw = content[head.tell() :]
    if dtype.hasobject or dtype.kind not in "biufc":
        raise FileError(f"is of dtype {dtype}, expected numbers; no pickled objects are read")
    if len(shape) > 32 or not all(type(size) is int and size >= 0 for size in shape):
        raise FileError(f"has the shape {shown(shape)}")
    if len(raw) != math.prod(shape) * dtype.itemsize:
        raise FileError(f"has {len(raw)} bytes for shape {shown(shape)} and dtype {dtype}")
    if math.prod(size for size in shape if size) > 2**48:
        raise FileError(f"has the shape {shown(shape)}, which no memory holds")
    array = np.frombuffer(raw, dtype).reshape(shape, order="F" if fortran else "C")
    return np.array(array, dtype.newbyteorder("="), order="C")


def _header(head: io.BytesIO) -> tuple[Shape, bool, np.dtype[Any]]:
    """Shape, whether columns come first, dtype: a Python literal, which numpy parses."""
    try:
        version = np.lib.format.read_magic(head)
        with warnings.catch_warnings():  # of Python 2's files
            warnings.simplefilter("ignore")
            if version == (1, 0):
                return np.lib.format.read_array_header_1_0(head)
            if version == (2, 0):
                return np.lib.format.read_array_header_2_0(head)
    except Exception as error:  # of numpy, ast, tokenize and struct
        raise FileError(f"has a damaged header: {one_line(error)}") from None
    raise FileError(f"is of npy format {version}, expected (1, 0) or (2, 0)")
