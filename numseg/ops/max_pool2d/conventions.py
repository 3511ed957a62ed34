"""Whose max pooling is whose."""

from __future__ import annotations

from typing import Any

from numseg.conventions import (
    Arguments,
    Node,
    Onnx,
    Part,
    constant,
    flag,
    padding,
    rows_columns,
    windows,
)

FLT_MAX = 3.4028234663852886e38
CONVENTIONS: dict[str, Arguments] = {
    "PyTorch": {},
    "ONNX Runtime, with indices": {"nan": "first", "index_layout": "nchw"},
    "Caffe": {"ceil_mode": True, "ceil_rule": "caffe", "lowest": -FLT_MAX, "nan": "drop"},
    "TensorFlow's argmax": {"index_layout": "hwc"},
    "TensorFlow's argmax, with the batch": {"index_layout": "nhwc"},
    "torch.amax over windows": {"ties": "split"},
    "Theano": {"ties": "all"},
}
CHOICES = {"lowest": [-FLT_MAX]}


def _outputs(arguments: Arguments, node: Node) -> None:
    if arguments.get("return_indices"):
        if arguments["index_layout"] != "nchw":
            raise node.refusal(f"has indices of layout 'nchw', not {arguments['index_layout']!r}")
        node.outputs = 2


def _indices(node: Node) -> Arguments:
    if node.outputs != 2:
        return {}
    node.outputs = 1
    return {"return_indices": True, "index_layout": "nchw"}


ONNX = {
    "MaxPool": Onnx(
        "x",
        windows(),
        rows_columns("dilation", "dilations", since=10),
        flag("ceil_mode", "ceil_mode", 0, since=10),
        padding(),
        constant("storage_order", 0),
        Part((), _outputs, _indices),
        idle=lambda a: (
            "return_indices",
            "index_layout",
            *(() if a["ceil_mode"] else ("ceil_rule",)),
        ),
    )
}

PEERS: dict[str, dict[str, Any]] = {
    "torch.nn.functional:max_pool2d": {},
}
