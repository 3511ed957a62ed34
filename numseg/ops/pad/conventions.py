"""Whose padding is whose."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.testing.conventions import Arguments, Node, pads
from numseg.typing import Array

CONVENTIONS: dict[str, Arguments] = {"PyTorch, ONNX": {}}


def _node(x: Array, padding: Any, value: float) -> Node:
    top, left, bottom, right = pads(padding)["pads"]
    sides = np.array([0, 0, top, left, 0, 0, bottom, right])
    return Node({"x": x, "pads": sides, "value": np.array(value, x.dtype)}, opset=21)


ONNX = {"Pad": _node}


def _last_axis_first(x: Any, padding: Any, value: float) -> tuple[Any, list[int], str, float]:
    top, left, bottom, right = pads(padding)["pads"]
    return x, [left, right, top, bottom], "constant", value


PEERS: dict[str, dict[str, Any]] = {
    "torch.nn.functional:pad": {"adapt": _last_axis_first},
}
