"""Whose distance IoU loss is whose."""

from __future__ import annotations

from typing import Any

from numseg.conventions import Arguments

CONVENTIONS: dict[str, Arguments] = {"torchvision": {}}

PEERS: dict[str, dict[str, Any]] = {
    "torchvision.ops:distance_box_iou_loss": {},
}
