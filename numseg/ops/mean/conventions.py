"""Whose mean is whose."""

from __future__ import annotations

from typing import Any

from numseg.conventions import Arguments
from numseg.ops.sum.conventions import reduces

CONVENTIONS: dict[str, Arguments] = {"PyTorch, NumPy, ONNX": {}}

ONNX = {"ReduceMean": reduces(18, opset=18)}

PEERS: dict[str, dict[str, Any]] = {
    "torch:mean": {},
    "numpy:mean": {"names": {"dim": "axis", "keepdim": "keepdims"}},
}
