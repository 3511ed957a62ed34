"""Whose layer normalisation is whose."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.conventions import Arguments, Node, Onnx, Part, attribute, constant

CONVENTIONS: dict[str, Arguments] = {"PyTorch, ONNX": {}}


def _write(arguments: Arguments, node: Node) -> None:
    shape = arguments["normalized_shape"]
    last = list(shape) if isinstance(shape, (list, tuple)) else [shape]
    node.attributes["axis"] = -len(last)
    if arguments["weight"] is None:
        node.inputs["weight"] = np.ones(last, arguments["x"].dtype)


def _read(node: Node) -> Arguments:
    axis, shape = node.take("axis", -1), getattr(node.inputs["x"], "shape", None)
    if shape is None:  # the scale has it, unless it broadcasts
        shape = getattr(node.inputs["weight"], "shape", None)
    if shape is None:
        raise node.refusal("the sizes of x are not known")
    return {"normalized_shape": tuple(shape[axis:])}


ONNX = {
    "LayerNormalization": Onnx(
        "x weight bias",
        Part(("normalized_shape",), _write, _read),
        attribute("eps", "epsilon", 1e-5),
        constant("stash_type", 1),
        since=17,
        opset=17,
    )
}

PEERS: dict[str, dict[str, Any]] = {
    "torch.nn.functional:layer_norm": {},
}
