"""Whose crop is whose."""

from __future__ import annotations

from typing import Any

from numseg.testing.conventions import Arguments

CONVENTIONS: dict[str, Arguments] = {"U-Net": {}}

PEERS: dict[str, dict[str, Any]] = {
    "torchvision.transforms.functional:center_crop": {},
}
