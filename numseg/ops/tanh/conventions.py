"""Whose hyperbolic tangent is whose."""

from numseg.conventions import Arguments, elementwise

CONVENTIONS: dict[str, Arguments] = {"PyTorch, ONNX": {}}

ONNX = {"Tanh": elementwise()}

PEERS: dict[str, Arguments] = {
    "torch:tanh": {},
}
