"""Whose adaptive average pooling is whose."""

from __future__ import annotations

from typing import Any

from numseg.conventions import Arguments

CONVENTIONS: dict[str, Arguments] = {"PyTorch": {}}

PEERS: dict[str, dict[str, Any]] = {
    "torch.nn.functional:adaptive_avg_pool2d": {},
}
