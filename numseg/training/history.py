"""What became of a run, epoch by epoch: in its checkpoint, and as a table for other programs."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numseg.errors import ArgumentError
from numseg.files import write_whole

ENDINGS = (".csv", ".jsonl")


def scored(found: Any) -> dict[str, Any]:
    """Scores (a named tuple) as JSON has them: lists for arrays, None for NaN; without those that
    there are not."""
    return {
        name: [_plain(v) for v in value] if name.startswith("class_") else _plain(value)
        for name, value in found._asdict().items()
        if value is not None
    }


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def check_ending(path: str | os.PathLike[str]) -> None:
    """The name says which form it is."""
    if Path(path).suffix.lower() not in ENDINGS:
        raise ArgumentError(f"history {path}: ends in {Path(path).suffix!r}, not .csv or .jsonl")


def write_history(
    path: str | os.PathLike[str], history: Sequence[Mapping[str, Any]], classes: Sequence[str]
) -> None:
    """Write a history, ``Trained.history`` or ``Checkpoint.history``, to a file of one line an
    epoch, whole or not at all.

    Parameters
    ----------
    path : path
        ``.csv``, with a column for each number (``class_iou.sky``) under a line of names, empty
        where there is none; or ``.jsonl``, with a JSON object for each epoch.
    history : sequence of mapping
    classes : sequence of str
        Their names.
    """
    check_ending(path)
    rows = [_row(epoch, entry, classes) for epoch, entry in enumerate(history, 1)]
    text = io.StringIO(newline="")
    if Path(path).suffix.lower() == ".csv":
        columns = list(dict.fromkeys(name for row in rows for name in row))
        table = csv.DictWriter(text, columns, restval="", lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    else:
        text.writelines(json.dumps(row) + "\n" for row in rows)
    write_whole(path, text.getvalue().encode("utf-8", "surrogateescape"))


def _row(epoch: int, entry: Mapping[str, Any], classes: Sequence[str]) -> dict[str, Any]:
    """An epoch's numbers by name, those of classes one by one."""
    row: dict[str, Any] = {"epoch": epoch}
    for name, value in entry.items():
        if isinstance(value, list):
            row |= {f"{name}.{of}": v for of, v in zip(classes, value, strict=True)}
        else:
            row[name] = value
    return row
