"""Whose smooth L1 loss is whose."""

from __future__ import annotations

from typing import Any

from numseg.conventions import Arguments

CONVENTIONS: dict[str, Arguments] = {
    "PyTorch smooth_l1_loss": {"huber": False, "empty": "nan"},
    "PyTorch huber_loss": {"huber": True, "empty": "nan"},
}

PEERS: dict[str, dict[str, Any]] = {
    "torch.nn.functional:smooth_l1_loss": {},
    "torch.nn.functional:huber_loss": {"names": {"beta": "delta"}},
}
