"""Whose sigmoid is whose."""

from numseg.conventions import Arguments, elementwise

CONVENTIONS: dict[str, Arguments] = {"PyTorch, ONNX": {}}

ONNX = {"Sigmoid": elementwise()}

PEERS: dict[str, Arguments] = {
    "torch:sigmoid": {},
}
