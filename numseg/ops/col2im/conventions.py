"""Whose col2im is whose."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.testing.conventions import Arguments, Node, Unsupported, pads, pair
from numseg.typing import Array

CONVENTIONS: dict[str, Arguments] = {"PyTorch fold, ONNX": {}}


def _node(
    x: Array, output_size: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any
) -> Node:
    if isinstance(padding, str):
        raise Unsupported("Col2Im has no auto_pad")
    attributes = {"strides": pair(stride), "dilations": pair(dilation), **pads(padding)}
    sizes = {"image": np.array(pair(output_size)), "block": np.array(pair(kernel_size))}
    return Node({"x": x, **sizes}, attributes, opset=18)


ONNX = {"Col2Im": _node}

PEERS: dict[str, dict[str, Any]] = {
    "torch.nn.functional:fold": {},
}
