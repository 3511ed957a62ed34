"""Whose clipping is whose."""

from __future__ import annotations

import numpy as np

from numseg.conventions import Arguments, Node, Onnx, Part

CONVENTIONS: dict[str, Arguments] = {
    "PyTorch clamp, ONNX": {"boundary": "inside"},
    "PyTorch hardtanh": {"boundary": "outside"},
    "PyTorch relu6": {"min": 0.0, "max": 6.0, "boundary": "outside"},
}

NONE = {"min": -np.inf, "max": np.inf}
LEFT_OUT = {"min": -3.4028235e38, "max": 3.4028235e38}
"""Before opset 11: the largest float32."""


def _write(arguments: Arguments, node: Node) -> None:
    for name in ("min", "max"):
        bound = arguments[name]
        if node.opset >= 11:
            given = bound is not None
            node.inputs[name] = np.array(bound, arguments["x"].dtype) if given else None
        else:
            node.attributes[name] = NONE[name] if bound is None else float(bound)


def _read(node: Node) -> Arguments:
    bounds: Arguments = {}
    for name in ("min", "max"):
        bound = node.constant(name) if node.opset >= 11 else node.take(name, LEFT_OUT[name])
        bounds[name] = None if bound is None else float(np.reshape(bound, ()))
    return bounds


ONNX = {
    "Clip": Onnx(
        lambda opset: "x" if opset < 11 else "x min max",
        Part(("min", "max"), _write, _read),
        since=6,
        idle=lambda arguments: ("boundary",),
    )
}

PEERS: dict[str, Arguments] = {
    "torch:clamp": {},
}
