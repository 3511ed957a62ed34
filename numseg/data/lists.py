"""Lists of pictures as people write them, and the files that their lines mean."""

from __future__ import annotations

import codecs
import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from numseg.errors import FileError

PICTURES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp", ".ppm", ".pgm")
"""What pictures' names end in, in the order in which they are looked for; also in capitals."""
MASKS = (".png", ".tif", ".tiff", ".bmp", ".gif", ".pgm", ".pbm")
"""The same for labels."""

_FLAG = re.compile(r"(?P<name>.*\S)\s+(-1|0|1)")
"""A line of VOC's lists by class: a name, and whether the class is in the picture."""


class Pair(NamedTuple):
    """What a line of a list names."""

    picture: Path
    mask: Path
    name: str


def read_lines(path: Path) -> list[str]:
    """The lines of a text file that are not blank: UTF-8, or UTF-16 where it says so, or what file
    names on this machine are.

    Raises
    ------
    FileError
        If it is not text.
    """
    content = path.read_bytes()
    try:
        if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            text = content.decode("utf-16")
        else:  # bytes that are not UTF-8 stand for themselves, as in names that Python lists
            text = content.decode("utf-8-sig", "surrogateescape")
    except UnicodeDecodeError as error:
        raise FileError(f"{path}: is not text: {error.reason}") from None
    if "\0" in text:
        raise FileError(f"{path}: is not text: it has zero bytes")
    return [line for line in re.split(r"\r\n|\r|\n", text) if line.strip()]


def listed_in(root: Path, lists: str, split: str, parts: Sequence[str]) -> Path:
    """The list of this name in a folder in VOC's layout, which has lists and parts of these names.

    Raises
    ------
    FileError
        If one of the folders, or the list, is missing.
    """
    for part in ("", *parts, lists):
        if not (root / part).is_dir():
            raise FileError(f"{root / part}: no such folder (expected VOC's layout in {root})")
    listed = root / lists / f"{split.removesuffix('.txt')}.txt"
    if not listed.is_file():
        there = ", ".join(sorted(file.stem for file in listed.parent.glob("*.txt"))) or "none"
        raise FileError(f"{listed}: no such file (lists there: {there})")
    return listed


def pairs(
    root: Path, listed: Path, pictures: str, masks: str, ends: Sequence[str] = MASKS
) -> list[Pair]:
    """The pictures and labels that the lines of a list mean, in a folder ``root`` that has them in
    two folders of the given names; those of labels end in one of ``ends``.

    A line is the picture's name, without its extension or with it, alone or with the folder it lies
    in; or the paths of both, picture first. Where every line ends in -1, 0 or 1, as in VOC's lists
    by class, a name that is not found with that is looked for without.

    Raises
    ------
    FileError
        If a line means no picture, there are no labels for one, or there is no line.
    """
    finder = _Finder(root, pictures, masks, ends)
    lines = read_lines(listed)
    flagged = [_FLAG.fullmatch(line.strip()) for line in lines]
    names = [match["name"] if match else None for match in flagged]
    found = []
    for line, name in zip(lines, names, strict=True):
        pair = finder.pair(line) or (finder.pair(name) if name and all(names) else None)
        if pair is None:
            wanted = root / pictures / line.strip()
            raise FileError(f"{wanted}.jpg: no such file (nor .png, ...), but {listed} names it")
        found.append(pair)
    if not found:
        raise FileError(f"{listed}: names no picture")
    return found


class _Finder:
    """Files below a folder, whatever their extension, its capitals and the form of its accents."""

    def __init__(self, root: Path, pictures: str, masks: str, ends: Sequence[str]) -> None:
        self.root, self.pictures, self.masks, self.ends = root, pictures, masks, ends
        self._folders: dict[Path, dict[str, list[str]]] = {}

    def pair(self, line: str) -> Pair | None:
        """What one line means; None, if there is no such picture."""
        for text in _readings(line):
            picture = self._file(text, self.pictures, PICTURES)
            if picture is not None:
                name = _name(text, self.pictures)
                mask = self._beside(self.root / self.masks / name, self.ends)
                if mask is None:
                    raise FileError(f"{self.root / self.masks / name}{self.ends[0]}: no such file")
                return Pair(picture, mask, name)
        for left, right in _splits(line.strip()):
            picture = self._file(left, self.pictures, PICTURES)
            mask = self._file(right, self.masks, self.ends)
            if picture is not None and mask is not None:
                return Pair(picture, mask, _name(left, self.pictures))
        return None

    def _file(self, text: str, folder: str, ends: Sequence[str]) -> Path | None:
        """The file that a name or path means, in the folder or from the root."""
        bare = text.lstrip("/")
        bases = [self.root / folder / bare]
        if "/" in text:
            bases.append(self.root / bare)
        if Path(text).is_absolute():
            bases.append(Path(text))
        return next((found for base in bases if (found := self._beside(base, ends))), None)

    def _beside(self, base: Path, ends: Sequence[str]) -> Path | None:
        """The file of this name, or of this name and one of the endings."""
        if base.suffix.lower() in ends and base.is_file():
            return base
        found = self._ending(base.parent, base.name, ends)
        if found is None and base.suffix.lower() in ends:  # its capitals may differ
            found = self._ending(base.parent, base.stem, (base.suffix.lower(),))
        return found

    def _ending(self, folder: Path, stem: str, ends: Sequence[str]) -> Path | None:
        """The file of this name with the first of the endings that there is."""
        names = self._listed(folder).get(_plain(stem), [])
        for end in ends:
            fitting = [name for name in names if name.lower().endswith(end)]
            if fitting:  # of several the one that is written alike
                return folder / max(fitting, key=lambda name: (name.startswith(stem), name))
        return None

    def _listed(self, folder: Path) -> dict[str, list[str]]:
        """The names in a folder, by what they are without their extension."""
        if folder not in self._folders:
            found: dict[str, list[str]] = {}
            if folder.is_dir():
                for name in os.listdir(folder):
                    found.setdefault(_plain(os.path.splitext(name)[0]), []).append(name)
            self._folders[folder] = found
        return self._folders[folder]


def _readings(line: str) -> Iterator[str]:
    """What a line may mean, likeliest first."""
    texts = [line, line.strip()]
    texts += [as_text(text) for text in texts]
    # as this machine writes names, which is not UTF-8 everywhere
    texts += [os.fsdecode(text.encode("utf-8", "surrogateescape")) for text in texts]
    texts += [text.replace("\\", "/") for text in texts]
    yield from dict.fromkeys(texts)


def as_text(line: str) -> str:
    """A line of :func:`read_lines`, its bytes that are not UTF-8 read as western letters."""
    raw = line.encode("utf-8", "surrogateescape")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


def _splits(line: str) -> Iterator[tuple[str, str]]:
    """The line cut in two at each of its gaps."""
    for gap in re.finditer(r"\s+|,", line):
        yield line[: gap.start()].strip(), line[gap.end() :].strip()


def _plain(name: str) -> str:
    """The name with accents in one form: some systems write a letter and its accent as two."""
    return unicodedata.normalize("NFC", name)


def _name(text: str, folder: str) -> str:
    """A picture's name: without its extension and the folder that all have."""
    path = PurePosixPath(text.replace("\\", "/").lstrip("/"))
    parts = path.parts
    if folder in parts[:-1]:
        parts = parts[len(parts) - parts[::-1].index(folder) :]
    path = PurePosixPath(*parts)
    return str(path.with_suffix("") if path.suffix.lower() in PICTURES else path)
