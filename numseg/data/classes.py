"""Names and colours of classes, from a small text file."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from numseg.data.colours import as_colours
from numseg.data.lists import as_text, read_lines
from numseg.errors import ArgumentError, FileError
from numseg.typing import Array

_NUMBERS = re.compile(r"(?P<name>.*?)[\s,;:=]+(\d{1,3})[\s,;]+(\d{1,3})[\s,;]+(\d{1,3})")
_HEX = re.compile(r"(?P<name>.*?)[\s,;:=]+#([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})")


class ClassTable(NamedTuple):
    """What :func:`read_classes` gives."""

    names: tuple[str, ...]
    colours: Array | None
    """(C, 3) uint8; None, if the file has none."""


def read_classes(path: str | os.PathLike[str]) -> ClassTable:
    """Names of classes, one a line: class 0, class 1, ...; with a colour each, or without.

    ::

        # name          red green blue, or #rrggbb
        background      0 0 0
        traffic light   250 170 30
        person          #dc143c

    Blank lines and lines that begin with ``#`` are passed over.

    Raises
    ------
    FileError
        If the file is missing or no text, names no class or one twice, has a colour twice or
        above 255, or colours for some of the classes only.
    """
    path = Path(path)
    if not path.is_file():
        reason = "is a folder, not a file" if path.is_dir() else "no such file"
        raise FileError(f"{path}: {reason}")
    names: list[str] = []
    colours: list[list[int]] = []
    for line in map(str.strip, map(as_text, read_lines(path))):
        if line.startswith("#"):
            continue
        name, colour = _parts(line)
        if name in names:
            raise FileError(f"{path}: names {name!r} twice")
        names.append(name)
        colours += [] if colour is None else [colour]
        if len(colours) not in (0, len(names)):
            raise FileError(
                f"{path}: has {len(colours)} colours for {len(names)} classes, up to {name!r}"
            )
    if not names:
        raise FileError(f"{path}: names no class")
    try:
        table = as_colours(np.array(colours)) if colours else None
    except ArgumentError as error:
        raise FileError(f"{path}: {error}") from None
    return ClassTable(tuple(names), table)


def _parts(line: str) -> tuple[str, list[int] | None]:
    """A line's name, and its colour if it has one."""
    for pattern, base in ((_NUMBERS, 10), (_HEX, 16)):
        if found := pattern.fullmatch(line):
            return found["name"], [int(part, base) for part in found.groups()[1:]]
    return line, None
