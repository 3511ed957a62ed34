"""Whose sign is whose."""

from numseg.conventions import Arguments, elementwise

CONVENTIONS: dict[str, Arguments] = {"PyTorch, NumPy, ONNX": {}}

ONNX = {"Sign": elementwise(since=9)}

PEERS: dict[str, Arguments] = {
    "torch:sign": {},
}
