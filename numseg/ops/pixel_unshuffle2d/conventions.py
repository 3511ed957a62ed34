"""Whose pixel_unshuffle2d is whose."""

from __future__ import annotations

from typing import Any

from numseg.testing.conventions import Arguments, Node
from numseg.typing import Array

CONVENTIONS: dict[str, Arguments] = {
    "PyTorch": {"mode": "CRD"},
    "TensorFlow, ONNX": {"mode": "DCR"},
}


def _node(x: Array, downscale_factor: int) -> Node:
    return Node({"x": x}, {"blocksize": downscale_factor}, opset=13)


ONNX = {"SpaceToDepth": _node}

PEERS: dict[str, dict[str, Any]] = {
    "torch.nn.functional:pixel_unshuffle": {},
}
