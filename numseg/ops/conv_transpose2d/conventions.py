"""Whose transposed convolution is whose."""

from __future__ import annotations

from typing import Any

from numseg.conventions import (
    Arguments,
    Node,
    Onnx,
    Part,
    attribute,
    filters,
    padding,
    rows_columns,
)

CONVENTIONS: dict[str, Arguments] = {
    "PyTorch, ONNX": {"overlap": "sum"},
    "averaged overlaps": {"overlap": "average"},
}


def _no_size(arguments: Arguments, node: Node) -> None:
    if arguments["output_size"] is not None:
        raise node.refusal("chooses the padding by itself where output_shape is given")


ONNX = {
    "ConvTranspose": Onnx(
        "x weight bias",
        rows_columns("stride", "strides"),
        rows_columns("dilation", "dilations"),
        attribute("groups", "group", 1),
        filters(),
        rows_columns("output_padding", "output_padding", (0, 0)),
        padding(),
        Part(("output_size",), _no_size, lambda node: {}),
    )
}

PEERS: dict[str, dict[str, Any]] = {
    "torch.nn.functional:conv_transpose2d": {},
}
