"""Whose nll_loss is whose."""

from __future__ import annotations

from typing import Any

from numseg.conventions import Arguments
from numseg.ops.cross_entropy.conventions import labelled

CONVENTIONS: dict[str, Arguments] = {"PyTorch": {"empty": "nan"}}

ONNX = {"NegativeLogLikelihoodLoss": labelled()}

PEERS: dict[str, dict[str, Any]] = {
    "torch.nn.functional:nll_loss": {},
}
