"""Whose focal loss is whose."""

from __future__ import annotations

from typing import Any

from numseg.conventions import Arguments

CONVENTIONS: dict[str, Arguments] = {"torchvision": {"empty": "nan"}}

PEERS: dict[str, dict[str, Any]] = {
    "torchvision.ops:sigmoid_focal_loss": {},
}
