"""Whose addition is whose."""

from __future__ import annotations

from typing import Any

from numseg.testing.conventions import Arguments, Node
from numseg.typing import Array

CONVENTIONS: dict[str, Arguments] = {"PyTorch, ONNX": {}}


def _node(x: Array, other: Array) -> Node:
    return Node({"x": x, "other": other})


ONNX = {"Add": _node}

PEERS: dict[str, dict[str, Any]] = {
    "torch:add": {},
}
