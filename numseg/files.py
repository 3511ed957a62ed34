"""Files that are read whole, written whole or not at all; and optional packages."""

from __future__ import annotations

import contextlib
import errno
import glob
import importlib
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numseg import forks
from numseg.errors import FileError, MissingExtra, one_line


def read_whole(path: str | os.PathLike[str]) -> bytes:
    """All that a file holds.

    Raises
    ------
    FileError
        If there is no such file, or it cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise FileError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise FileError(f"{path}: is a folder, not a file") from None
    except (OSError, ValueError) as error:  # ValueError for names that the system cannot have
        raise FileError(f"{path}: cannot be read: {_reason(error)}") from None


def write_whole(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file such that at every moment ``path`` is the earlier file or the whole new one.

    The content goes to a temporary file in the same folder, reaches the disk, and takes the place
    of the earlier file in one step. A process that is killed in between leaves a hidden file
    ``.NAME.*.part``, which nothing reads.

    Raises
    ------
    FileError
        If that fails, on a full disk for example. The earlier file is untouched and the temporary
        one removed.
    """
    write_all({Path(path): content})


def write_all(contents: Mapping[Path, bytes]) -> None:
    """Write several files, as :func:`write_whole` does: if one cannot be written, none is."""
    parts: dict[Path, Path] = {}
    path = Path()
    try:
        for path, content in contents.items():
            parts[path] = _part(path)
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, "it is a folder")
            with open(parts[path], "xb") as out:
                out.write(content)
                out.flush()
                os.fsync(out.fileno())
        for path, part in parts.items():
            os.replace(part, path)
        for folder in {path.parent for path in parts}:
            _sync_folder(folder)
    except (OSError, ValueError) as error:  # ValueError for names that the system cannot have
        kept = "; the earlier file is intact" if path.is_file() else ""
        raise FileError(f"cannot write {path}: {_reason(error)}{kept}") from error
    finally:
        for part in parts.values():
            with contextlib.suppress(OSError, ValueError):
                part.unlink(missing_ok=True)


def _part(path: Path) -> Path:
    """Where a file is written before it takes its place."""
    return path.with_name(f"{_start(path)}{secrets.token_hex(4)}.part")


def _start(path: Path) -> str:
    """What names of parts begin with; cut off, as the longest name has no room for more."""
    return f".{os.fsdecode(os.fsencode(path.name)[:200])}."


def check_writable(path: str | os.PathLike[str]) -> None:
    """A file can be written there, as far as can be known before it is: asked before long work.

    Raises
    ------
    FileError
        If it cannot. Nothing is left behind, no folder either.
    """
    path = Path(path)
    folder = path.parent
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        part = _part(folder / path.name)
        part.touch(exist_ok=False)
        part.unlink()
    except (OSError, ValueError) as error:
        raise FileError(f"cannot write {path}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or one_line(error)


def remove_parts(path: str | os.PathLike[str]) -> None:
    """Remove what killed processes left of their attempts to write ``path``."""
    path = Path(path)
    for part in path.parent.glob(f"{glob.escape(_start(path))}*.part"):
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """The new name reaches the disk too, where folders can be opened (not on Windows)."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            with contextlib.suppress(OSError):  # some network file systems refuse
                os.fsync(handle)
        finally:
            os.close(handle)


def optional(module: str, package: str, extra: str, purpose: str) -> Any:
    """Import a module of an optional package, or say which extra brings it."""
    forks.watch(module.partition(".")[0])
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != module.partition(".")[0]:
            raise  # the package is there, and something it needs is not
        raise MissingExtra(package, extra, purpose) from None
