"""Whose ceil is whose."""

from numseg.conventions import Arguments, elementwise

CONVENTIONS: dict[str, Arguments] = {"PyTorch, NumPy, ONNX": {}}

ONNX = {"Ceil": elementwise()}

PEERS: dict[str, Arguments] = {
    "torch:ceil": {},
}
