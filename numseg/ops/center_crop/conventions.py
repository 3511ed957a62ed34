"""Whose crop is whose."""

from __future__ import annotations

from typing import Any

from numseg.conventions import Arguments

CONVENTIONS: dict[str, Arguments] = {
    "U-Net": {"rounding": "floor", "pad": False},
    "TensorFlow resize_with_crop_or_pad": {"rounding": "floor", "pad": True},
    "torchvision": {"rounding": "half_even", "pad": True},
}

PEERS: dict[str, dict[str, Any]] = {
    "torchvision.transforms.functional:center_crop": {},
}
