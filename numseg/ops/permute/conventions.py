"""Whose permute is whose."""

from __future__ import annotations

from typing import Any

from numseg.conventions import Arguments, Node, Onnx, Part

CONVENTIONS: dict[str, Arguments] = {"PyTorch, NumPy, ONNX": {}}


def _write(arguments: Arguments, node: Node) -> None:
    dims = list(arguments["dims"])
    if dims:
        node.attributes["perm"] = [d % len(dims) for d in dims]


def _read(node: Node) -> Arguments:
    perm = node.take("perm", None)
    if perm is None:  # reversed
        shape = getattr(node.inputs["x"], "shape", None)
        if shape is None:
            raise node.refusal("has no perm, and how many axes x has is not known")
        perm = reversed(range(len(shape)))
    return {"dims": tuple(perm)}


ONNX = {"Transpose": Onnx("x", Part(("dims",), _write, _read), opset=21)}

PEERS: dict[str, dict[str, Any]] = {
    "torch:permute": {},
    "numpy:transpose": {"names": {"dims": "axes"}},
}
