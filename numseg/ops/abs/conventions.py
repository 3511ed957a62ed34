"""Whose absolute value is whose."""

from numseg.conventions import Arguments, elementwise

CONVENTIONS: dict[str, Arguments] = {"PyTorch, ONNX": {}}

ONNX = {"Abs": elementwise()}

PEERS: dict[str, Arguments] = {
    "torch:abs": {},
}
