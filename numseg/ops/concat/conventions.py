"""Whose concatenation is whose."""

from __future__ import annotations

from typing import Any

from numseg.conventions import Arguments, Node, Onnx, Part, attribute

CONVENTIONS: dict[str, Arguments] = {"PyTorch, ONNX": {}}


def _each(arguments: Arguments, node: Node) -> None:
    node.inputs = {f"xs[{j}]": x for j, x in enumerate(arguments["xs"])}


def _all(node: Node) -> Arguments:
    xs, node.inputs = list(node.inputs.values()), {}
    return {"xs": xs}


ONNX = {"Concat": Onnx("*xs", Part(("xs",), _each, _all), attribute("dim", "axis"), since=4)}

PEERS: dict[str, dict[str, Any]] = {
    "torch:cat": {},
}
