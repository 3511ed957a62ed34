"""Whose max unpooling is whose."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.ops.max_unpool2d import max_unpool2d
from numseg.testing.conventions import Arguments, Node, pads, pair
from numseg.typing import Array

CONVENTIONS: dict[str, Arguments] = {
    "PyTorch, in value": {},
    "PyTorch": {"duplicates": "torch"},
    "scatter_add": {"duplicates": "sum"},
}


def _node(
    x: Array, indices: Array, kernel_size: Any, stride: Any, padding: Any, output_size: Any
) -> Node:
    """ONNX's indices are flat over the whole array, not over a plane."""
    given = kernel_size, stride, padding, output_size
    n, c, h, w = max_unpool2d.output_shape(x.shape, indices.shape, *given)
    plane = np.arange(n * c).reshape(n, c, 1, 1) * (h * w)
    usual = max_unpool2d.output_shape(x.shape, indices.shape, *given[:3])
    attributes = {
        "kernel_shape": pair(kernel_size),
        "strides": pair(kernel_size if stride is None else stride),
        **pads(padding),
    }
    size = np.array([n, c, h, w]) if (n, c, h, w) != usual else None
    return Node({"x": x, "indices": indices + plane, "size": size}, attributes)


ONNX = {"MaxUnpool": _node}

PEERS: dict[str, dict[str, Any]] = {
    "torch.nn.functional:max_unpool2d": {},
}
