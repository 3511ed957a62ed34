"""Whose convolution is whose."""

from __future__ import annotations

from typing import Any

from numseg.conventions import Arguments, Onnx, attribute, filters, padding, rows_columns

CONVENTIONS: dict[str, Arguments] = {"PyTorch, ONNX, TensorFlow": {}}


ONNX = {
    "Conv": Onnx(
        "x weight bias",
        rows_columns("stride", "strides"),
        rows_columns("dilation", "dilations"),
        attribute("groups", "group", 1),
        filters(),
        padding(),
        idle=lambda a: ("algorithm",),
    )
}

PEERS: dict[str, dict[str, Any]] = {
    "torch.nn.functional:conv2d": {},
}
