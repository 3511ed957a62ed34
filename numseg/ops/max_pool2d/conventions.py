"""Whose max pooling is whose."""

from __future__ import annotations

from typing import Any

from numseg.testing.conventions import Arguments, Node, pads, pair
from numseg.typing import Array

FLT_MAX = 3.4028234663852886e38
CONVENTIONS: dict[str, Arguments] = {
    "PyTorch": {},
    "ONNX Runtime, with indices": {"nan": "first", "index_layout": "nchw"},
    "Caffe": {"ceil_mode": True, "ceil_rule": "caffe", "lowest": -FLT_MAX, "nan": "drop"},
    "TensorFlow's argmax": {"index_layout": "hwc"},
    "TensorFlow's argmax, with the batch": {"index_layout": "nhwc"},
    "torch.amax over windows": {"ties": "split"},
    "Theano": {"ties": "all"},
}
CHOICES = {"lowest": [-FLT_MAX]}


def _node(
    x: Array, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> Node:
    attributes = {
        "kernel_shape": pair(kernel_size),
        "strides": pair(kernel_size if stride is None else stride),
        "dilations": pair(dilation),
        "ceil_mode": int(ceil_mode),
        **pads(padding),
    }
    return Node({"x": x}, attributes)


ONNX = {"MaxPool": _node}

PEERS: dict[str, dict[str, Any]] = {
    "torch.nn.functional:max_pool2d": {},
}
