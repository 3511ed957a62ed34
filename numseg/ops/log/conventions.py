"""Whose logarithm is whose."""

from numseg.conventions import Arguments, elementwise

CONVENTIONS: dict[str, Arguments] = {"PyTorch, ONNX": {}}

ONNX = {"Log": elementwise()}

PEERS: dict[str, Arguments] = {
    "torch:log": {},
}
