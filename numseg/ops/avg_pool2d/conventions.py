"""Whose average pooling is whose."""

from __future__ import annotations

from typing import Any

from numseg.testing.conventions import Arguments, Node, pads, pair
from numseg.typing import Array

CONVENTIONS: dict[str, Arguments] = {
    "PyTorch": {},
    "Caffe": {"ceil_mode": True, "ceil_rule": "caffe"},
    "TensorFlow, SAME": {"padding": "same", "count_include_pad": False},
}


def _node(
    x: Array,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    ceil_mode: bool,
    count_include_pad: bool,
) -> Node:
    attributes = {
        "kernel_shape": pair(kernel_size),
        "strides": pair(kernel_size if stride is None else stride),
        "ceil_mode": int(ceil_mode),
        "count_include_pad": int(count_include_pad),
        **pads(padding),
    }
    return Node({"x": x}, attributes)


ONNX = {"AveragePool": _node}

PEERS: dict[str, dict[str, Any]] = {
    "torch.nn.functional:avg_pool2d": {},
}
