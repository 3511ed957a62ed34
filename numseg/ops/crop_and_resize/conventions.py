"""Whose crop and resize is whose."""

from __future__ import annotations

from numseg.conventions import Arguments

CONVENTIONS: dict[str, Arguments] = {
    "TensorFlow 2": {"arithmetic": "float32", "on_pixels": "zero"},
}


def _exchanged(arguments: Arguments) -> Arguments:
    return arguments | {"boxes": arguments["boxes"][:, [1, 0, 3, 2]]}


PROBES = {"x and y exchanged: boxes read as (x1, y1, x2, y2)": _exchanged}
