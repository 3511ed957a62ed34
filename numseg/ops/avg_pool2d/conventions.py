"""Whose average pooling is whose."""

from __future__ import annotations

from typing import Any

from numseg.conventions import Arguments, Onnx, constant, flag, padding, windows

CONVENTIONS: dict[str, Arguments] = {
    "PyTorch": {},
    "Caffe": {"ceil_mode": True, "ceil_rule": "caffe"},
    "TensorFlow, SAME": {"padding": "same", "count_include_pad": False},
}


ONNX = {
    "AveragePool": Onnx(
        "x",
        windows(),
        padding(),
        flag("ceil_mode", "ceil_mode", 0, since=10),
        flag("count_include_pad", "count_include_pad", 0),
        constant("dilations", [1, 1]),
        since=7,
        idle=lambda a: () if a["ceil_mode"] else ("ceil_rule",),
    )
}

PEERS: dict[str, dict[str, Any]] = {
    "torch.nn.functional:avg_pool2d": {},
}
