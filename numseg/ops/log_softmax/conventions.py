"""Whose log-softmax is whose."""

from __future__ import annotations

from typing import Any

from numseg.conventions import Arguments, elementwise
from numseg.ops.softmax.conventions import axis

CONVENTIONS: dict[str, Arguments] = {"TensorFlow, ONNX 13": {"dim": -1}}

CHOICES = {"dim": (1, -1)}

ONNX = {"LogSoftmax": elementwise(axis(), since=1)}

PEERS: dict[str, dict[str, Any]] = {
    "torch.nn.functional:log_softmax": {},
}
