"""Whose transposed convolution is whose."""

from __future__ import annotations

from typing import Any

from numseg.testing.conventions import Arguments, Node, Unsupported, pads, pair
from numseg.typing import Array

CONVENTIONS: dict[str, Arguments] = {
    "PyTorch, ONNX": {"overlap": "sum"},
    "averaged overlaps": {"overlap": "average"},
}


def _node(
    x: Array,
    weight: Array,
    bias: Array | None,
    stride: Any,
    padding: Any,
    output_padding: Any,
    groups: int,
    dilation: Any,
    output_size: Any,
) -> Node:
    if output_size is not None:
        raise Unsupported("ONNX chooses the padding by itself where output_shape is given")
    attributes = {
        "strides": pair(stride),
        "dilations": pair(dilation),
        "group": groups,
        "kernel_shape": list(weight.shape[2:]),
        "output_padding": pair(output_padding),
        **pads(padding),
    }
    return Node({"x": x, "weight": weight, "bias": bias}, attributes)


ONNX = {"ConvTranspose": _node}

PEERS: dict[str, dict[str, Any]] = {
    "torch.nn.functional:conv_transpose2d": {},
}
