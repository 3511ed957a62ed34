"""Whose pixel_shuffle2d is whose."""

from __future__ import annotations

from typing import Any

from numseg.testing.conventions import Arguments, Node
from numseg.typing import Array

CONVENTIONS: dict[str, Arguments] = {
    "PyTorch": {"mode": "CRD"},
    "TensorFlow, ONNX without attributes": {"mode": "DCR"},
}


def _node(x: Array, upscale_factor: int, mode: str) -> Node:
    return Node({"x": x}, {"blocksize": upscale_factor, "mode": mode}, opset=13)


ONNX = {"DepthToSpace": _node}

PEERS: dict[str, dict[str, Any]] = {
    "torch.nn.functional:pixel_shuffle": {},
}
