"""Whose matmul is whose."""

from __future__ import annotations

from typing import Any

from numseg.conventions import Arguments, Onnx

CONVENTIONS: dict[str, Arguments] = {"PyTorch, NumPy, ONNX": {}}

ONNX = {"MatMul": Onnx("x other", opset=13)}

PEERS: dict[str, dict[str, Any]] = {"torch:matmul": {}, "numpy:matmul": {}}
