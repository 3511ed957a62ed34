"""Whose floor is whose."""

from numseg.conventions import Arguments, elementwise

CONVENTIONS: dict[str, Arguments] = {"PyTorch, NumPy, ONNX": {}}

ONNX = {"Floor": elementwise()}

PEERS: dict[str, Arguments] = {
    "torch:floor": {},
}
