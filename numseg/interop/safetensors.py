"""Arrays in safetensors files: read without running anything, written whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from numseg.errors import FileError
from numseg.files import optional, write_whole
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

    Raises
    ------
    FileError
        If the file is missing, damaged, or not a safetensors file.
    MissingExtra
        Without the safetensors package.
    """
    package = check_package("reading weights")
    broken = optional("safetensors", "safetensors", "train", "reading weights").SafetensorError
    if not Path(path).is_file():
        reason = "is a folder, not a file" if Path(path).is_dir() else "no such file"
        raise FileError(f"{path}: {reason}")
    try:
        content = Path(path).read_bytes()
        arrays = dict(package.load(content))
        metadata = json.loads(_header(content).get("__metadata__", {}).get(_KEY, "{}"))
    except KeyError as error:
        raise FileError(f"{path}: has arrays of type {error}, which NumPy has not") from None
    except (OSError, ValueError, broken) as error:
        first = str(error).partition("\n")[0]
        raise FileError(f"{path}: is damaged or not a safetensors file: {first}") from None
    if not isinstance(metadata, dict):
        raise FileError(f"{path}: its metadata is not numseg's")
    return arrays, metadata


def _header(content: bytes) -> dict[str, Any]:
    """The JSON in front of the arrays, of a file the library has found sound."""
    length = int.from_bytes(content[:8], "little")
    header: dict[str, Any] = json.loads(content[8 : 8 + length])
    return header


def check_package(purpose: str) -> Any:
    """The package's module for NumPy; a MissingExtra without it."""
    return optional("safetensors.numpy", "safetensors", "train", purpose)
