"""Whose sum is whose; and what ONNX's nodes over axes have in common."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.conventions import Arguments, Node, Onnx, Part, flag


def reduces(change: int, opset: int) -> Onnx:
    """A node whose axes are an input from opset ``change`` on, and an attribute before."""

    def write(arguments: Arguments, node: Node) -> None:
        dim, rank = arguments["dim"], len(arguments["x"].shape)
        if dim is None:
            return
        axes = [d % rank for d in (dim if isinstance(dim, (list, tuple)) else [dim])]
        if node.opset < change:
            node.attributes["axes"] = axes
        else:
            node.inputs["axes"] = np.array(axes, np.int64)

    def read(node: Node) -> Arguments:
        if node.opset < change:
            return {"dim": _given(node.take("axes", None))}
        none_means_none = node.take("noop_with_empty_axes", 0)
        axes = node.constant("axes")
        if axes is None and none_means_none:
            raise node.refusal("has no axes, and noop_with_empty_axes = 1")
        return {"dim": _given(None if axes is None else axes.tolist())}

    return Onnx(
        lambda given: "x" if given < change else "x axes",
        Part(("dim",), write, read),
        flag("keepdim", "keepdims", 1),
        opset=opset,
    )


def _given(axes: Any) -> Any:
    return tuple(axes) if axes else None


CONVENTIONS: dict[str, Arguments] = {"PyTorch, NumPy, ONNX": {}}

ONNX = {"ReduceSum": reduces(13, opset=13)}

PEERS: dict[str, dict[str, Any]] = {
    "torch:sum": {},
    "numpy:sum": {"names": {"dim": "axis", "keepdim": "keepdims"}},
}
