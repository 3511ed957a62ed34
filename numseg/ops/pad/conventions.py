"""Whose padding is whose."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.testing.conventions import Arguments, Node, Unsupported, pads
from numseg.typing import Array

CONVENTIONS: dict[str, Arguments] = {
    "PyTorch, ONNX, constant": {"mode": "constant"},
    "PyTorch, ONNX, NumPy, reflect": {"mode": "reflect"},
    "PyTorch replicate, ONNX edge, NumPy edge": {"mode": "replicate"},
    "PyTorch circular, ONNX wrap, NumPy wrap": {"mode": "circular"},
    "NumPy, TensorFlow, symmetric": {"mode": "symmetric"},
}


def _node(x: Array, padding: Any, value: float, mode: str) -> Node:
    names = {"replicate": "edge", "circular": "wrap"}
    if mode == "symmetric":
        raise Unsupported("ONNX does not mirror about the border")
    top, left, bottom, right = pads(padding)["pads"]
    sides = np.array([0, 0, top, left, 0, 0, bottom, right])
    inputs = {"x": x, "pads": sides, "value": np.array(value, x.dtype)}
    return Node(inputs, {"mode": names.get(mode, mode)}, opset=21)


ONNX = {"Pad": _node}


def _last_axis_first(
    x: Any, padding: Any, value: float, mode: str
) -> tuple[Any, list[int], str, float]:
    if mode == "symmetric":
        raise Unsupported("PyTorch does not mirror about the border")
    top, left, bottom, right = pads(padding)["pads"]
    return x, [left, right, top, bottom], mode, value


PEERS: dict[str, dict[str, Any]] = {
    "torch.nn.functional:pad": {"adapt": _last_axis_first},
}
