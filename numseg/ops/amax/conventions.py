"""Whose amax is whose."""

from __future__ import annotations

from typing import Any

from numseg.conventions import Arguments
from numseg.ops.sum.conventions import reduces

CONVENTIONS: dict[str, Arguments] = {"PyTorch, NumPy, ONNX": {}}

ONNX = {"ReduceMax": reduces(18, opset=20)}

PEERS: dict[str, dict[str, Any]] = {
    "torch:amax": {},
    "numpy:max": {"names": {"dim": "axis", "keepdim": "keepdims"}},
}
