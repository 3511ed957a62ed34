"""Whose pyramid is whose."""

from __future__ import annotations

from numseg.conventions import Arguments

CONVENTIONS: dict[str, Arguments] = {
    "DeepLab v2": {"combine": "sum"},
    "DeepLab v3, torchvision": {"combine": "concat"},
}
