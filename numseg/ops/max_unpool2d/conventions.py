"""Whose max unpooling is whose."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.conventions import Arguments, Node, Onnx, Part, padding, windows
from numseg.ops.max_unpool2d import max_unpool2d

CONVENTIONS: dict[str, Arguments] = {
    "PyTorch, in value": {},
    "PyTorch": {"duplicates": "torch"},
    "scatter_add": {"duplicates": "sum"},
}


def _places(arguments: Arguments, node: Node) -> None:
    """ONNX's indices are flat over the whole array, not over a plane."""
    x, indices = arguments["x"], arguments["indices"]
    given = [arguments[name] for name in ("kernel_size", "stride", "padding")]
    n, c, h, w = max_unpool2d.output_shape(x.shape, indices.shape, *given, arguments["output_size"])
    layout = arguments.get("index_layout", "hw")
    if layout == "hw":
        node.inputs["indices"] = indices + np.arange(n * c).reshape(n, c, 1, 1) * (h * w)
    elif layout != "nchw":
        raise node.refusal(f"has indices of layout 'nchw', not {layout!r}")
    usual = max_unpool2d.output_shape(x.shape, indices.shape, *given)
    node.inputs["size"] = np.array([n, c, h, w]) if (n, c, h, w) != usual else None


def _indices(node: Node) -> Arguments:
    size = node.constant("size")
    size = None if size is None else tuple(size.tolist()[2:])
    return {"output_size": size, "index_layout": "nchw"}


ONNX = {
    "MaxUnpool": Onnx(
        "x indices size",
        windows(),
        padding(),
        Part(("output_size",), _places, _indices),
        since=9,
        idle=lambda a: ("index_layout",),
    )
}

PEERS: dict[str, dict[str, Any]] = {
    "torch.nn.functional:max_unpool2d": {},
}
