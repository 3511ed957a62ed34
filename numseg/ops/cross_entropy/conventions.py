"""Whose cross-entropy is whose."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.testing.conventions import Arguments, Node, Unsupported
from numseg.typing import Array

CONVENTIONS: dict[str, Arguments] = {
    "PyTorch": {"empty": "nan", "label_smoothing": 0.0},
    "Caffe, normalization VALID": {"reduction": "valid", "min_probability": 1.1754944e-38},
}


def _node(
    x: Array, target: Array, weight: Array | None, ignore_index: int | None, reduction: str
) -> Node:
    if reduction not in ("mean", "sum", "none"):
        raise Unsupported("ONNX has no such reduction")
    ignored = {} if ignore_index is None else {"ignore_index": ignore_index}
    labels = target.astype(np.int64)
    return Node({"x": x, "labels": labels, "weight": weight}, {"reduction": reduction, **ignored})


ONNX = {"SoftmaxCrossEntropyLoss": _node}

PEERS: dict[str, dict[str, Any]] = {
    "torch.nn.functional:cross_entropy": {},
}
