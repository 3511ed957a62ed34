"""Arrays in safetensors files: read without running anything, written whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from numseg.errors import FileError
from numseg.files import optional, read_whole, write_whole
from numseg.interop.bfloat16 import widened
from numseg.typing import Array

_KEY = "numseg"
"""The entry of the file's metadata that holds ours, as JSON. One entry, so that the order in which
the library writes entries does not change a file."""


def save(
    path: str | os.PathLike[str], arrays: Mapping[str, Array], metadata: Mapping[str, Any]
) -> None:
    """Write arrays and JSON metadata to a safetensors file.

    Raises
    ------
    FileError
        If the file cannot be written whole; an earlier one stays as it is.
    MissingExtra
        Without the safetensors package.
    """
    package = check_package("writing checkpoints")
    dense = {name: np.array(arrays[name], order="C") for name in sorted(arrays)}
    write_whole(path, package.save(dense, {_KEY: json.dumps(metadata, sort_keys=True)}))


def load(path: str | os.PathLike[str]) -> tuple[dict[str, Array], dict[str, Any]]:
    """Read a safetensors file: its arrays, and the metadata if :func:`save` wrote it.

    Arrays are the caller's own, to be written to. bfloat16, which NumPy has not, is float32 of the
    same values.

    Raises
    ------
    FileError
        If the file is missing, damaged, or not a safetensors file.
    MissingExtra
        Without the safetensors package.
    """
    content = read_whole(path)
    try:
        return read(content)
    except FileError as error:
        raise FileError(f"{path}: {error}") from None


def read(content: bytes) -> tuple[dict[str, Array], dict[str, Any]]:
    """What :func:`load` gives, of a file's content."""
    package = optional("safetensors", "safetensors", "train", "reading weights")
    try:
        arrays = {name: _array(**described) for name, described in package.deserialize(content)}
        metadata = json.loads(_header(content).get("__metadata__", {}).get(_KEY, "{}"))
    except FileError:
        raise
    except (ValueError, RecursionError, package.SafetensorError) as error:
        first = str(error).partition("\n")[0]
        raise FileError(f"is damaged or not a safetensors file: {first}") from None
    if not isinstance(metadata, dict):
        raise FileError("its metadata is not numseg's")
    return arrays, metadata


_DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "BOOL": "?", "C64": "<c8",
    "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1",
}  # fmt: skip


def _array(dtype: str, shape: list[int], data: bytes) -> Array:
    """An array of its own, of one that the package describes."""
    if dtype not in _DTYPES:
        raise FileError(f"has arrays of type {dtype!r}, which NumPy has not")
    array = np.frombuffer(data, _DTYPES[dtype]).reshape(shape)
    if dtype == "BF16":
        return widened(array)
    return np.require(array, array.dtype.newbyteorder("="), "W")


def _header(content: bytes) -> dict[str, Any]:
    """The JSON in front of the arrays, of a file the library has found sound."""
    length = int.from_bytes(content[:8], "little")
    header: dict[str, Any] = json.loads(content[8 : 8 + length])
    return header


def check_package(purpose: str) -> Any:
    """The package's module for NumPy; a MissingExtra without it."""
    return optional("safetensors.numpy", "safetensors", "train", purpose)
