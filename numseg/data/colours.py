"""Colours that stand for classes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from numseg import checks
from numseg.errors import ArgumentError, FileError
from numseg.typing import Array, ArrayLike

Colours: TypeAlias = ArrayLike | Sequence[Sequence[int]] | Mapping[tuple[int, int, int], int]
"""The colour of each class, or the label of each colour."""


def as_colours(colours: object, classes: int | None = None) -> Array:
    """A table of colours as (C, 3) uint8; an error if it is none, or has a colour twice."""
    table = np.asarray(colours)
    if table.ndim != 2 or table.shape[1] != 3 or table.dtype.kind not in "iu":
        raise ArgumentError(
            f"colours is an array {table.shape} of {table.dtype}, expected (classes, 3) integers"
        )
    if table.size and not 0 <= table.min() <= table.max() <= 255:
        raise ArgumentError(f"colours holds {table.min()} to {table.max()}, expected 0 to 255")
    if classes is not None and len(table) < classes:
        raise ArgumentError(f"colours has {len(table)} rows, but there are {classes} classes")
    found, counts = np.unique(table, axis=0, return_counts=True)
    if (counts > 1).any():
        raise ArgumentError(f"colours has {_words(found[counts > 1][0])} more than once")
    return table.astype(np.uint8)


class ColourTable(NamedTuple):
    """Colours, and the labels that they stand for."""

    rows: Array
    """(N, 3) uint8."""
    numbers: Array
    """(N,) int64."""

    @classmethod
    def of(cls, colours: Colours | ColourTable, classes: int | None = None) -> ColourTable:
        """A table of what is given; of an array the n-th colour is class n, for all classes."""
        if isinstance(colours, ColourTable):
            return colours
        if isinstance(colours, Mapping):
            numbers = [checks.integer(f"colours[{c}]", n) for c, n in colours.items()]
            return cls(as_colours([tuple(c) for c in colours]), np.array(numbers, np.int64))
        rows = as_colours(colours, classes)
        return cls(rows, np.arange(len(rows)))

    def shown(self, classes: int) -> Array | None:
        """What so many classes are drawn in, (classes, 3); None, if one of them has no colour."""
        first = {
            int(n): row for n, row in reversed(list(zip(self.numbers, self.rows, strict=True)))
        }
        if not set(range(classes)) <= first.keys():
            return None
        return np.stack([first[label] for label in range(classes)])

    def labels(self, path: str | os.PathLike[str], pixels: Array) -> Array:
        """What each pixel's colour stands for; the file is named if it has another colour."""
        keys, order = np.unique(_packed(self.rows), return_index=True)
        wanted = _packed(pixels)
        place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        wrong = keys[place] != wanted
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            raise FileError(
                f"{path}: has the colour {_words(pixels[row, column])} in "
                f"{np.count_nonzero(wrong)} places (the first in row {row}, column {column}), "
                "which no class has"
            )
        return self.numbers[order[place]]

    def check_palette(
        self, path: str | os.PathLike[str], used: Array, palette: Sequence[int]
    ) -> None:
        """Where the colours of the numbers that a file uses are all in the table, they stand for
        these numbers."""
        shown = np.array(palette).reshape(-1, 3)
        used = used[used < len(shown)]
        known = dict(zip(_packed(self.rows).tolist(), self.numbers.tolist(), strict=True))
        meant = [known.get(key) for key in _packed(shown[used]).tolist()]
        if None in meant or meant == used.tolist():
            return
        number, other = next((n, m) for n, m in zip(used.tolist(), meant, strict=True) if n != m)
        raise FileError(
            f"{path}: shows label {number} as {_words(shown[number])}, the colour of class "
            f"{other}: its numbers and its colours disagree (say colours=None for the numbers)"
        )


def _packed(colours: Array) -> Array:
    """Each colour as one number."""
    return colours.astype(np.int64) @ np.array([65536, 256, 1])


def _words(rgb: Array) -> str:
    return f"({', '.join(str(int(part)) for part in rgb)})"
