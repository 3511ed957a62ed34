"""Whose index_select is whose."""

from __future__ import annotations

from typing import Any

from numseg.conventions import Arguments, Onnx, attribute

CONVENTIONS: dict[str, Arguments] = {"PyTorch, NumPy, ONNX": {}}

ONNX = {"Gather": Onnx("x index", attribute("dim", "axis", 0), opset=13)}

PEERS: dict[str, dict[str, Any]] = {
    "torch:index_select": {},
    "numpy:take": {"names": {"index": "indices", "dim": "axis"}},
}
