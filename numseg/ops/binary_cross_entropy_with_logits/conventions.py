"""Whose binary cross-entropy is whose."""

from __future__ import annotations

from typing import Any

from numseg.conventions import Arguments

CONVENTIONS: dict[str, Arguments] = {"PyTorch": {"empty": "nan"}}

PEERS: dict[str, dict[str, Any]] = {
    "torch.nn.functional:binary_cross_entropy_with_logits": {},
}
