"""Whose hard swish is whose."""

from __future__ import annotations

from typing import Any

from numseg.conventions import Arguments, elementwise

CONVENTIONS: dict[str, Arguments] = {"PyTorch, ONNX": {}}

ONNX = {"HardSwish": elementwise(since=14)}

PEERS: dict[str, dict[str, Any]] = {
    "torch.nn.functional:hardswish": {},
}
