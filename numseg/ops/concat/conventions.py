"""Whose concatenation is whose."""

from __future__ import annotations

from typing import Any

from numseg.testing.conventions import Arguments, Node
from numseg.typing import Array

CONVENTIONS: dict[str, Arguments] = {"PyTorch, ONNX": {}}


def _node(xs: list[Array], dim: int) -> Node:
    return Node({f"x{j}": x for j, x in enumerate(xs)}, {"axis": dim})


ONNX = {"Concat": _node}

PEERS: dict[str, dict[str, Any]] = {
    "torch:cat": {},
}
