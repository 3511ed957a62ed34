"""Whose padding is whose."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.conventions import REQUIRED, Arguments, Node, Onnx, Part, Unsupported, pads, word

CONVENTIONS: dict[str, Arguments] = {
    "PyTorch, ONNX, constant": {"mode": "constant"},
    "PyTorch, ONNX, NumPy, reflect": {"mode": "reflect"},
    "PyTorch replicate, ONNX edge, NumPy edge": {"mode": "replicate"},
    "PyTorch circular, ONNX wrap, NumPy wrap": {"mode": "circular"},
    "NumPy, TensorFlow, symmetric": {"mode": "symmetric"},
}


def _sides(arguments: Arguments, node: Node) -> None:
    top, left, bottom, right = pads(arguments["padding"])["pads"]
    sides, value = [0, 0, top, left, 0, 0, bottom, right], arguments["value"]
    if arguments["mode"] == "circular" and node.opset < 19:
        raise node.refusal("mode = 'circular' needs opset 19")
    if node.opset < 11:
        node.attributes |= {"pads": sides, "value": float(value)}
    else:
        node.inputs |= {"pads": np.array(sides), "value": np.array(value, arguments["x"].dtype)}


def _padding(node: Node) -> Arguments:
    if node.opset < 11:
        sides, value = node.take("pads", REQUIRED), node.take("value", 0.0)
    else:
        sides, value = node.constant("pads"), node.constant("value")
        sides = sides.tolist()
        value = 0.0 if value is None else float(value.reshape(()))
        if (axes := node.constant("axes")) is not None:
            every = [0] * 8
            for place, axis in enumerate(axes.tolist()):
                every[axis % 4], every[4 + axis % 4] = sides[place], sides[len(axes) + place]
            sides = every
    if len(sides) != 8 or any((*sides[:2], *sides[4:6])):
        raise node.refusal(f"pads = {list(sides)}, expected those of rows and columns of an image")
    _, _, top, left, _, _, bottom, right = sides
    return {"padding": (top, bottom, left, right), "value": value}


ONNX = {
    "Pad": Onnx(
        lambda opset: "x" if opset < 11 else "x pads value" if opset < 18 else "x pads value axes",
        Part(("padding", "value"), _sides, _padding),
        word(
            "mode",
            "mode",
            {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"},
            "constant",
        ),
        since=2,
        opset=21,
    )
}


def _last_axis_first(
    x: Any, padding: Any, value: float, mode: str
) -> tuple[Any, list[int], str, float]:
    if mode == "symmetric":
        raise Unsupported("PyTorch does not mirror about the border")
    top, left, bottom, right = pads(padding)["pads"]
    return x, [left, right, top, bottom], mode, value


PEERS: dict[str, dict[str, Any]] = {
    "torch.nn.functional:pad": {"adapt": _last_axis_first},
}
