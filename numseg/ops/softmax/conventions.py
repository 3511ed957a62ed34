"""Whose softmax is whose."""

from __future__ import annotations

from typing import Any

from numseg.conventions import Arguments, Node, Part, elementwise

CONVENTIONS: dict[str, Arguments] = {
    "Caffe": {"dim": 1},
    "TensorFlow, ONNX 13": {"dim": -1},
}

CHOICES = {"dim": (1, -1)}


def axis() -> Part:
    """Before opset 13 all axes from this one on were one."""

    def write(arguments: Arguments, node: Node) -> None:
        node.attributes["axis"] = dim = arguments["dim"]
        if node.opset < 13 and dim not in (-1, arguments["x"].ndim - 1):
            raise node.refusal(f"dim = {dim} needs opset 13: it is not the last one")
        if node.opset < 11:
            node.attributes["axis"] = arguments["x"].ndim - 1

    def read(node: Node) -> Arguments:
        dim = node.take("axis", -1 if node.opset >= 13 else 1)
        last = -1, len(getattr(node.inputs["x"], "shape", ())) - 1
        if node.opset < 13 and dim not in last:
            raise node.refusal(f"axis = {dim}, expected the last one")
        return {"dim": dim}

    return Part(("dim",), write, read)


ONNX = {"Softmax": elementwise(axis(), since=1)}

PEERS: dict[str, dict[str, Any]] = {
    "torch.nn.functional:softmax": {},
}
