"""Whose deformable convolution is whose."""

from __future__ import annotations

from typing import Any

from numseg.conventions import Arguments, Onnx, filters, implied, padding, rows_columns

CONVENTIONS: dict[str, Arguments] = {
    "torchvision": {"boundary": "torchvision"},
    "mmcv 2": {"boundary": "mmcv"},
    "MXNet 1": {"boundary": "mxnet"},
}


def _groups(arguments: Arguments) -> int:
    return max(int(arguments["x"].shape[1] // max(arguments["weight"].shape[1], 1)), 1)


def _offset_groups(arguments: Arguments) -> int:
    kh, kw = arguments["weight"].shape[2:]
    return int(arguments["offset"].shape[1] // (2 * kh * kw))


ONNX = {
    "DeformConv": Onnx(
        "x weight offset bias mask",
        rows_columns("stride", "strides"),
        rows_columns("dilation", "dilations"),
        implied("group", _groups, "x", "weight", default=1),
        implied("offset_group", _offset_groups, "offset", "weight", default=1),
        filters(),
        padding(),
        since=19,
    )
}

PEERS: dict[str, dict[str, Any]] = {
    "torchvision.ops:deform_conv2d": {},
}
