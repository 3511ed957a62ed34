"""Whose Dice loss is whose."""

from __future__ import annotations

from numseg.conventions import Arguments

CONVENTIONS: dict[str, Arguments] = {
    "MONAI": {"activation": "softmax", "micro": False},
    "MONAI sigmoid": {"activation": "sigmoid", "micro": False},
}
