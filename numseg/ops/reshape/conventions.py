"""Whose reshape is whose."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.conventions import Arguments, Node, Onnx, Part

CONVENTIONS: dict[str, Arguments] = {"PyTorch, ONNX with allowzero=1": {}}


def _write(arguments: Arguments, node: Node) -> None:
    shape = list(arguments["shape"])
    node.inputs["shape"] = np.array(shape, np.int64)
    if 0 in shape:
        if node.opset < 14:
            raise node.refusal(f"shape = {shape!r} needs opset 14")
        node.attributes["allowzero"] = 1


def _read(node: Node) -> Arguments:
    shape = node.constant("shape")
    zero = node.opset >= 14 and node.take("allowzero", 0)
    sizes = [] if shape is None else shape.tolist()
    if 0 in sizes and not zero:
        known = getattr(node.inputs["x"], "shape", None)
        if known is None:
            raise node.refusal(f"shape = {sizes}, whose 0 is a size of x that is not known")
        sizes = [known[place] if size == 0 else size for place, size in enumerate(sizes)]
    return {"shape": tuple(sizes)}


ONNX = {"Reshape": Onnx("x shape", Part(("shape",), _write, _read), since=5, opset=21)}

PEERS: dict[str, dict[str, Any]] = {
    "torch:reshape": {},
    "numpy:reshape": {},
}
