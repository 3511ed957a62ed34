"""Whose deformable convolution is whose."""

from __future__ import annotations

from typing import Any

from numseg.testing.conventions import Arguments, Node, pads, pair
from numseg.typing import Array

CONVENTIONS: dict[str, Arguments] = {
    "torchvision": {"boundary": "torchvision"},
    "mmcv 2": {"boundary": "mmcv"},
    "MXNet 1": {"boundary": "mxnet"},
}


def _node(
    x: Array,
    offset: Array,
    weight: Array,
    bias: Array | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    mask: Array | None,
) -> Node:
    kh, kw = weight.shape[2:]
    attributes = {
        "strides": pair(stride),
        "dilations": pair(dilation),
        "group": x.shape[1] // max(weight.shape[1], 1),
        "offset_group": offset.shape[1] // (2 * kh * kw),
        "kernel_shape": [kh, kw],
        **pads(padding),
    }
    inputs = {"x": x, "weight": weight, "offset": offset, "bias": bias, "mask": mask}
    return Node(inputs, attributes, opset=22)


ONNX = {"DeformConv": _node}

PEERS: dict[str, dict[str, Any]] = {
    "torchvision.ops:deform_conv2d": {},
}
