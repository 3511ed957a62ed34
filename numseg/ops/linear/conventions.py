"""Whose linear layer is whose."""

from __future__ import annotations

from typing import Any

from numseg.testing.conventions import Arguments, Node, Unsupported
from numseg.typing import Array

CONVENTIONS: dict[str, Arguments] = {"PyTorch, ONNX Gemm": {}}


def _node(x: Array, weight: Array, bias: Array | None) -> Node:
    if x.ndim != 2:
        raise Unsupported("Gemm takes matrices")
    return Node({"x": x, "weight": weight, "bias": bias}, {"transB": 1})


ONNX = {"Gemm": _node}

PEERS: dict[str, dict[str, Any]] = {
    "torch.nn.functional:linear": {},
}
