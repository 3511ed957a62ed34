"""Whose argmin is whose."""

from __future__ import annotations

from typing import Any

from numseg.conventions import Arguments
from numseg.ops.argmax.conventions import searches

CONVENTIONS: dict[str, Arguments] = {"PyTorch, NumPy, ONNX": {}}

ONNX = {"ArgMin": searches()}

PEERS: dict[str, dict[str, Any]] = {
    "torch:argmin": {},
    "numpy:argmin": {"names": {"dim": "axis", "keepdim": "keepdims"}},
}
