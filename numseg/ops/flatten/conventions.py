"""Whose flatten is whose."""

from __future__ import annotations

from typing import Any

from numseg.conventions import Arguments, Onnx, constant

CONVENTIONS: dict[str, Arguments] = {
    "torch.nn.Flatten, ONNX": {},
    "torch.flatten": {"start_dim": 0},
}

ONNX = {"Flatten": Onnx("x", constant("axis", 1), opset=21)}

PEERS: dict[str, dict[str, Any]] = {
    "torch:flatten": {},
}
