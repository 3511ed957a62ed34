"""Whose group normalisation is whose."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.testing.conventions import Arguments, Node
from numseg.typing import Array

CONVENTIONS: dict[str, Arguments] = {"PyTorch, ONNX 21": {}}


def _node(x: Array, num_groups: int, weight: Array | None, bias: Array | None, eps: float) -> Node:
    one, none = np.ones(x.shape[1], x.dtype), np.zeros(x.shape[1], x.dtype)
    inputs = {
        "x": x,
        "scale": one if weight is None else weight,
        "bias": none if bias is None else bias,
    }
    return Node(inputs, {"epsilon": eps, "num_groups": num_groups}, opset=21)


ONNX = {"GroupNormalization": _node}

PEERS: dict[str, dict[str, Any]] = {
    "torch.nn.functional:group_norm": {},
}
