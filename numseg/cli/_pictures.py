"""Pictures that are given, one by one or as folders, and the files that are made of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path


def is_folder(path: Path) -> bool:
    """Of pictures: a Zarr array is a folder too, and is one picture."""
    return path.is_dir() and path.suffix.lower() != ".zarr"


def pictures(given: Path, outputs: Sequence[Path], what: str) -> list[Path]:
    """A picture itself; those in a folder, in the order of their names. ``what`` is written to the
    outputs, which must not be that folder."""
    from numseg.data.lists import PICTURES
    from numseg.errors import ArgumentError, FileError

    if not is_folder(given):
        return [given]
    if given.resolve() in [path.resolve() for path in outputs]:
        raise ArgumentError(f"{what} would be written among the pictures in {given}")
    found = sorted(p for p in given.iterdir() if p.suffix.lower() in PICTURES and p.is_file())
    if not found:
        raise FileError(f"{given}: has no pictures ({', '.join(PICTURES)})")
    return found


def check_outputs(inputs: Iterable[Path], outputs: Iterable[Path]) -> None:
    """Nothing may be written over what is read, nor twice."""
    from numseg.errors import ArgumentError

    seen = {path.resolve(): path for path in inputs}
    for path in outputs:
        if path.resolve() in seen:
            raise ArgumentError(f"{path} would be written over {seen[path.resolve()]}")
        seen[path.resolve()] = path
