"""Whose square root is whose."""

from numseg.conventions import Arguments, elementwise

CONVENTIONS: dict[str, Arguments] = {"PyTorch, ONNX": {}}

ONNX = {"Sqrt": elementwise()}

PEERS: dict[str, Arguments] = {
    "torch:sqrt": {},
}
