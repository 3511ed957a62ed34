"""Whose crop and resize is whose."""

from __future__ import annotations

from numseg.conventions import Arguments

CONVENTIONS: dict[str, Arguments] = {
    "TensorFlow 2": {"arithmetic": "float32", "on_pixels": "zero"},
}
