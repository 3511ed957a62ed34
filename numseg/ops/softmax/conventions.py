"""Whose softmax is whose."""

from __future__ import annotations

from typing import Any

from numseg.testing.conventions import Arguments, elementwise

CONVENTIONS: dict[str, Arguments] = {
    "Caffe": {"axis": 1},
    "TensorFlow, ONNX 13": {"axis": -1},
}

CHOICES = {"axis": (1, -1)}

ONNX = {"Softmax": elementwise(axis="axis")}

PEERS: dict[str, dict[str, Any]] = {
    "torch.nn.functional:softmax": {},
}
