"""Whose batch normalisation is whose."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.testing.conventions import Arguments, Node, Unsupported
from numseg.typing import Array

CONVENTIONS: dict[str, Arguments] = {
    "PyTorch": {"unbiased": True, "momentum_of": "new", "allow_single": False},
    "ONNX 15": {"unbiased": False, "momentum_of": "old", "allow_single": True},
    "TensorFlow fused": {"unbiased": True, "momentum_of": "old", "allow_single": True},
    "Caffe": {"unbiased": True, "momentum_of": "new", "allow_single": True},
}


def _node(
    x: Array,
    running_mean: Array | None,
    running_var: Array | None,
    weight: Array | None,
    bias: Array | None,
    training: bool,
    momentum: float,
    eps: float,
    return_running: bool,
) -> Node:
    if return_running and (running_mean is None or not training):
        raise Unsupported("ONNX has new statistics in training alone")
    ones, zeros = np.ones(x.shape[1], x.dtype), np.zeros(x.shape[1], x.dtype)
    inputs = {
        "x": x,
        "scale": ones if weight is None else weight,
        "bias": zeros if bias is None else bias,
        "mean": zeros if running_mean is None else running_mean,
        "var": ones if running_var is None else running_var,
    }
    attributes = {"epsilon": eps, "momentum": momentum, "training_mode": int(training)}
    results = 3 if return_running else 1
    return Node(inputs, attributes, outputs=3 if training else 1, results=results, opset=15)


ONNX = {"BatchNormalization": _node}

PEERS: dict[str, dict[str, Any]] = {
    "torch.nn.functional:batch_norm": {},
}
