"""Whose convolution is whose."""

from __future__ import annotations

from typing import Any

from numseg.testing.conventions import Arguments, Node, pads, pair
from numseg.typing import Array

CONVENTIONS: dict[str, Arguments] = {"PyTorch, ONNX, TensorFlow": {}}


def _node(
    x: Array,
    weight: Array,
    bias: Array | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
) -> Node:
    attributes = {
        "strides": pair(stride),
        "dilations": pair(dilation),
        "group": groups,
        "kernel_shape": list(weight.shape[2:]),
        **pads(padding),
    }
    return Node({"x": x, "weight": weight, "bias": bias}, attributes)


ONNX = {"Conv": _node}

PEERS: dict[str, dict[str, Any]] = {
    "torch.nn.functional:conv2d": {},
}
