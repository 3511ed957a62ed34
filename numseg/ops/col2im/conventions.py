"""Whose col2im is whose."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.conventions import Arguments, Node, Onnx, Part, padding, pair, rows_columns

CONVENTIONS: dict[str, Arguments] = {"PyTorch fold, ONNX": {}}


def _sizes(arguments: Arguments, node: Node) -> None:
    node.inputs["image"] = np.array(pair(arguments["output_size"]))
    node.inputs["block"] = np.array(pair(arguments["kernel_size"]))
    if isinstance(arguments["padding"], str):
        raise node.refusal("has no auto_pad")


def _pairs(node: Node) -> Arguments:
    image, block = (node.constant(name).tolist() for name in ("image", "block"))
    if len(image) != 2:
        raise node.refusal(f"image_shape = {image}, expected rows and columns")
    return {"output_size": tuple(image), "kernel_size": tuple(block)}


ONNX = {
    "Col2Im": Onnx(
        "x image block",
        Part(("output_size", "kernel_size"), _sizes, _pairs),
        rows_columns("stride", "strides"),
        rows_columns("dilation", "dilations"),
        padding(),
        since=18,
        opset=18,
    )
}

PEERS: dict[str, dict[str, Any]] = {
    "torch.nn.functional:fold": {},
}
