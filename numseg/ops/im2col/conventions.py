"""Whose im2col is whose."""

from __future__ import annotations

from typing import Any

from numseg.conventions import Arguments

CONVENTIONS: dict[str, Arguments] = {"PyTorch unfold": {}}

PEERS: dict[str, dict[str, Any]] = {
    "torch.nn.functional:unfold": {},
}
