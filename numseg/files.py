"""Files that are either written whole or not at all, and optional packages."""

from __future__ import annotations

import contextlib
import importlib
import os
import secrets
from pathlib import Path
from typing import Any

from numseg import forks
from numseg.errors import FileError, MissingExtra


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
    path = Path(path)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(part, "xb") as out:
                out.write(content)
                out.flush()
                os.fsync(out.fileno())
            os.replace(part, path)
        except BaseException:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)
    except OSError as error:
        kept = "; the earlier file is intact" if path.is_file() else ""
        raise FileError(f"cannot write {path}: {error.strerror or error}{kept}") from error


def remove_parts(path: str | os.PathLike[str]) -> None:
    """Remove what killed processes left of their attempts to write ``path``."""
    path = Path(path)
    for part in path.parent.glob(f".{path.name}.*.part"):
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
