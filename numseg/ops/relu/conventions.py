"""Whose relu is whose."""

from __future__ import annotations

from typing import Any

from numseg.conventions import Arguments, elementwise

CONVENTIONS: dict[str, Arguments] = {"PyTorch, ONNX": {}}

ONNX = {"Relu": elementwise()}

PEERS: dict[str, dict[str, Any]] = {
    "torch.nn.functional:relu": {},
}
