"""Whose linear layer is whose."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.conventions import Arguments, Node, Onnx, Part

CONVENTIONS: dict[str, Arguments] = {"PyTorch, ONNX Gemm": {}}


def _matrices(arguments: Arguments, node: Node) -> None:
    if arguments["x"].ndim != 2:
        raise node.refusal("takes matrices")
    if arguments["bias"] is None and node.opset < 11:
        node.inputs["bias"] = np.zeros(arguments["weight"].shape[0], arguments["x"].dtype)
    node.attributes["transB"] = 1


def _transposed(node: Node) -> Arguments:
    weight, bias = node.inputs["weight"], node.inputs["bias"]
    alpha, beta = node.take("alpha", 1.0), node.take("beta", 1.0)
    if alpha != 1 or (beta != 1 and bias is not None):
        raise node.refusal(f"alpha = {alpha!r} and beta = {beta!r}, expected 1.0")
    if node.take("transA", 0):
        raise node.refusal("transA = 1, expected 0")
    if bias is not None and len(getattr(bias, "shape", (0,))) != 1:
        raise node.refusal(f"the shape of its input bias is {bias.shape}, expected one axis")
    if not node.take("transB", 0):
        if not isinstance(weight, np.ndarray):
            raise node.refusal("transB = 0, expected 1, or a constant")
        weight = weight.T
    return {"weight": weight}


ONNX = {"Gemm": Onnx("x weight bias", Part((), _matrices, _transposed), since=7)}

PEERS: dict[str, dict[str, Any]] = {
    "torch.nn.functional:linear": {},
}
